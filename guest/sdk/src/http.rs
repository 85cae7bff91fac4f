//! Serving an axum application as a guest.

use axum_core::extract::Request as AxumRequest;
use axum_core::response::Response as AxumResponse;
use http::{Method, header};
use tower_service::Service;
use wstd::http::{Body, Request, Response, Result};

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
pub async fn serve<S>(request: Request<Body>, service: S) -> Result<Response<Body>>
where
    S: Service<AxumRequest, Response = AxumResponse, Error = std::convert::Infallible> + Clone + Send + 'static,
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
