//! What requests are sent with: one connection pool per alias, its address and its
//! key. Nothing is read from the environment, and no redirect or proxy takes a
//! request anywhere else.

use std::time::Duration;

use async_openai::config::Config;
use http::{HeaderMap, HeaderValue, header};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};

use super::UpstreamError;
use crate::config::{LlmModel, LlmTimeouts};
use crate::{NAME, VERSION, tls};

/// An idle connection is kept for so long: the turns of one conversation follow
/// each other closely, and providers close idle ones after a minute or more.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Idle connections kept. Each is a file descriptor here and at the provider.
const IDLE_CONNECTIONS: usize = 64;

/// Where to, and as whom.
#[derive(Clone)]
pub(super) struct Access {
    /// Without a slash at the end: the library appends `/chat/completions`.
    base: String,
    /// With the key, marked as not to be shown.
    headers: HeaderMap,
    /// The library asks for one. It is in the headers already.
    no_key: SecretString,
}

impl Access {
    /// The access, and the key as it is sent; empty when there is none.
    pub(super) fn new(config: &LlmModel) -> Result<(Self, String), UpstreamError> {
        // A line end is what a key that was read from a file often ends in.
        let key = config.key.as_ref().map_or("", |key| key.expose_secret().trim());
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UpstreamError::Key(config.alias.clone()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        if !key.is_empty() {
            let bearer = HeaderValue::from_str(&format!("Bearer {key}"));
            let mut bearer = bearer.map_err(|_| UpstreamError::Key(config.alias.clone()))?;
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let base = config.base_url.as_str().trim_end_matches('/').to_owned();
        Ok((Self { base, headers, no_key: SecretString::default() }, key.to_owned()))
    }
}

impl Config for Access {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    fn api_key(&self) -> &SecretString {
        &self.no_key
    }
}

/// A pool of connections. It has no time limit of its own, which would end long
/// answers; `Upstream` has four.
pub(super) fn http(is_https: bool, timeouts: &LlmTimeouts) -> Result<reqwest::Client, UpstreamError> {
    let tls = tls::client(tls::usual_roots()).map_err(UpstreamError::Tls)?;
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        // An address that the operator wrote with `http` is asked by HTTP.
        .https_only(is_https)
        .http1_only()
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .user_agent(format!("{NAME}/{VERSION}"))
        .connect_timeout(timeouts.connect)
        .pool_idle_timeout(IDLE_TIME)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build()
        .map_err(UpstreamError::Client)
}
