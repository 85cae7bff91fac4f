//! A turn, put together from what an upstream says, and told to the guest as it
//! comes.

use std::collections::VecDeque;

use serde_json::Value;

use super::calls::{Calls, TooMany};
use super::delta::Delta;
use super::estimate::Count;
use crate::broker::llm::{Event, Finish, Turn, Usage};

/// A turn that grows.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    text: String,
    refusal: String,
    calls: Calls,
    kept: Vec<Value>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    /// What has come, in tokens.
    said: Count,
}

/// A turn that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assembled {
    pub(super) turn: Turn,
    pub(super) finish: Finish,
}

impl Assembly {
    /// Adds what came, and appends what a guest hears of it. Errors and the end of
    /// the stream are not for here.
    pub(super) fn add(&mut self, delta: Delta, events: &mut VecDeque<Event>) -> Result<(), TooMany> {
        match delta {
            Delta::Text(text) | Delta::WholeText(text) | Delta::Refusal(text) | Delta::WholeRefusal(text)
                if text.is_empty() => {}
            Delta::WholeText(_) if !self.text.is_empty() => {}
            Delta::WholeRefusal(_) if !self.refusal.is_empty() => {}
            Delta::Text(text) | Delta::WholeText(text) => {
                self.said.add(&text);
                self.text.push_str(&text);
                events.push_back(Event::Text(text));
            }
            Delta::Refusal(text) | Delta::WholeRefusal(text) => {
                self.said.add(&text);
                self.refusal.push_str(&text);
                events.push_back(Event::Refusal(text));
            }
            Delta::Reasoning(text) if text.is_empty() => {}
            Delta::Reasoning(text) => {
                self.said.add(&text);
                events.push_back(Event::Reasoning(text));
            }
            Delta::Call(piece) => {
                self.said.add(&piece.arguments);
                self.calls.add(piece, events)?;
            }
            Delta::WholeCall(call) => self.calls.add_whole(call, events)?,
            Delta::Keep(item) => {
                if !self.kept.contains(&item) {
                    self.kept.push(item);
                }
            }
            Delta::Finish(finish) => {
                self.finish.get_or_insert(finish);
            }
            // The last one counts: some servers send one with every event.
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Failed(_) | Delta::End => {}
        }
        Ok(())
    }

    /// Whether the model said why it stopped.
    pub(super) fn has_finish(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether what came is a whole turn: why it stopped is known, or it wants
    /// tools and the stream ended with its mark.
    pub(super) fn is_whole(&self, has_mark: bool) -> bool {
        self.has_finish() || (has_mark && !self.calls.is_empty())
    }

    /// The upstream cut everything.
    pub(super) fn is_filtered(&self) -> bool {
        let is_empty = self.text.is_empty() && self.refusal.is_empty() && self.calls.is_empty();
        is_empty && self.finish == Some(Finish::ContentFilter)
    }

    /// What was said until now.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What the turn took, when the upstream said so.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Tokens that came back, counted here.
    pub(super) fn said(&self) -> u64 {
        self.said.tokens()
    }

    /// The whole turn. Calls that are complete are told to the guest now.
    pub(super) fn complete(&mut self, events: &mut VecDeque<Event>) -> Assembled {
        let tool_calls = self.calls.finish(events);
        let finish = match self.finish.unwrap_or(Finish::Other) {
            // Servers differ in what they call it when tools were called.
            Finish::Stop | Finish::Other if !tool_calls.is_empty() => Finish::ToolCalls,
            finish => finish,
        };
        let some = |text: String| (!text.is_empty()).then_some(text);
        let turn = Turn {
            text: some(std::mem::take(&mut self.text)),
            refusal: some(std::mem::take(&mut self.refusal)),
            tool_calls,
            continuation: self.continuation(),
        };
        Assembled { turn, finish }
    }

    /// Worth keeping only with something that the model thought in it: the other
    /// items are marks that keep its order.
    fn continuation(&mut self) -> Option<Vec<u8>> {
        let kept = std::mem::take(&mut self.kept);
        let is_thought = |item: &Value| item.get("type").and_then(Value::as_str) == Some("reasoning");
        if !kept.iter().any(is_thought) {
            return None;
        }
        serde_json::to_vec(&kept).ok()
    }
}

#[cfg(test)]
#[path = "assembly/tests.rs"]
mod tests;
