//! The native twin: the benchmark's three requests as an ordinary axum and
//! sqlx service. It has what the sandboxed todo guest has (the same table, the
//! same token check, the same answers) and nothing between it and the machine.

mod auth;
mod problem;
mod tasks;

use anyhow::Context;
use axum::{Json, Router, routing::get, serve::ListenerExt};
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::env;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What every request may use.
#[derive(Clone)]
struct App {
    pool: PgPool,
    key: DecodingKey,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let app = App {
        pool: PgPoolOptions::new()
            .max_connections(20)
            // The pool's own ping before every use would be a second round
            // trip per request: the yardstick is the fast way to do it.
            .test_before_acquire(false)
            .connect(&variable("DATABASE_URL")?)
            .await
            .context("connecting to DATABASE_URL")?,
        key: DecodingKey::from_secret(variable("BETTER_AUTH_SECRET")?.as_bytes()),
    };
    let router = Router::new()
        .route("/", get(hello))
        .route("/health/ready", get(ready))
        .route("/api/{user_id}/tasks", get(tasks::list).post(tasks::create))
        .with_state(app);
    let listener = TcpListener::bind(variable("LISTEN")?).await?.tap_io(|connection| {
        // Best effort: without it answers still arrive, only later.
        let _ = connection.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

fn variable(name: &str) -> anyhow::Result<String> {
    env::var(name).with_context(|| format!("`{name}` has to be set"))
}

async fn hello() -> Json<Value> {
    Json(json!({ "message": "Hello from native code" }))
}

async fn ready() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
