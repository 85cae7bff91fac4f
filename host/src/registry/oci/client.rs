//! One registry, asked for the parts of one artifact. Every answer has a bound, every
//! wait an end, and a credential goes to the registry and to the token service that it
//! names, and with no redirect.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use reqwest::redirect::Policy;
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use super::auth::{self, TOKEN_BYTES, Wanted};
use super::credentials::Credentials;
use super::manifest::{ACCEPT, Layer, MANIFEST_BYTES};
use super::trouble::Trouble;
use crate::config::{Reference, Registries};
use crate::registry::artifact::digest;
use crate::tls;

/// For the connection, with TLS. Longer: a host that starts waits longer before it takes
/// what it has kept.
const CONNECT: Duration = Duration::from_secs(5);
/// Between two pieces of an answer. Shorter: registries that look a blob up in slow
/// storage are given up. Longer: one that hangs keeps a swap waiting.
const IDLE: Duration = Duration::from_secs(10);
/// For all parts of an artifact, with all tries. 64 MiB in that time are 9 Mbit/s.
/// Longer: other swaps wait for this one.
const TOTAL: Duration = Duration::from_secs(60);
/// Tries of each part. More do not help against what lasts.
const TRIES: u32 = 3;
/// Before the second try; twice that before the third.
const PAUSE: Duration = Duration::from_millis(300);
/// Redirects of one request: registries send to where blobs are, which may send on.
const REDIRECTS: usize = 3;

/// A registry's client, for one artifact.
pub(super) struct Client<'a> {
    registries: &'a Registries,
    reference: &'a Reference,
    credentials: Credentials,
    http: reqwest::Client,
    /// As far as the repository.
    base: String,
    authorization: Option<HeaderValue>,
    until: Instant,
}

impl<'a> Client<'a> {
    /// Connects to nothing yet. The time counts from now on.
    pub(super) fn new(
        registries: &'a Registries,
        reference: &'a Reference,
        credentials: Credentials,
    ) -> Result<Self, Trouble> {
        let is_plain = registries.is_plain(&reference.registry);
        // What Docker's own registry is called is not where it is.
        let host = if reference.registry == "docker.io" { "registry-1.docker.io" } else { &reference.registry };
        let base = format!("http{}://{host}/v2/{}", if is_plain { "" } else { "s" }, reference.repository);
        let http = http(registries, is_plain)?;
        let until = Instant::now() + TOTAL;
        Ok(Self { registries, reference, credentials, http, base, authorization: None, until })
    }

    /// A manifest by tag or digest; whoever has a digest holds it against the bytes.
    pub(super) async fn manifest(&mut self, which: &str, what: &'static str) -> Result<Vec<u8>, Trouble> {
        self.get(&format!("/manifests/{which}"), ACCEPT, what, MANIFEST_BYTES).await
    }

    /// A part of an artifact, which is what its digest and size say.
    pub(super) async fn blob(&mut self, layer: &Layer, what: &'static str) -> Result<Vec<u8>, Trouble> {
        let bytes = self.get(&format!("/blobs/{}", layer.digest), "*/*", what, layer.size).await?;
        checked(bytes, &layer.digest, what).await
    }

    async fn get(&mut self, path: &str, accept: &str, what: &'static str, most: u64) -> Result<Vec<u8>, Trouble> {
        let until = self.until;
        let tries = async {
            let mut pause = PAUSE;
            for _ in 1..TRIES {
                match self.once(path, accept, what, most).await {
                    Err(trouble) if trouble.may_pass() => {
                        tracing::debug!("{}{path} is asked for again: {trouble}", self.base);
                    }
                    other => return other,
                }
                // Replicas that start at once do not all come back at once.
                sleep(pause.mul_f64(0.5 + spread())).await;
                pause *= 2;
            }
            self.once(path, accept, what, most).await
        };
        timeout_at(until, tries).await.unwrap_or(Err(Trouble::Late(TOTAL)))
    }

