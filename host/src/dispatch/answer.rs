//! What of a guest's answer goes out. Status and fields are checked, framing is
//! the host's, and fields that speak for the whole origin are dropped.

use http::header::{self, HeaderName};
use http::{Response, StatusCode, response};
use http_body::Body as _;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::{Body, Failed};

/// Fields of one answer. Browsers and proxies take about as many.
const FIELDS: usize = 64;
/// Bytes of all names and values. Proxies refuse more than 8 to 16 KiB.
const FIELD_BYTES: usize = 16 << 10;

/// Fields that the host sets itself, or that bind the origin and not just this
/// answer: a guest shares its origin with other guests and with the sign-in.
const HOST_OWNED: [HeaderName; 15] = [
    header::CONTENT_LENGTH,
    header::DATE,
    header::SERVER,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::ALT_SVC,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static(GENERATION),
];

/// The generation that an answer comes from, where the operator wants it to be told.
pub const GENERATION: &str = "x-innkeeper-generation";

/// Checks a guest's status and fields.
pub(super) fn check(mut response: Response<HyperOutgoingBody>) -> Result<Response<HyperOutgoingBody>, Failed> {
    if !(200..=599).contains(&response.status().as_u16()) {
        return Err(Failed::BadAnswer("has a status that is not from 200 to 599"));
    }
    let headers = response.headers_mut();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > FIELDS || bytes > FIELD_BYTES {
        return Err(Failed::BadAnswer("has too many header fields"));
    }
    for name in &HOST_OWNED {
        headers.remove(name);
    }
    Ok(response)
}

/// Whether an answer says that the guest is broken. "Not now" (503) is none of that.
pub fn is_broken(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE
}

/// Whether answers of this status have no body (RFC 9110 section 15).
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// An answer that must have no body has none (RFC 9110 section 6.4.1): a proxy
/// would take the bytes for the next answer.
pub(super) fn check_body(head: &response::Parts, body: &Body) -> Result<(), Failed> {
    if is_bodiless(head.status) && !body.is_end_stream() {
        return Err(Failed::BadAnswer("has a body where its status forbids one"));
    }
    Ok(())
}
