//! A turn as the events of the protocol, in the order of its reference server.

use axum::body::Bytes;
use innkeeper_guest::Timestamp;
use serde_json::{Value, json};

use super::items::{self, Item};
use crate::chat::run::{Event, Run};
use crate::chat::store::Conversation;
use crate::chat::stream::KEEP_ALIVE;
use crate::chat::trouble::Trouble;
use crate::chat::turn::Turn;
use crate::reply::Failure;
use crate::tools;

/// What comes before the answer.
pub(super) fn beginning(conversation: &Conversation, turn: &Turn, is_new: bool) -> String {
    let mut text = String::new();
    if is_new {
        text += &frame(&json!({ "type": "thread.created", "thread": items::new_thread(conversation) }));
    }
    let item = items::user_message(conversation.id, turn);
    text += &frame(&json!({ "type": "thread.item.done", "item": item }));
    text + &options()
}

/// What comes before an answer that is given again.
pub(super) fn again(turn: &Turn, had_text: bool) -> String {
    if !had_text {
        return options();
    }
    frame(&json!({ "type": "thread.item.removed", "item_id": Item::answer(turn).id() })) + &options()
}

fn options() -> String {
    frame(&json!({ "type": "stream_options", "stream_options": { "allow_cancel": true } }))
}

/// Why there is no answer, or no more of it.
pub(super) fn failed(failure: &Failure) -> String {
    failure.log();
    let event = match failure {
        Failure::Invalid(issues) => {
            let message = issues.sentences().join("; ");
            json!({ "type": "error", "code": "custom", "message": message.trim_start_matches(": "), "allow_retry": false })
        }
        Failure::Model(_) | Failure::Overtaken => {
            let trouble = Trouble::of(failure);
            let (message, allow_retry) = (trouble.detail(), trouble.is_passing());
            json!({ "type": "error", "code": "custom", "message": message, "allow_retry": allow_retry })
        }
        _ => json!({ "type": "error", "code": "stream.error", "allow_retry": true }),
    };
    frame(&event)
}

/// A run as frames.
pub(super) struct Frames {
    run: Run,
    /// What goes out before anything else.
    first: Option<String>,
    /// A thread that is told its title in the end.
    titled: Option<Conversation>,
    /// What was said in this turn before.
    before: String,
    /// The answer, once it has begun.
    answer: Option<Begun>,
}

struct Begun {
    at: Timestamp,
    text: String,
}

impl Frames {
    pub(super) fn of(run: Run, first: String, titled: Option<Conversation>) -> Self {
        let before = run.turn().text();
        Self { run, first: Some(first), titled, before, answer: None }
    }

    fn write(&mut self, out: &mut String, event: Event) {
        match event {
            Event::Text(delta) => self.say(out, &delta),
            Event::Call(call) => {
                let title = tools::find(&call.name).and_then(|tool| tool.title);
                if let Some(title) = title {
                    out.push_str(&frame(&json!({ "type": "progress_update", "text": title })));
                }
            }
            Event::Quiet => out.push_str(KEEP_ALIVE),
            Event::Done(_) => {
                self.close(out);
                if let Some(conversation) = self.titled.take() {
                    let thread = items::thread(&conversation, None);
                    out.push_str(&frame(&json!({ "type": "thread.updated", "thread": thread })));
                }
            }
            Event::Failed(failure) => {
                self.close(out);
                out.push_str(&failed(&failure));
            }
            Event::Result(_) | Event::Approval(_) | Event::Usage(_) => {}
        }
    }

    fn say(&mut self, out: &mut String, delta: &str) {
        if self.answer.is_none() {
            // What earlier rounds of the same answer said belongs to it as well.
            let (at, before) = (Timestamp::now(), std::mem::take(&mut self.before));
            let item = items::assistant_message(self.run.conversation(), self.run.turn(), at, None);
            out.push_str(&frame(&json!({ "type": "thread.item.added", "item": item })));
            out.push_str(&self.update(json!({
                "type": "assistant_message.content_part.added", "content_index": 0, "content": items::part(""),
            })));
            self.answer = Some(Begun { at, text: String::new() });
            if !before.is_empty() {
                self.add(out, &before);
            }
        }
        self.add(out, delta);
    }

    fn add(&mut self, out: &mut String, delta: &str) {
        out.push_str(&self.update(json!({
            "type": "assistant_message.content_part.text_delta", "content_index": 0, "delta": delta,
        })));
        if let Some(answer) = &mut self.answer {
            answer.text.push_str(delta);
        }
    }

    fn close(&mut self, out: &mut String) {
        let Some(Begun { at, text }) = self.answer.take() else { return };
        out.push_str(&self.update(json!({
            "type": "assistant_message.content_part.done", "content_index": 0, "content": items::part(&text),
        })));
        let item = items::assistant_message(self.run.conversation(), self.run.turn(), at, Some(&text));
        out.push_str(&frame(&json!({ "type": "thread.item.done", "item": item })));
    }

    fn update(&self, update: Value) -> String {
        let item_id = Item::answer(self.run.turn()).id();
        frame(&json!({ "type": "thread.item.updated", "item_id": item_id, "update": update }))
    }
}

impl Iterator for Frames {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first.into());
        }
        let mut out = String::new();
        // Some events have nothing to show.
        while out.is_empty() {
            let event = self.run.next()?;
            self.write(&mut out, event);
            while let Some(event) = self.run.ready() {
                self.write(&mut out, event);
            }
        }
        Some(out.into())
    }
}

/// The reference server sends data and nothing else.
fn frame(event: &Value) -> String {
    format!("data: {event}\n\n")
}
