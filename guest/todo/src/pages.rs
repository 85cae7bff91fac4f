//! What everybody may see without signing in.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::reply::{self, Answer};

/// One file, no other source: it works without the internet.
const DOCS: &str = include_str!("../assets/docs.html");

/// The page may run its own script and ask this origin, and nothing else.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Serialize)]
struct Info {
    service: &'static str,
    version: &'static str,
    docs: &'static str,
    openapi: &'static str,
}

/// `GET /`: what this is, and where to read more.
pub async fn info() -> Answer {
    let info = Info { service: "todo", version: env!("CARGO_PKG_VERSION"), docs: "/docs", openapi: "/openapi.json" };
    reply::json(StatusCode::OK, &info)
}

/// `GET /docs`: the API to read and to try.
pub async fn docs() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, DOCS_POLICY)];
    (headers, DOCS).into_response()
}
