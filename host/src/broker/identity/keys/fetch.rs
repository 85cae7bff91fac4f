//! A key set over HTTP: one small document, soon, from where it was configured
//! to be and from nowhere else.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::broker::identity::public_key::Jwk;
use crate::tls;

/// Bytes of a key set. An RSA key of 4096 bits takes 800.
const SET_BYTES: usize = 64 << 10;
/// Time for all of it. Longer: the first requests after a start wait for it.
const TIME: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it did not come within {} s", TIME.as_secs())]
    Late,
    #[error("no answer")]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("the answer is {0}, and redirects are not followed")]
    Status(StatusCode),
    #[error("it is larger than {SET_BYTES} bytes, or was cut off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("it is not a JSON Web Key Set")]
    Format(#[from] serde_json::Error),
}

/// Entries are read one by one, so that a key of an unknown kind does not take
/// the others with it.
#[derive(Deserialize)]
struct KeySet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

pub(in crate::broker::identity) struct Fetcher {
    uri: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Fetcher {
    pub(super) fn new(url: &Url) -> Result<Self, &'static str> {
        let uri = url.as_str().parse().map_err(|_| "the URL of the JWKS cannot be asked for")?;
        let tls = tls::client(tls::usual_roots()).map_err(|_| "TLS has no cipher suites")?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        // Asked twice a minute at most, so there is nothing to keep open.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { uri, client })
    }

    pub(super) async fn fetch(&self) -> Result<Vec<Jwk>, FetchError> {
        let body = tokio::time::timeout(TIME, self.get()).await.map_err(|_| FetchError::Late)??;
        let set: KeySet<'_> = serde_json::from_slice(&body)?;
        Ok(set.keys.iter().filter_map(|key| serde_json::from_str(key.get()).ok()).collect())
    }

    async fn get(&self) -> Result<Bytes, FetchError> {
        let request = Request::get(self.uri.clone()).header(header::ACCEPT, "application/json");
        // A URI and a constant are always a request.
        let request = request.body(Empty::new()).expect("a request");
        let answer = self.client.request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), SET_BYTES).collect().await.map_err(FetchError::Body)?;
        Ok(body.to_bytes())
    }
}

impl fmt::Display for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the query, where some services want a key.
        let (scheme, authority) = (self.uri.scheme_str().unwrap_or_default(), self.uri.authority());
        write!(f, "{scheme}://{}{}", authority.map_or("", |authority| authority.as_str()), self.uri.path())
    }
}
