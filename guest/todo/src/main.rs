//! The component: what the host runs, and what it asks before.

use todo::tasks::store;

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

#[wstd_axum::http_server]
fn main() -> axum::Router {
    todo::app::router()
}
