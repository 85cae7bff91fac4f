//! Threads and items, as the protocol writes them: what is null is left out.

use innkeeper_guest::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chat::store::{Conversation, Store, WINDOW};
use crate::chat::turn::Turn;
use crate::check::datetime;
use crate::reply::Failure;

/// Which way a page goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// An item: what the user said, or what the assistant answered to it. The id is the
/// user's message's either way, so that an answer has it before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) message: i64,
    pub(super) is_answer: bool,
}

impl Item {
    pub(super) fn parse(id: &str) -> Option<Self> {
        let id = id.strip_prefix("msg_")?;
        let (id, is_answer) = id.strip_suffix('r').map_or((id, false), |id| (id, true));
        Some(Self { message: id.parse().ok()?, is_answer })
    }

    pub(super) fn user(turn: &Turn) -> Self {
        Self { message: turn.ask.id, is_answer: false }
    }

    pub(super) fn answer(turn: &Turn) -> Self {
        Self { message: turn.ask.id, is_answer: true }
    }

    pub(super) fn id(self) -> String {
        format!("msg_{}{}", self.message, if self.is_answer { "r" } else { "" })
    }
}

pub(super) fn thread_id(id: i64) -> String {
    format!("thr_{id}")
}

/// One row of a list.
#[derive(Deserialize)]
pub(super) struct Thread {
    pub(super) id: i64,
    title: String,
    created_at: Timestamp,
}

impl Thread {
    pub(super) fn json(&self) -> Value {
        write_thread(self.id, Some(&self.title), self.created_at, None)
    }
}

pub(super) fn thread(conversation: &Conversation, items: Option<&Page>) -> Value {
    write_thread(conversation.id, Some(&conversation.title), conversation.created_at, items)
}

/// A thread that was just made has no title yet: it comes when the first turn is
/// over.
pub(super) fn new_thread(conversation: &Conversation) -> Value {
    write_thread(conversation.id, None, conversation.created_at, None)
}

fn write_thread(id: i64, title: Option<&str>, created_at: Timestamp, items: Option<&Page>) -> Value {
    let mut thread = json!({
        "id": thread_id(id),
        "created_at": datetime::text(created_at),
        "status": { "type": "active" },
        "metadata": {},
        "items": items.map_or_else(|| Page::default().json(), Page::json),
    });
    if let Some(title) = title {
        thread["title"] = title.into();
    }
    thread
}

pub(super) fn user_message(conversation: i64, turn: &Turn) -> Value {
    json!({
        "id": Item::user(turn).id(),
        "thread_id": thread_id(conversation),
        "created_at": datetime::text(turn.ask.created_at),
        "type": "user_message",
        "content": [{ "type": "input_text", "text": turn.ask.content }],
        "attachments": [],
        "quoted_text": "",
        "inference_options": {},
    })
}

/// The answer with this text, or one that has none yet.
pub(super) fn assistant_message(conversation: i64, turn: &Turn, created_at: Timestamp, text: Option<&str>) -> Value {
    let content: Vec<Value> = text.map(part).into_iter().collect();
    json!({
        "id": Item::answer(turn).id(),
        "thread_id": thread_id(conversation),
        "created_at": datetime::text(created_at),
        "type": "assistant_message",
        "content": content,
    })
}

pub(super) fn part(text: &str) -> Value {
    json!({ "annotations": [], "text": text, "type": "output_text" })
}

/// A part of a list.
#[derive(Default)]
pub(super) struct Page {
    pub(super) data: Vec<Value>,
    /// Where the next page begins, when there is one.
    pub(super) after: Option<String>,
}

impl Page {
    pub(super) fn json(&self) -> Value {
        let mut page = json!({ "data": self.data, "has_more": self.after.is_some() });
        if let Some(after) = &self.after {
            page["after"] = after.as_str().into();
        }
        page
    }
}

/// Items of a thread, from behind `after` on.
pub(super) fn page(
    store: &Store,
    thread: &Conversation,
    order: Order,
    limit: usize,
    after: Option<Item>,
) -> Result<Page, Failure> {
    let upwards = order == Order::Ascending;
    let mut at = match after {
        Some(item) => store.turn_of(thread.id, item.message)?.ok_or(Failure::Unsupported("There is no such item"))?,
        None if upwards => 1,
        None => thread.turns,
    };
    let mut items: Vec<(Item, Value)> = Vec::new();
    while (1..=thread.turns).contains(&at) && items.len() <= limit {
        let (from, to) = if upwards { (at, at + WINDOW - 1) } else { ((at - WINDOW + 1).max(1), at) };
        let mut window: Vec<(Item, Value)> =
            store.turns(thread.id, from, to)?.iter().flat_map(|turn| of_turn(thread.id, turn)).collect();
        if !upwards {
            window.reverse();
        }
        if let Some(place) = after.and_then(|after| window.iter().position(|(item, _)| *item == after)) {
            window.drain(..=place);
        }
        items.append(&mut window);
        at = if upwards { to + 1 } else { from - 1 };
    }
    let has_more = items.len() > limit;
    items.truncate(limit);
    let after = items.last().filter(|_| has_more).map(|(item, _)| item.id());
    Ok(Page { data: items.into_iter().map(|(_, json)| json).collect(), after })
}

fn of_turn(thread: i64, turn: &Turn) -> Vec<(Item, Value)> {
    let mut items = vec![(Item::user(turn), user_message(thread, turn))];
    let text = turn.text();
    if let Some(last) = turn.steps.last().filter(|_| !text.is_empty()) {
        items.push((Item::answer(turn), assistant_message(thread, turn, last.message.created_at, Some(&text))));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_known_by_its_id() {
        for (id, message, is_answer) in [("msg_7", 7, false), ("msg_7r", 7, true)] {
            let item = Item::parse(id).expect(id);
            assert_eq!((item.message, item.is_answer, item.id().as_str()), (message, is_answer, id));
        }
        for id in ["7", "msg_", "msg_x", "thr_7", "msg_7rr"] {
            assert_eq!(Item::parse(id), None, "{id}");
        }
    }

    #[test]
    fn a_page_says_where_the_next_begins_and_leaves_out_what_is_null() {
        assert_eq!(Page::default().json(), json!({ "data": [], "has_more": false }));
        let page = Page { data: vec![json!(1)], after: Some("msg_7".to_owned()) };
        assert_eq!(page.json(), json!({ "data": [1], "has_more": true, "after": "msg_7" }));
    }
}
