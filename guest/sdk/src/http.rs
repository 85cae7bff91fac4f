//! Serving an axum application as a guest.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum_core::body::Body as AxumBody;
use axum_core::extract::Request as AxumRequest;
use axum_core::response::Response as AxumResponse;
use bytes::Bytes;
use http::{Method, header};
use http_body::Frame;
use tower_service::Service;
use wstd::http::{Body, Request, Response};

/// Answers one request with an axum application:
///
/// ```ignore
/// #[wstd::http_server]
/// async fn main(request: Request<Body>) -> Result<Response<Body>> {
///     innkeeper_guest::serve(request, Router::new().route("/", get(hello))).await
/// }
/// ```
///
/// # Errors
/// When the request's body cannot be read.
pub async fn serve<S>(request: Request<Body>, service: S) -> wstd::http::Result<Response<Body>>
where
    S: Service<AxumRequest, Response = AxumResponse, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let is_head = request.method() == Method::HEAD;
    let mut response = wstd_axum::serve(request, service).await?;
    if is_head {
        // axum drops the body and keeps its length, and WASI holds a guest to
        // the length that it announced: the instance would trap.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(response)
}

/// A body that goes out piece by piece while it is made. Whatever makes it may
/// wait in the host between two pieces, as [`llm::Answer::next`] does: each piece
/// is on its way before the next one is asked for. Pieces should not be empty.
///
/// [`llm::Answer::next`]: crate::llm::Answer::next
pub fn streamed(pieces: impl Iterator<Item = Bytes> + Send + Unpin + 'static) -> AxumBody {
    AxumBody::new(Pieces(pieces))
}

struct Pieces<I>(I);

impl<I: Iterator<Item = Bytes> + Unpin> http_body::Body for Pieces<I> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|bytes| Ok(Frame::data(bytes))))
    }
}
