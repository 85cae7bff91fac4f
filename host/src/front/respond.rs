//! The end of every request: an answer, or a fault turned into the body that
//! clients know; the request id; one log line.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::span;
use crate::call::trace::{Span, Tracer};
use crate::dispatch::{Body, Failed};
use crate::fault::{Blame, Code, Fault};
use crate::instance::Guest;

/// The header that a request is known by, in both directions.
pub(super) const REQUEST_ID: &str = "x-request-id";
/// A client's own id may be so long; a longer one is replaced.
const REQUEST_ID_BYTES: usize = 128;

/// What is known of a request while it is being served.
pub(super) struct Outcome {
    id: Arc<str>,
    id_header: HeaderValue,
    method: Method,
    started: Instant,
    guest: Option<Arc<Guest>>,
    /// It ends with the answer's body, and says then how the request went.
    span: Span,
}

impl Outcome {
    pub(super) fn begin<B>(request: &Request<B>) -> Self {
        let (id, id_header) = request_id(request.headers().get(REQUEST_ID));
        Self {
            id,
            id_header,
            method: request.method().clone(),
            started: Instant::now(),
            guest: None,
            span: Span::default(),
        }
    }

    pub(super) fn trace<B>(&mut self, tracer: Option<&Tracer>, request: &Request<B>) {
        self.span = span::begin(tracer, request, &self.id);
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn routed(&mut self, route: &str, guest: &Arc<Guest>) {
        span::routed(&mut self.span, &self.method, route, &guest.profile.name);
        self.guest = Some(Arc::clone(guest));
    }

    pub(super) fn request_id(&self) -> (Arc<str>, HeaderValue) {
        (Arc::clone(&self.id), self.id_header.clone())
    }

    pub(super) fn finish(mut self, result: Result<Response<Body>, Fault>) -> Response<AnswerBody> {
        let mut response = match result {
            Ok(response) => {
                self.served(&response);
                response
            }
            Err(fault) => {
                self.span.set("http.response.status_code", i64::from(fault.status().as_u16()));
                self.failed(&fault);
                answer(&fault)
            }
        };
        response.headers_mut().insert(REQUEST_ID, self.id_header.clone());
        response.map(|body| AnswerBody { body, outcome: Some(self) })
    }

    fn module(&self) -> &str {
        self.guest.as_ref().map_or("-", |guest| &guest.profile.name)
    }

    fn served(&mut self, response: &Response<Body>) {
        span::served(&mut self.span, response.status().as_u16());
        if let Some(guest) = &self.guest {
            guest.profile.served.increment(1);
            guest.profile.latency.record(self.started.elapsed());
        }
        tracing::debug!(request.id = %self.id, trace_id = self.span.trace().id(), module.name = self.module(),
            http.method = %self.method, http.status = response.status().as_u16(),
            duration_us = self.started.elapsed().as_micros(), "served");
    }

    /// One line per failure. A caller's mistakes are news, a guest's are
    /// warnings, and the host's own are for a human to act upon.
    fn failed(&mut self, fault: &Fault) {
        span::failed(&mut self.span, fault);
        let (module, blame, status) = (self.module().to_owned(), fault.blame.as_str(), fault.status().as_u16());
        metrics::counter!(crate::telemetry::REQUESTS, "module" => module.clone(), "blame" => blame).increment(1);
        let reason = fault.chain();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(request.id = %self.id, trace_id = self.span.trace().id(), module.name = module,
                    blame, http.method = %self.method, http.status = status,
                    duration_us = self.started.elapsed().as_micros(), "request failed, blame on the {blame}: {reason}")
            };
        }
        match (fault.blame, fault.code) {
            (Blame::Caller, _) => line!(info),
            (Blame::Guest, _) | (Blame::Host, Code::Overloaded | Code::Unavailable | Code::NotServing) => line!(warn),
            (Blame::Host, _) => line!(error),
        }
    }
}

/// The client's id when it is short and printable, else a new one.
fn request_id(sent: Option<&HeaderValue>) -> (Arc<str>, HeaderValue) {
    let sane = |value: &&HeaderValue| {
        (1..=REQUEST_ID_BYTES).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    match sent.filter(sane).and_then(|value| Some((value.to_str().ok()?.into(), value.clone()))) {
        Some(id) => id,
        None => {
            let id = uuid::Uuid::new_v4().simple().to_string();
            let value = HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("-"));
            (id.into(), value)
        }
    }
}

/// `{"detail": …}`, as the replaced backends answer.
fn answer(fault: &Fault) -> Response<Body> {
    let mut body = serde_json::json!({ "detail": fault.public });
    if let Some((key, value)) = fault.beside.as_deref() {
        body[*key] = value.clone();
    }
    let mut response = Response::new(Body::from(Bytes::from(body.to_string())));
    *response.status_mut() = fault.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(after) = fault.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }
    match (fault.code, &fault.challenge) {
        (_, Some(challenge)) => {
            headers.insert(header::WWW_AUTHENTICATE, (**challenge).clone());
        }
        (Code::Unauthorized, None) => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        (Code::MethodNotAllowed, None) => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        // The rest of the body is not read, so the connection cannot be reused.
        (Code::BodyTooLarge | Code::RequestTimeout, None) => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

/// An answer's body. It logs a guest that breaks off in the middle.
pub struct AnswerBody {
    body: Body,
    outcome: Option<Outcome>,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Err(failed))) = &polled
            && let Some(mut outcome) = self.outcome.take()
        {
            let what = format!("the answer was cut off: {}", crate::fault::chain(failed));
            outcome.failed(&Fault::new(Blame::Guest, Code::GuestAnswer, "Bad Gateway").because(what));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The CORS layer answers preflights with it.
impl Default for AnswerBody {
    fn default() -> Self {
        Self { body: Bytes::new().into(), outcome: None }
    }
}
