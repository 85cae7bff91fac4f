//! What a registry asks for before it answers: a password, or a token of the service
//! that it names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use http_auth::parse_challenges;
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use super::credentials::Credentials;
use super::trouble::Trouble;
use crate::config::{Reference, Registries};

/// Bytes of a token service's answer. A token has one or two thousand.
pub(super) const TOKEN_BYTES: u64 = 64 << 10;

/// What a registry wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The password itself.
    Basic,
    /// A token of this service.
    Token { realm: Url, service: Option<String> },
}

/// A token service's answer: one of the two.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Wanted {
    /// Reads what a registry wants. None: nothing that this host can give.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut wanted = None;
        for challenge in values.filter_map(|value| parse_challenges(value).ok()).flatten() {
            let param = |name: &str| {
                let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                wanted.get_or_insert(Self::Basic);
            } else if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let realm = param("realm").and_then(|realm| realm.parse().ok());
                // Better than a password, which may do more.
                wanted = realm.map(|realm| Self::Token { realm, service: param("service") }).or(wanted);
            }
        }
        wanted
    }
}

/// The password as a header.
pub(super) fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    let Credentials::Password { username, password } = credentials else { return None };
    hidden(&format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose_secret()))))
}

/// What is sent to a token service.
///
/// # Errors
/// A password would go there in the clear.
pub(super) fn request(
    http: &reqwest::Client,
    mut realm: Url,
    service: Option<&str>,
    (registries, reference): (&Registries, &Reference),
    credentials: &Credentials,
) -> Result<reqwest::RequestBuilder, Trouble> {
    let authority = realm.host_str().map(|host| match realm.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    });
    let is_plain =
        authority.is_some_and(|named| registries.is_plain(&named) && registries.is_plain(&reference.registry));
    if realm.scheme() != "https" && !(realm.scheme() == "http" && is_plain) {
        return Err(Trouble::Misleads(
            "wants a token of a service that is asked without TLS; have it name one by https".to_owned(),
        ));
    }
    let scope = format!("repository:{}:pull", reference.repository);
    let mut fields = vec![("scope", scope.as_str())];
    fields.extend(service.map(|service| ("service", service)));
    if let Credentials::Identity(token) = credentials {
        let own =
            [("grant_type", "refresh_token"), ("client_id", crate::NAME), ("refresh_token", token.expose_secret())];
        fields.extend(own);
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let body = form.extend_pairs(fields).finish();
        return Ok(http.post(realm).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body));
    }
    realm.query_pairs_mut().extend_pairs(fields);
    let request = http.get(realm);
    Ok(match basic(credentials) {
        Some(basic) => request.header(header::AUTHORIZATION, basic),
        None => request,
    })
}

/// The token as a header.
pub(super) fn bearer(answer: &[u8]) -> Option<HeaderValue> {
    let Token { token, access_token } = serde_json::from_slice(answer).ok()?;
    hidden(&format!("Bearer {}", token.or(access_token)?))
}

fn hidden(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(challenges: &[&str], expected: Option<Wanted>) {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(header::WWW_AUTHENTICATE, challenge.parse().expect("a value"));
        }
        assert_eq!(Wanted::of(&headers), expected);
    }

    #[test]
    fn what_registries_want_is_understood() {
        let token = |service: Option<&str>| Wanted::Token {
            realm: "https://auth.example.com/token".parse().expect("a URL"),
            service: service.map(str::to_owned),
        };
        const BEARER: &str =
            r#"Bearer realm="https://auth.example.com/token",service="r, 1",scope="repository:a:pull""#;
        check(&[BEARER], Some(token(Some("r, 1"))));
        check(&[r#"bearer realm="https://auth.example.com/token""#], Some(token(None)));
        check(&[r#"Basic realm="registry""#], Some(Wanted::Basic));
        check(&[r#"Basic realm="registry""#, BEARER], Some(token(Some("r, 1"))));
        check(&[BEARER, r#"Basic realm="registry""#], Some(token(Some("r, 1"))));
        check(&[r#"Bearer realm="nowhere""#], None);
        check(&["Negotiate", "Bearer"], None);
        check(&[], None);
    }
}