    async fn once(&mut self, path: &str, accept: &str, what: &'static str, most: u64) -> Result<Vec<u8>, Trouble> {
        let mut answer = self.send(path, accept).await?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let Some(wanted) = Wanted::of(answer.headers())
            && let Some(authorization) = self.authorize(wanted).await?
        {
            self.authorization = Some(authorization);
            answer = self.send(path, accept).await?;
        }
        match answer.status() {
            StatusCode::OK => read(answer, what, most).await,
            StatusCode::NOT_FOUND => Err(Trouble::NotThere(what)),
            status => Err(self.refusal(status)),
        }
    }

    async fn send(&self, path: &str, accept: &str) -> Result<reqwest::Response, Trouble> {
        let mut request = self.http.get(format!("{}{path}", self.base)).header(header::ACCEPT, accept);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        request.send().await.map_err(away)
    }

    /// None: there is nothing to say who it is.
    async fn authorize(&self, wanted: Wanted) -> Result<Option<HeaderValue>, Trouble> {
        let (realm, service) = match wanted {
            Wanted::Basic => return Ok(auth::basic(&self.credentials)),
            Wanted::Token { realm, service } => (realm, service),
        };
        let whose = (self.registries, self.reference);
        let request = auth::request(&self.http, realm, service.as_deref(), whose, &self.credentials)?;
        let answer = request.send().await.map_err(away)?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(answer.status()));
        }
        let answer = read(answer, "token", TOKEN_BYTES).await?;
        let token = auth::bearer(&answer);
        token.map(Some).ok_or_else(|| Trouble::Misleads("names a token service that gives no token".to_owned()))
    }

    fn refusal(&self, status: StatusCode) -> Trouble {
        let (who, hint) = (self.credentials.who(), self.credentials.hint());
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Trouble::Denied { who, status: status.as_u16(), hint },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Trouble::Busy(status.as_u16()),
            status if status.is_server_error() => Trouble::Busy(status.as_u16()),
            status => Trouble::Strange(status.as_u16()),
        }
    }
}

/// The bytes, if they have this digest.
pub(super) async fn checked(bytes: Vec<u8>, sha256: &str, what: &'static str) -> Result<Vec<u8>, Trouble> {
    // A tenth of a second for the largest: not on the threads that serve.
    let hashed = tokio::task::spawn_blocking(move || (digest(&bytes), bytes)).await;
    let (found, bytes) = hashed.map_err(|panic| Trouble::Client(panic.to_string()))?;
    if sha256.strip_prefix("sha256:") == Some(&*found) {
        return Ok(bytes);
    }
    Err(Trouble::Digest { what, digest: sha256.to_owned() })
}

/// The body, if it is not larger than that, whatever its length is said to be.
async fn read(mut answer: reqwest::Response, what: &'static str, most: u64) -> Result<Vec<u8>, Trouble> {
    let too_large = || Trouble::TooLarge { what, most };
    if answer.content_length().is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        if (bytes.len() + chunk.len()) as u64 > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Without the address: where blobs are, it may be a key to them.
fn away(error: reqwest::Error) -> Trouble {
    let (is_redirect, why) = (error.is_redirect(), crate::fault::chain(&error.without_url()));
    if is_redirect { Trouble::Misleads(format!("sends the host elsewhere: {why}")) } else { Trouble::Away(why) }
}

/// From 0 to 1.
fn spread() -> f64 {
    let mut byte = [0; 1];
    // Without it they come back at once.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

/// Nothing is read from the environment.
fn http(registries: &Registries, is_plain: bool) -> Result<reqwest::Client, Trouble> {
    let failed = |why: String| Trouble::Client(why);
    let tls = tls::usual_roots_and(&registries.authorities).and_then(tls::client);
    let tls = tls.map_err(|error| failed(error.to_string()))?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("innkeeper/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(IDLE)
        .no_proxy()
        .redirect(redirects(is_plain));
    client.build().map_err(|error| failed(crate::fault::chain(&error)))
}

/// Where blobs are. Credentials stay behind: reqwest drops them with the host.
fn redirects(is_plain: bool) -> Policy {
    Policy::custom(move |attempt| {
        let is_kept = |url: &Url| url.scheme() == "https" || (is_plain && url.scheme() == "http");
        if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else if is_kept(attempt.url()) {
            attempt.follow()
        } else {
            attempt.error("to where there is no TLS")
        }
    })
}
