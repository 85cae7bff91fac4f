//! The span of a request, by OpenTelemetry's names for HTTP servers. Without
//! the query string: clients put credentials there.

use http::{Method, Request};

use crate::call::trace::{Span, Tracer};
use crate::fault::{Blame, Fault};

/// Bytes of a path. A span waits in memory for the collector, and a path may be
/// as long as a request's head.
const PATH_BYTES: usize = 1 << 10;

/// Begins it: when nobody collects, it is nothing.
pub(super) fn begin<B>(tracer: Option<&Tracer>, request: &Request<B>, id: &str) -> Span {
    let Some(tracer) = tracer else { return Span::default() };
    let method = method(request.method());
    let mut span = tracer.server(request.headers(), method.unwrap_or("HTTP"));
    if span.is_recording() {
        let path = request.uri().path();
        span.set("http.request.method", method.unwrap_or("_OTHER"));
        span.set("url.scheme", if request.uri().scheme_str() == Some("https") { "https" } else { "http" });
        span.set("url.path", path[..path.floor_char_boundary(PATH_BYTES)].to_owned());
        span.set("request.id", id.to_owned());
    }
    span
}

/// The module that answers it is known.
pub(super) fn routed(span: &mut Span, method: &Method, route: &str, module: &str) {
    if span.is_recording() {
        span.rename(|| format!("{} {route}", self::method(method).unwrap_or("HTTP")));
        span.set("http.route", route.to_owned());
        span.set("module.name", module.to_owned());
    }
}

/// A module answered. Its own 5xx counts as a failure, as the conventions say.
pub(super) fn served(span: &mut Span, status: u16) {
    span.set("http.response.status_code", i64::from(status));
    if status >= 500 && span.is_recording() {
        span.fail(status.to_string());
    }
}

/// It was not served. A caller's mistake is no failure of this side.
pub(super) fn failed(span: &mut Span, fault: &Fault) {
    span.set("blame", fault.blame.as_str());
    match fault.blame {
        Blame::Caller => span.set("error.type", fault.code.as_str()),
        Blame::Guest | Blame::Host => span.fail(fault.code.as_str()),
    }
}

/// Any other word would be a name of the client's choice.
fn method(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}
