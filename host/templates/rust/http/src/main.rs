//! A guest that answers HTTP: notes, each their own.

use axum::http::StatusCode;
use axum::{Json, Router, routing::get};
use innkeeper_guest::sql::{Error, Statement};
use innkeeper_guest::{Caller, schema, statement};
use serde::{Deserialize, Serialize};
use wstd::http::{Body, Request, Response, Result};

const LIST: Statement = statement!("note-list", "../sql/note-list.sql");
const ADD: Statement = statement!("note-add", "../sql/note-add.sql");

schema! {
    statements: [LIST, ADD],
    migrations: [(1, "keep notes", "../sql/0001.postgres.sql", "../sql/0001.sqlite.sql")],
    owned: [("notes", "user_id")],
}

#[derive(Serialize, Deserialize)]
struct Note {
    id: i64,
    text: String,
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

type Answer<T> = std::result::Result<(StatusCode, Json<T>), (StatusCode, &'static str)>;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>> {
    innkeeper_guest::serve(request, Router::new().route("/notes", get(list).post(add))).await
}

// `Caller` is whom the host has verified; without one the answer is 401.
async fn list(caller: Caller) -> Answer<Vec<Note>> {
    let notes = LIST.bind(&caller.subject).all().map_err(failed)?;
    Ok((StatusCode::OK, Json(notes)))
}

async fn add(caller: Caller, Json(new): Json<NewNote>) -> Answer<Option<Note>> {
    let text = tidy(&new.text).ok_or((StatusCode::UNPROCESSABLE_ENTITY, "a note has from 1 to 500 characters"))?;
    let note = ADD.bind(&caller.subject).bind(text).first().map_err(failed)?;
    Ok((StatusCode::CREATED, Json(note)))
}

/// A note as it is kept.
fn tidy(text: &str) -> Option<&str> {
    let text = text.trim();
    (1..=500).contains(&text.chars().count()).then_some(text)
}

fn failed(error: Error) -> (StatusCode, &'static str) {
    // For the operator's log; the client learns that it failed.
    eprintln!("the database did not answer: {error}");
    match error.is_transient() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "try again in a moment"),
        false => (StatusCode::INTERNAL_SERVER_ERROR, "this failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn a_note_has_some_text_and_not_too_much() {
        assert_eq!(tidy(" Buy milk\n"), Some("Buy milk"));
        assert_eq!(tidy("  "), None);
        assert_eq!(tidy(&"x".repeat(501)), None);
    }
}
