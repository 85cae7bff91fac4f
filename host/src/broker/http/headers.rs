//! What a request says of itself beside what the guest wrote.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::NAME;
use crate::call::Call;
use crate::call::trace::Span;
use crate::config::HttpGrant;

/// RFC 8586: each host on the way of a request adds its name.
const LOOP: HeaderName = HeaderName::from_static("cdn-loop");
/// What says of a request where it has come from, which is the host's to say, and what
/// asks the connection for something. `wasi:http` itself keeps guests from the rest.
const NOT_THE_GUESTS: [&str; 12] = [
    // The client makes it from the address, which is made from the grant.
    "host",
    "expect",
    "te",
    "trailer",
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "cdn-loop",
    "proxy-connection",
];

/// Makes a guest's header fields those of a request of the host's.
pub(super) fn prepare(headers: &mut HeaderMap, grant: &HttpGrant, call: &Call, span: &Span) {
    for name in NOT_THE_GUESTS {
        headers.remove(name);
    }
    let hops = call.client.map_or(0, |client| client.hops);
    let passed = vec![NAME; usize::from(hops) + 1].join(", ");
    if let Ok(passed) = HeaderValue::from_str(&passed) {
        headers.insert(LOOP, passed);
    }
    span.trace().write(headers);
    if grant.headers.is_empty() {
        return;
    }
    // A part of an answer, or a packed one, could bring a secret back unseen.
    headers.remove(header::RANGE);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for secret in &grant.headers {
        headers.insert(&secret.name, secret.value.clone());
    }
}
