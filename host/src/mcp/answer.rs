//! The last step of an answer: what the library made of a request, in the words of
//! this host where they are not the protocol's.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use tokio_util::sync::CancellationToken;

use super::envelope::Malformed;
use super::streams::Held;
use crate::dispatch::Body;
use crate::fault::{Blame, Code, Fault};

/// Bytes of an answer that is handed to its connection whole.
const SMALL_BYTES: u64 = 64 << 10;

/// The answer to a client. `held` is given back with its end; `closing` ends it when
/// nothing but the client would.
///
/// # Errors
/// The library failed; its words are for the log.
pub(super) async fn finish<H: Send + Sync + Unpin + 'static>(
    response: Response<BoxBody<Bytes, Infallible>>,
    closing: Option<CancellationToken>,
    held: H,
) -> Result<Response<Body>, Fault> {
    let (mut head, body) = response.into_parts();
    // The library's word for a message that is none of its kinds.
    if head.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return Ok(refuse(&Malformed { code: -32600, why: "The message is none of this protocol", id: None }));
    }
    if head.status.is_server_error() {
        let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let why = String::from_utf8_lossy(&bytes).escape_debug().to_string();
        return Err(Fault::new(Blame::Host, Code::Internal, "Internal Server Error").because(why));
    }
    match body.size_hint().exact() {
        // Most are small, and go out in one piece with their heads.
        Some(length) if length <= SMALL_BYTES => {
            let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            return Ok(Response::from_parts(head, bytes.into()));
        }
        Some(_) => return Ok(Response::from_parts(head, Body::held(Held::new(body, None, held)))),
        None => {}
    }
    head.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    Ok(Response::from_parts(head, Body::held(Held::new(body, closing.map(CancellationToken::cancelled_owned), held))))
}

/// Both kinds of answers must be welcome, and the message must be JSON.
///
/// # Errors
/// They are not, or it is not.
pub(super) fn accepts(headers: &HeaderMap) -> Result<(), Fault> {
    let listed = |kind: &str| {
        let fields = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut kinds = fields.flat_map(|field| field.split(',')).map(essence);
        kinds.any(|listed| listed.eq_ignore_ascii_case(kind))
    };
    if !(listed("application/json") && listed("text/event-stream")) {
        let public = "Accept must list application/json and text/event-stream";
        return Err(Fault::new(Blame::Caller, Code::NotAcceptable, public));
    }
    is_json(headers)
}

/// A page of a stranger's cannot send this kind without being asked who it is.
///
/// # Errors
/// The body is of another kind.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence);
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(Fault::new(Blame::Caller, Code::UnsupportedMediaType, "Content-Type must be application/json"))
}

/// A media type without its parameters.
fn essence(kind: &str) -> &str {
    kind.split(';').next().unwrap_or_default().trim()
}

/// What is said to a message that is none.
pub(super) fn refuse(malformed: &Malformed) -> Response<Body> {
    refuse_with(StatusCode::BAD_REQUEST, malformed)
}

pub(super) fn refuse_with(status: StatusCode, Malformed { code, why, id }: &Malformed) -> Response<Body> {
    // An id that cannot be read is left out; it is JSON as it came.
    let id = id.as_ref().map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let error = serde_json::json!({ "code": code, "message": why });
    json(status, format!("{{\"jsonrpc\":\"2.0\",{id}\"error\":{error}}}"))
}

pub(super) fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
