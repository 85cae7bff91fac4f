//! The chat: `/api/{user_id}/chat`, and `/api/chat` for the caller's own
//! conversations.
//!
//! [`run`] is one turn, from the user's words to the model's last, as an iterator
//! of what happens; [`stream`] and [`shape`] are the two forms in which clients get
//! it, [`crate::chatkit`] is the third. [`store`] keeps it, [`turn`] is what is
//! kept, [`history`] what the model is told of it.

pub mod body;
pub mod conversations;
mod history;
pub mod openapi;
mod prompt;
pub mod run;
pub mod shape;
pub mod store;
pub mod stream;
pub mod trouble;
pub mod turn;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use innkeeper_guest::llm;

use crate::app::{Below, family, only};
use crate::check::both;
use crate::incoming::{Incoming, Posted};
use crate::reply::{self, Answer, Failure};
use crate::settings::{self, ReplyKey};
use body::Said;
use run::{Event, Run};
use shape::Reply;
use store::{Conversation, Store};
use stream::Frames;
use turn::{Status, Turn};

/// Between two things that the assistant says in one turn.
pub const SEPARATOR: &str = "\n\n";
/// Characters of a title that is made of the first message.
const TITLE: usize = 60;

/// Where conversations are, longest first.
const FAMILIES: [&str; 3] = ["/api/chat/conversations", "/api/conversations", "/api/{user_id}/conversations"];

/// Adds the routes of the chat that the path may be one of.
pub fn mount(router: Router, path: &str) -> Router {
    if path.trim_end_matches('/').ends_with("/chat") {
        let chat = if path.trim_end_matches('/') == "/api/chat" { "/api/chat" } else { "/api/{user_id}/chat" };
        return router.route(chat, only("POST", post(say)));
    }
    let own = FAMILIES
        .into_iter()
        .find(|family| path.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let all = own.unwrap_or(FAMILIES[2]);
    let of_one = || {
        let methods = get(conversations::find).put(conversations::rename).patch(conversations::rename);
        only("GET, PUT, PATCH, DELETE", methods.delete(conversations::delete))
    };
    let routes: [Below; 4] = [
        ("", || only("GET", get(conversations::list))),
        ("/{conversation_id}", of_one),
        ("/{conversation_id}/messages", || only("GET", get(conversations::messages))),
        ("/{conversation_id}/approvals", || only("POST", post(decide))),
    ];
    family(router, path, all, routes)
}

/// Whether the path may be one of the chat's.
pub fn has(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/api/") else { return false };
    let mut segments = rest.trim_end_matches('/').split('/');
    match (segments.next(), segments.next()) {
        // A user called "conversations" has tasks like everybody else.
        (Some("conversations"), Some("tasks")) => false,
        (Some("chat"), None | Some("conversations")) | (Some("conversations"), _) => true,
        (Some(_), Some("chat")) => segments.next().is_none(),
        (Some(_), second) => second == Some("conversations"),
        (None, _) => false,
    }
}

/// `POST …/chat`
async fn say(Posted { request, body }: Posted) -> Answer {
    // A setting that is wrong is known before anything is kept.
    let (settings, key) = (settings::chat()?, settings::chat_reply_key()?);
    let Said { message, conversation } = Said::read(body.as_ref(), settings::message_max()?)?;
    let store = Store::of(request.owner()?);
    let (conversation, turn) = ask(&store, conversation, &message)?;
    answer(&request, key, conversation.id, Run::begin(&store, conversation.id, turn, settings))
}

/// Stores what the user says, in a new conversation when none is named.
///
/// # Errors
/// When there is no model to ask, or no such conversation.
pub fn ask(store: &Store, conversation: Option<i64>, message: &str) -> Result<(Conversation, Turn), Failure> {
    is_configured()?;
    let (conversation, turn) = match conversation {
        Some(id) => {
            let conversation = store.find(id)?.ok_or(Failure::NoConversation)?;
            let turn = store.ask(id, message)?;
            (conversation, turn)
        }
        None => {
            let conversation = store.create(&title_of(message))?;
            let turn = store.ask_first(conversation.id, message)?;
            (conversation, turn)
        }
    };
    Ok((conversation, turn.ok_or(Failure::NoConversation)?))
}

/// Where nobody can answer, nothing need be kept.
fn is_configured() -> Result<(), Failure> {
    if !llm::models().is_empty() {
        return Ok(());
    }
    // The host's own sentence says what is missing.
    match llm::Request::new().user("Is anybody there?").open() {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Model(error)),
    }
}

/// The first line of the first message.
fn title_of(message: &str) -> String {
    let line = message.trim().lines().next().unwrap_or_default().trim_end();
    match line.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

/// `POST …/conversations/{conversation_id}/approvals`
async fn decide(Posted { request, body }: Posted) -> Answer {
    let (settings, key) = (settings::chat()?, settings::chat_reply_key()?);
    let (id, decisions) = both(request.id(), body::decisions(body.as_ref()))?;
    let store = Store::of(request.owner()?);
    let conversation = store.find(id)?.ok_or(Failure::NoConversation)?;
    let turn = last_turn(&store, &conversation)?;
    for (call, _) in &decisions {
        let call = turn.calls().find(|known| known.id == *call).ok_or(Failure::NoCall)?;
        if call.status != Status::Pending {
            return Err(Failure::Decided);
        }
    }
    is_configured()?;
    let turn = store.decide(id, turn.number(), &decisions)?.ok_or(Failure::Decided)?;
    answer(&request, key, id, Run::resume(&store, id, turn, settings))
}

/// The turn that is at work, or was the last time.
///
/// # Errors
/// When there is none.
pub fn last_turn(store: &Store, conversation: &Conversation) -> Result<Turn, Failure> {
    let mut turns = store.turns(conversation.id, conversation.turns, conversation.turns)?;
    turns.pop().ok_or(Failure::NoConversation)
}

/// A run in the form that the client asks for.
fn answer(request: &Incoming, key: ReplyKey, conversation: i64, run: Result<Run, Failure>) -> Answer {
    let unanswered = |failure| Failure::Unanswered(Box::new(failure), conversation);
    let run = run.map_err(unanswered)?;
    if request.wants_events {
        return Ok(stream::response(Frames::of(run, key)));
    }
    for event in run {
        match event {
            Event::Done(answer) => return reply::json(StatusCode::OK, &Reply::of(&answer, key)),
            Event::Failed(failure) => return Err(unanswered(failure)),
            _ => {}
        }
    }
    Err(Failure::broken("a run ended without an end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_and_not_too_long() {
        assert_eq!(title_of("  add milk\nand eggs"), "add milk");
        assert_eq!(title_of(&"ä".repeat(61)), format!("{}…", "ä".repeat(60)));
        assert_eq!(title_of(&"ä".repeat(60)), "ä".repeat(60));
    }

    #[test]
    fn paths_of_the_chat_are_known_from_those_of_the_tasks() {
        for path in [
            "/api/chat",
            "/api/chat/",
            "/api/ada/chat",
            "/api/chat/chat",
            "/api/conversations",
            "/api/conversations/5",
            "/api/chat/conversations/5/messages",
            "/api/ada/conversations/5/approvals",
        ] {
            assert!(has(path), "{path}");
        }
        for path in [
            "/api/tasks",
            "/api/chat/tasks",
            "/api/conversations/tasks",
            "/api/ada/tasks/5",
            "/api/ada/chat/5",
            "/chat",
            "/api",
        ] {
            assert!(!has(path), "{path}");
        }
    }
}
