//! One attempt: the request goes out, and the answer's head is judged here, where
//! status and fields still are. What the client library gets is a good answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use http::{HeaderMap, StatusCode, header};
use reqwest::{Body, Response};

use super::failure::{Envelope, Failure};
use super::frames::EVENT_BYTES;
use super::gate::{self, Exchange};
use super::hints::request_id;
use super::scrub::Scrubber;
use crate::broker::llm::LlmError;

/// Bytes of an error that are read. None says more than its first line.
const ERROR_BYTES: usize = 64 << 10;
/// Time for them. The status is known, and a body that drips does not hold it.
const ERROR_TIME: Duration = Duration::from_secs(2);

/// What sends one attempt.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) http: reqwest::Client,
    pub(super) exchange: Arc<Exchange>,
    pub(super) scrub: Arc<Scrubber>,
    /// Bytes of the answer, as they are on the wire.
    pub(super) most: usize,
}

impl tower::Service<HttpRequestFactory> for Wire {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move {
            let request = request.build().await?;
            wire.send(request).await.map_err(|failure| OpenAIError::Boxed(Box::new(failure)))
        })
    }
}

impl Wire {
    async fn send(&self, request: reqwest::Request) -> Result<Response, Failure> {
        let mut response = self.http.execute(request).await.map_err(|error| Failure::unreachable(&error))?;
        let (status, form) = (response.status(), Form::of(response.headers()));
        if let Some(id) = request_id(response.headers()) {
            self.exchange.set_request_id(id);
        }
        if !status.is_success() || form == Form::Other {
            return Err(self.refused(status, response).await);
        }
        if form == Form::Events {
            return Ok(good(Body::wrap_stream(gate::events(response, Arc::clone(&self.exchange), self.most))));
        }
        let headers = std::mem::take(response.headers_mut());
        let (body, is_whole) = read(&mut response, EVENT_BYTES).await;
        let is_error = serde_json::from_slice(&body).is_ok_and(|value| is_error(&value));
        if is_error || !is_whole {
            return Err(Failure::refused(status, &headers, &body, self.scrub.clean(&body)));
        }
        Ok(good(Body::wrap_stream(gate::whole(&body, &self.exchange))))
    }

    async fn refused(&self, status: StatusCode, mut response: Response) -> Failure {
        let headers = std::mem::take(response.headers_mut());
        let read = tokio::time::timeout(ERROR_TIME, read(&mut response, ERROR_BYTES)).await;
        let body = read.map(|(body, _)| body).unwrap_or_default();
        Failure::refused(status, &headers, &body, self.scrub.clean(&body))
    }
}

/// What the library makes of an attempt that failed, taken back out of it.
pub(super) fn failure(error: OpenAIError) -> Failure {
    match error {
        OpenAIError::Boxed(error) => error.downcast::<Failure>().map_or_else(|_| unsendable(), |failure| *failure),
        _ => unsendable(),
    }
}

/// The library built no request of what it was given.
fn unsendable() -> Failure {
    Failure::unsendable(LlmError::Invalid("it cannot be sent".to_owned()))
}

/// What a good answer is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Events,
    /// A server that does not stream.
    Json,
    /// A page of a gateway.
    Other,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Self::Events };
        let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "text/event-stream" => Self::Events,
            "application/json" => Self::Json,
            _ => Self::Other,
        }
    }
}

fn is_error(value: &serde_json::Value) -> bool {
    let has = |name: &str| value.get(name).is_some_and(|inner| !inner.is_null());
    let is_answer = has("choices") || has("output");
    !is_answer && (has("error") || Envelope::read(value) != Envelope::default())
}

fn good(body: Body) -> Response {
    http::Response::new(body).into()
}

/// The first so many bytes of a body, and whether that was all of it.
async fn read(response: &mut Response, most: usize) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]);
                if body.len() == most {
                    return (body, false);
                }
            }
            Ok(None) => return (body, true),
            Err(_) => return (body, false),
        }
    }
}
