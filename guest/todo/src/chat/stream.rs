//! The chat as server-sent events.

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::run::{Event, Run};
use super::shape::{Reply, Tokens, ToolCall};
use super::trouble::Trouble;
use crate::settings::ReplyKey;

/// What a reader sees when there is nothing to see.
pub const KEEP_ALIVE: &str = ": still here\n\n";

/// A body of server-sent events, which no proxy may hold back or keep.
pub fn response(frames: impl Iterator<Item = Bytes> + Send + Unpin + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (StatusCode::OK, headers, innkeeper_guest::streamed(frames)).into_response()
}

/// A run as frames: all that is there at once goes out in one piece.
pub struct Frames {
    run: Run,
    key: ReplyKey,
    begun: bool,
}

impl Frames {
    /// The frames of a run.
    pub fn of(run: Run, key: ReplyKey) -> Self {
        Self { run, key, begun: false }
    }

    fn write(&self, text: &mut String, event: Event) {
        let conversation_id = self.run.conversation();
        match event {
            Event::Text(delta) => frame(text, "delta", &json!({ "delta": delta })),
            Event::Call(call) => frame(text, "tool_call", &ToolCall::announced(&call)),
            Event::Result(call) => frame(text, "tool_result", &ToolCall::of(&call)),
            Event::Approval(calls) => {
                let calls: Vec<_> = calls.iter().map(ToolCall::of).collect();
                frame(text, "approval_required", &json!({ "conversation_id": conversation_id, "tool_calls": calls }));
            }
            Event::Usage(usage) => frame(text, "usage", &Tokens::of(usage)),
            Event::Quiet => text.push_str(KEEP_ALIVE),
            Event::Done(answer) => frame(text, "done", &Reply::of(&answer, self.key)),
            Event::Failed(failure) => {
                failure.log();
                frame(text, "error", &Trouble::of(&failure).in_conversation(conversation_id));
            }
        }
    }
}

impl Iterator for Frames {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut text = String::new();
        if self.begun {
            let event = self.run.next()?;
            self.write(&mut text, event);
        } else {
            // Who is cut off later still knows where to go on.
            self.begun = true;
            let ids = json!({ "conversation_id": self.run.conversation(), "user_message_id": self.run.turn().ask.id });
            frame(&mut text, "start", &ids);
        }
        while let Some(event) = self.run.ready() {
            self.write(&mut text, event);
        }
        Some(text.into())
    }
}

/// One event. JSON has no line breaks of its own, so that one line holds it.
fn frame(text: &mut String, name: &str, data: &impl Serialize) {
    // Only a map with keys that are not strings fails, and there is none here.
    let data = serde_json::to_string(data).unwrap_or_default();
    text.push_str(&format!("event: {name}\ndata: {data}\n\n"));
}
