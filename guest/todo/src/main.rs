//! The component: what the host runs, and what it asks before.

use todo::chat::store as chat;
use todo::offers;
use todo::tasks::store;
use wstd::http::{Body, Request, Response, Result};

innkeeper_guest::schema! {
    statements: [
        store::LIST, store::SEARCH, store::COUNT, store::FIND,
        store::CREATE, store::UPDATE, store::COMPLETE, store::DELETE,
        chat::CREATE, chat::FIND, chat::LIST, chat::PAGE, chat::TOUCH, chat::RENAME, chat::DELETE,
        chat::ASK, chat::ANSWER, chat::MESSAGES, chat::TURN, chat::DROP, chat::RATE,
        chat::CALL, chat::CALLS, chat::CLAIM, chat::IS_THERE, chat::FINISH, chat::DECIDE, chat::SETTLE,
    ],
    migrations: [
        (1, "create tasks", "../sql/migrations/0001.postgres.sql", "../sql/migrations/0001.sqlite.sql"),
        (2, "let owners have their own ids", "../sql/migrations/0002.postgres.sql", "../sql/migrations/0002.sqlite.sql"),
        (3, "keep conversations", "../sql/migrations/0003.postgres.sql", "../sql/migrations/0003.sqlite.sql"),
    ],
    owned: [
        ("tasks", "user_id"), ("conversations", "user_id"), ("messages", "user_id"), ("tool_calls", "user_id"),
    ],
}

innkeeper_guest::tools!(todo::tools::ALL, ignore: ["user_id"]);
innkeeper_guest::resources!(offers::PREFIXES, offers::RESOURCES, list: offers::list);
innkeeper_guest::prompts!(offers::PROMPTS);
innkeeper_guest::completions!(prompts: offers::PROMPTS, resources: offers::RESOURCES);

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    let router = todo::app::router(request.uri().path(), innkeeper_guest::accounts::enabled);
    innkeeper_guest::serve(request, router).await
}
