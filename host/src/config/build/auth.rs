//! How callers are verified, and where browsers may come from.

use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::flag;
use crate::config::raw::{RawAuth, RawCors};
use crate::config::{Auth, Env, Problems};

/// Seconds that a session may be trusted without a look-up. Longer, and signing
/// out would mean little.
const SESSION_CACHE_MOST: u32 = 30;
/// Where Better Auth serves its endpoints unless its URL has a path.
const BETTER_AUTH_PATH: &str = "/api/auth";

pub(super) fn build(raw: RawAuth, dev: bool, env: &Env, problems: &mut Problems) -> Auth {
    let RawAuth { secret, url, jwks_url, session_cache, issuer, audience, local } = raw;
    let secret = build_secret(secret, env, problems);
    let url = address(env, "BETTER_AUTH_URL", "auth.url", url, problems);
    let jwks = address(env, "AUTH_JWKS_URL", "auth.jwks_url", jwks_url, problems);
    let local = flag(env, "AUTH_LOCAL", problems).or(local).unwrap_or(dev);
    // In development a secret of this machine is made when there is none.
    if local && secret.is_none() && !dev {
        let hint = "set BETTER_AUTH_SECRET to 32 random characters or more, or remove AUTH_LOCAL";
        problems.push("AUTH_LOCAL", "there is no secret to sign tokens with", hint);
    }
    let issuers = env.get("AUTH_ISSUER").map(str::to_owned).or(issuer).unwrap_or_default();
    Auth {
        secret,
        jwks: jwks.or_else(|| url.as_ref().map(jwks_of)),
        url,
        issuers: issuers.split(',').map(str::trim).filter(|issuer| !issuer.is_empty()).map(str::to_owned).collect(),
        audience: env.get("AUTH_AUDIENCE").map(str::to_owned).or(audience),
        session_cache: build_session_cache(session_cache, env, problems),
        local,
    }
}

/// `BETTER_AUTH_SECRETS` wins over `BETTER_AUTH_SECRET`, as it does in Better Auth.
fn build_secret(written: Option<String>, env: &Env, problems: &mut Problems) -> Option<SecretString> {
    let written = written.and_then(|reference| env.reference("auth.secret", &reference, problems));
    let one = env.secret("BETTER_AUTH_SECRET", problems).or(written);
    let several = env.secret("BETTER_AUTH_SECRETS", problems);
    let (key, secret) = match several {
        Some(several) => ("BETTER_AUTH_SECRETS", first_secret(&several, problems)),
        None => ("BETTER_AUTH_SECRET", one),
    };
    if secret.as_ref().is_some_and(|secret| secret.expose_secret().trim().is_empty()) {
        problems.push(key, "empty", "set the secret that your frontend signs its tokens with");
    }
    secret
}

/// The first of `2:new,1:old`. The others decrypt what was stored before a
/// rotation; nothing is signed with them any more.
fn first_secret(several: &SecretString, problems: &mut Problems) -> Option<SecretString> {
    let first = several.expose_secret().split(',').next().unwrap_or_default();
    let secret = first.split_once(':').filter(|(version, _)| version.trim().parse::<u32>().is_ok());
    if secret.is_none() {
        problems.push(
            "BETTER_AUTH_SECRETS",
            "the first entry has no version",
            "write it as 2:new-secret,1:old-secret, the current one first",
        );
    }
    secret.map(|(_, secret)| SecretString::from(secret.trim()))
}

pub(super) fn address(
    env: &Env,
    name: &str,
    key: &str,
    written: Option<String>,
    problems: &mut Problems,
) -> Option<Url> {
    let (key, text) = match env.get(name) {
        Some(text) => (name, text.to_owned()),
        None => (key, written?),
    };
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    // A password here would end up in logs.
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    if url.is_none() {
        let hint = "write it as https://app.example.com, without user and password";
        problems.push(key, "not an http:// or https:// URL", hint);
    }
    url
}

/// The endpoint of Better Auth's `jwt` plugin.
fn jwks_of(base: &Url) -> Url {
    let path = Some(base.path().trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or(BETTER_AUTH_PATH);
    let mut url = base.clone();
    url.set_path(&format!("{path}/jwks"));
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn build_session_cache(written: Option<u32>, env: &Env, problems: &mut Problems) -> Duration {
    let seconds = env.get("AUTH_SESSION_CACHE").map_or(Ok(written.unwrap_or(0)), str::parse::<u32>);
    match seconds {
        Ok(seconds @ 0..=SESSION_CACHE_MOST) => Duration::from_secs(seconds.into()),
        _ => {
            let what = format!("not a number of seconds from 0 to {SESSION_CACHE_MOST}");
            problems.push("AUTH_SESSION_CACHE", what, "leave it out: every request looks its session up");
            Duration::ZERO
        }
    }
}

pub(super) fn origins(raw: RawCors, env: &Env, problems: &mut Problems) -> Vec<HeaderValue> {
    let RawCors { origins } = raw;
    let listed = match env.get("CORS_ORIGINS") {
        Some(text) => origins_of(text),
        None => origins.unwrap_or_default(),
    };
    let mut valid = Vec::new();
    for origin in listed {
        match origin_header(&origin) {
            Some(value) => valid.push(value),
            None => problems.push(
                "CORS_ORIGINS",
                format!("`{origin}` is not an origin"),
                "write scheme, host and port alone, such as https://app.example.com; `*` is refused, because callers send credentials",
            ),
        }
    }
    valid
}

/// Commas between them, or a JSON array as FastAPI settings are often written.
fn origins_of(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| {
        text.split(',').map(|origin| origin.trim().to_owned()).filter(|origin| !origin.is_empty()).collect()
    })
}

fn origin_header(origin: &str) -> Option<HeaderValue> {
    let url = Url::parse(origin.trim_end_matches('/')).ok()?;
    let ascii = url.origin().ascii_serialization();
    (matches!(url.scheme(), "http" | "https") && url.path() == "/" && ascii != "null")
        .then(|| HeaderValue::from_str(&ascii).ok())
        .flatten()
}
