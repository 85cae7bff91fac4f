//! Conversations: list, read, rename, delete.

use axum::http::StatusCode;
use serde::Serialize;

use super::body;
use super::shape::{Entry, Listed};
use super::store::{Conversation, Store, WINDOW};
use super::turn::Turn;
use crate::check::{Checked, Choice, Fields, Issues, Step, both, scalar};
use crate::incoming::{Incoming, Posted};
use crate::json::Value;
use crate::reply::{self, Answer, Failure};
use crate::settings;

const LIMIT: i64 = 50;
const LIMIT_MAX: i64 = 100;
/// Messages in one answer; a client that wants more of a long conversation wants
/// the latest.
const MESSAGES: i64 = 200;
const MESSAGES_MAX: i64 = 1000;
/// Bytes of them. With all that JSON adds, the answer stays below the most that
/// the host lets out.
const MESSAGES_BYTES: usize = 1 << 20;

const SORTS: Choice = Choice { kind: "literal_error", expected: "'created_at' or 'updated_at'" };
const ORDERS: Choice = Choice { kind: "literal_error", expected: "'asc' or 'desc'" };

/// `GET …/conversations`
pub async fn list(request: Incoming) -> Answer {
    let (order, limit, offset) = listing(&request.query).map_err(|issues| issues.at(Step::Name("query")))?;
    let conversations = Store::of(request.owner()?).list(order, limit, offset)?;
    let listed: Vec<_> = conversations.iter().map(|conversation| Listed::of(conversation, None)).collect();
    reply::json(StatusCode::OK, &listed)
}

fn listing(query: &[(String, Value)]) -> Checked<(&'static str, i64, i64)> {
    let query = Fields::of_query(query);
    let mut issues = Issues::default();
    let read = (
        issues.keep(query.given("sort_by", |value| scalar::one_of(value, SORTS, by))),
        issues.keep(query.given("order", |value| scalar::one_of(value, ORDERS, is_ascending))),
        issues.keep(query.given("limit", |value| scalar::integer_in(value, 1, LIMIT_MAX))),
        issues.keep(query.given("offset", |value| scalar::integer_in(value, 0, i64::MAX))),
    );
    let (Some(sort), Some(ascending), Some(limit), Some(offset)) = read else { return Err(issues) };
    let order = match (sort.unwrap_or(Sort::Updated), ascending.unwrap_or(false)) {
        (Sort::Created, true) => "created_asc",
        (Sort::Created, false) => "created_desc",
        (Sort::Updated, true) => "updated_asc",
        (Sort::Updated, false) => "updated_desc",
    };
    Ok((order, limit.unwrap_or(LIMIT), offset.unwrap_or(0)))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sort {
    Created,
    Updated,
}

fn by(word: &str) -> Option<Sort> {
    match word {
        "created_at" => Some(Sort::Created),
        "updated_at" => Some(Sort::Updated),
        _ => None,
    }
}

fn is_ascending(word: &str) -> Option<bool> {
    match word {
        "asc" => Some(true),
        "desc" => Some(false),
        _ => None,
    }
}

/// `GET …/conversations/{conversation_id}`
pub async fn find(request: Incoming) -> Answer {
    let (conversation, turns) = read(&request)?;
    reply::json(StatusCode::OK, &Listed::of(&conversation, Some(entries(&conversation, &turns))))
}

/// `GET …/conversations/{conversation_id}/messages`
pub async fn messages(request: Incoming) -> Answer {
    let (conversation, turns) = read(&request)?;
    reply::json(StatusCode::OK, &entries(&conversation, &turns))
}

/// The latest turns of the conversation that the path names.
fn read(request: &Incoming) -> Result<(Conversation, Vec<Turn>), Failure> {
    let query = Fields::of_query(&request.query);
    let limit = query.given("limit", |value| scalar::integer_in(value, 1, MESSAGES_MAX));
    let (id, limit) = both(request.id(), limit.map_err(|issues| issues.at(Step::Name("query"))))?;
    let store = Store::of(request.owner()?);
    let conversation = store.find(id)?.ok_or(Failure::NoConversation)?;
    let turns = latest(&store, &conversation, limit.unwrap_or(MESSAGES))?;
    Ok((conversation, turns))
}

fn latest(store: &Store, conversation: &Conversation, messages: i64) -> Result<Vec<Turn>, Failure> {
    let wanted = usize::try_from(messages / 2).unwrap_or(0).max(1);
    let (mut turns, mut to, mut bytes) = (Vec::<Turn>::new(), conversation.turns, 0);
    while to > 0 && turns.len() < wanted && bytes < MESSAGES_BYTES {
        let from = (to - WINDOW + 1).max(1);
        let mut window = store.turns(conversation.id, from, to)?;
        bytes += window.iter().map(Turn::size).sum::<usize>();
        window.append(&mut turns);
        turns = window;
        to = from - 1;
    }
    Ok(turns.split_off(turns.len().saturating_sub(wanted)))
}

fn entries<'a>(conversation: &'a Conversation, turns: &'a [Turn]) -> Vec<Entry<'a>> {
    turns.iter().flat_map(|turn| Entry::of_turn(conversation, turn)).collect()
}

/// `PATCH …/conversations/{conversation_id}`
pub async fn rename(Posted { request, body }: Posted) -> Answer {
    let (id, title) = both(request.id(), body::title(body.as_ref()))?;
    let store = Store::of(request.owner()?);
    if !store.rename(id, &title)? {
        return Err(Failure::NoConversation);
    }
    let conversation = store.find(id)?.ok_or(Failure::NoConversation)?;
    reply::json(StatusCode::OK, &Listed::of(&conversation, None))
}

/// `DELETE …/conversations/{conversation_id}`
pub async fn delete(request: Incoming) -> Answer {
    #[derive(Serialize)]
    struct Deleted {
        message: &'static str,
    }
    let id = request.id()?;
    let status = settings::delete_status()?;
    if !Store::of(request.owner()?).delete(id)? {
        return Err(Failure::NoConversation);
    }
    match status {
        StatusCode::NO_CONTENT => Ok(reply::of(status, "")),
        _ => reply::json(status, &Deleted { message: "Conversation deleted successfully" }),
    }
}
