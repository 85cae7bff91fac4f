//! The component: what the host runs, and what it asks before.

use todo::tasks::store;
use wstd::http::{Body, Request, Response, Result};

innkeeper_guest::schema! {
    statements: [
        store::LIST, store::SEARCH, store::COUNT, store::FIND,
        store::CREATE, store::UPDATE, store::COMPLETE, store::DELETE,
    ],
    migrations: [
        (1, "create tasks", "../sql/migrations/0001.postgres.sql", "../sql/migrations/0001.sqlite.sql"),
        (2, "let owners have their own ids", "../sql/migrations/0002.postgres.sql", "../sql/migrations/0002.sqlite.sql"),
    ],
    owned: [("tasks", "user_id")],
}

innkeeper_guest::tools!(todo::tools::ALL, ignore: ["user_id"]);

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    let router = todo::app::router(request.uri().path(), innkeeper_guest::accounts::enabled);
    innkeeper_guest::serve(request, router).await
}
