//! ChatKit's protocol, for its web component in self-hosted mode: one POST, whose
//! `type` says what is wanted. Threads are conversations, so that what was said
//! here can be read there and the other way round.

mod items;
mod request;
mod turn;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};

use crate::app::only;
use crate::chat::run::Run;
use crate::chat::store::{Conversation, Store};
use crate::chat::turn::Turn;
use crate::chat::{self, body, stream};
use crate::incoming::Posted;
use crate::reply::{self, Answer, Failure};
use crate::{json as python, settings};
use items::{Item, Order, Page};
use request::Request;
use turn::Frames;

/// Where it is.
const PATHS: [&str; 2] = ["/chatkit", "/api/chatkit"];
/// Items that come with a thread.
const FIRST: usize = 20;

/// Whether the path is one of these.
pub fn has(path: &str) -> bool {
    PATHS.contains(&path)
}

/// Adds the route that the path names.
pub fn mount(router: Router, path: &str) -> Router {
    router.route(path, only("POST", post(handle)))
}

async fn handle(Posted { request, body }: Posted) -> Answer {
    let store = Store::of(request.owner()?);
    match Request::read(body.as_ref()).map_err(Failure::Unsupported)? {
        Request::Create { text } => Ok(begin(&store, None, &text)),
        Request::Add { thread, text } => {
            let thread = find(&store, &thread)?;
            Ok(begin(&store, Some(thread.id), &text))
        }
        Request::Retry { thread, item } => retry(&store, &find(&store, &thread)?, &item),
        Request::Get { thread } => {
            let thread = find(&store, &thread)?;
            let page = items::page(&store, &thread, Order::Ascending, FIRST, None)?;
            ok(&items::thread(&thread, Some(&page)))
        }
        Request::List { limit, order, after } => ok(&list(&store, limit, order, after.as_deref())?.json()),
        Request::Items { thread, limit, order, after } => {
            let after =
                after.as_deref().map(|item| Item::parse(item).ok_or(Failure::Unsupported("There is no such item")));
            ok(&items::page(&store, &find(&store, &thread)?, order, limit, after.transpose()?)?.json())
        }
        Request::Update { thread, title } => {
            let title = body::title(Some(&python::Value::Map(vec![("title".to_owned(), title)])))?;
            let mut thread = find(&store, &thread)?;
            store.rename(thread.id, &title)?;
            thread.title = title;
            ok(&items::thread(&thread, None))
        }
        Request::Delete { thread } => {
            store.delete(find(&store, &thread)?.id)?;
            ok(&json!({}))
        }
        Request::Feedback { thread, items, kind } => {
            let thread = find(&store, &thread)?;
            for item in items.iter().filter_map(|item| Item::parse(item)) {
                store.rate(thread.id, item.message, kind)?;
            }
            ok(&json!({}))
        }
    }
}

fn ok(value: &Value) -> Answer {
    reply::json(StatusCode::OK, value)
}

fn find(store: &Store, thread: &str) -> Result<Conversation, Failure> {
    let id = thread.strip_prefix("thr_").and_then(|id| id.parse().ok()).ok_or(Failure::NoConversation)?;
    store.find(id)?.ok_or(Failure::NoConversation)
}

fn list(store: &Store, limit: usize, order: Order, after: Option<&str>) -> Result<Page, Failure> {
    let upwards = order == Order::Ascending;
    let from = match after {
        Some(after) => find(store, after)?.id,
        None if upwards => 0,
        None => i64::MAX,
    };
    // One more than asked for tells whether there are more.
    let mut threads: Vec<items::Thread> = store.page(from, upwards, i64::try_from(limit + 1).unwrap_or(i64::MAX))?;
    let has_more = threads.len() > limit;
    threads.truncate(limit);
    let after = threads.last().filter(|_| has_more).map(|thread| items::thread_id(thread.id));
    let data = threads.iter().map(items::Thread::json).collect();
    Ok(Page { data, after })
}

/// What the user says, and what follows. Whatever goes wrong from here on is an
/// event: the component shows it where the answer would be.
fn begin(store: &Store, thread: Option<i64>, text: &str) -> axum::response::Response {
    let begun = || {
        let settings = settings::chat()?;
        let text = python::Value::Str(text.to_owned());
        let text = body::message(&text, settings::message_max()?)?;
        let (conversation, turn) = chat::ask(store, thread, &text)?;
        let first = turn::beginning(&conversation, &turn, thread.is_none());
        let run = Run::of(store, conversation.id, turn, settings)?;
        Ok(Frames::of(run, first, thread.is_none().then_some(conversation)))
    };
    respond(begun())
}

fn respond(frames: Result<Frames, Failure>) -> axum::response::Response {
    match frames {
        Ok(frames) => stream::response(frames),
        Err(failure) => stream::response(std::iter::once(Bytes::from(turn::failed(&failure)))),
    }
}

/// Goes on where the last answer broke off, or gives its end anew. What its tools
/// did is done, and is not done again.
fn retry(store: &Store, thread: &Conversation, item: &str) -> Answer {
    const LAST: &str = "Only the last message can be tried again";
    let item = Item::parse(item).ok_or(Failure::Unsupported("There is no such item"))?;
    let number = store.turn_of(thread.id, item.message)?.ok_or(Failure::Unsupported("There is no such item"))?;
    if number != thread.turns {
        return Err(Failure::Unsupported(LAST));
    }
    let mut turn = chat::last_turn(store, thread)?;
    let first = take_back(store, thread, &mut turn)?;
    Ok(respond(settings::chat().and_then(|settings| {
        let run = Run::of(store, thread.id, turn, settings)?;
        Ok(Frames::of(run, first, None))
    })))
}

fn take_back(store: &Store, thread: &Conversation, turn: &mut Turn) -> Result<String, Failure> {
    let had_text = turn.has_text();
    if let Some(last) = turn.steps.pop_if(|step| step.calls.is_empty()) {
        store.drop_step(thread.id, turn.number(), last.message.step)?;
    }
    Ok(turn::again(turn, had_text))
}
