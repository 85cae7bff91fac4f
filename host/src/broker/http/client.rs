//! What requests are sent with: one pool of connections per server.

use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::Counted;
use super::resolve::Resolver;
use super::{CONNECT, UNDER_WAY};
use crate::config::HttpGrant;
use crate::tls;

/// An idle connection is kept for so long. Longer: it is more often the server that
/// closes it, just when it is used again.
const IDLE_TIME: Duration = Duration::from_secs(20);
/// Bytes of an answer's head, and its fields. hyper reads 400 KiB by itself.
const HEAD_BYTES: usize = 32 << 10;
const FIELDS: usize = 64;

pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Counted>;

pub(super) fn new(grant: &HttpGrant) -> Result<Client, rustls::Error> {
    let roots = tls::usual_roots_and(&grant.roots)?;
    let mut connector = HttpConnector::new_with_resolver(Resolver::new(grant.clone()));
    // The scheme is the other layer's to look at.
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls::client(roots)?);
    let builder = if grant.is_https { builder.https_only() } else { builder.https_or_http() };
    let connector = builder.enable_http1().wrap_connector(connector);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIME)
        .pool_max_idle_per_host(UNDER_WAY / 4)
        .http1_max_buf_size(HEAD_BYTES)
        .http1_max_headers(FIELDS)
        .build(connector))
}
