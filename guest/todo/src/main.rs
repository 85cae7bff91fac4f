//! The component: what the host runs, and what it asks before.

use axum::http::{Method, header};
use todo::tasks::store;
use wstd::http::{Body, Request, Response, Result};

innkeeper_guest::schema! {
    statements: [
        store::LIST, store::SEARCH, store::COUNT, store::FIND,
        store::CREATE, store::UPDATE, store::COMPLETE, store::DELETE,
    ],
    migrations: [
        (1, "create tasks", "../sql/migrations/0001.postgres.sql", "../sql/migrations/0001.sqlite.sql"),
    ],
    owned: [("tasks", "user_id")],
}

/// What `wstd_axum::http_server` would generate, but for HEAD: axum drops the
/// body and keeps its `content-length`, WASI holds a guest to the length that it
/// announced, and wstd panics over that.
#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    let is_head = request.method() == Method::HEAD;
    let mut response = wstd_axum::serve(request, todo::app::router()).await?;
    if is_head {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(response)
}
