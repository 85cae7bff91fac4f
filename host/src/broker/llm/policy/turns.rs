//! The order of a conversation. Servers refuse one in which a call has no answer,
//! or an answer no call.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::{NAME_BYTES, invalid, is_of_a_name, printable};
use crate::broker::llm::error::LlmError;
use crate::broker::llm::model::{Message, Part, ToolCall};

/// Calls of one turn.
const CALLS: usize = 256;
/// Bytes of a call's id. Servers make ids of a few dozen.
const ID_BYTES: usize = 256;

/// Every call of a turn is answered once, before anything else is said.
pub(super) fn check(messages: &[Message]) -> Result<(), LlmError> {
    let mut open: HashSet<&str> = HashSet::new();
    for (index, message) in messages.iter().enumerate() {
        let number = index + 1;
        if let Message::Tool { call_id, .. } = message {
            if !open.remove(call_id.as_str()) {
                let id = printable(call_id);
                return Err(invalid(format!("message {number} answers the call `{id}`, which is not open there")));
            }
            continue;
        }
        check_answered(&open, &format!("before message {number}"))?;
        match message {
            Message::User(parts) if !parts.iter().any(|part| !matches!(part, Part::Text(text) if text.is_empty())) => {
                return Err(invalid(format!("message {number} says nothing")));
            }
            Message::Assistant(turn) => open = check_calls(&turn.tool_calls, number)?,
            _ => {}
        }
    }
    check_answered(&open, "at the end")
}

fn check_answered(open: &HashSet<&str>, place: &str) -> Result<(), LlmError> {
    match open.iter().min() {
        Some(id) => Err(invalid(format!("the call `{}` has no answer {place}", printable(id)))),
        None => Ok(()),
    }
}

fn check_calls(calls: &[ToolCall], number: usize) -> Result<HashSet<&str>, LlmError> {
    if calls.len() > CALLS {
        return Err(invalid(format!("message {number} has {} calls, and {CALLS} are the most", calls.len())));
    }
    let mut ids = HashSet::new();
    for call in calls {
        if !(1..=ID_BYTES).contains(&call.id.len()) || call.id.chars().any(char::is_control) {
            return Err(invalid(format!("message {number} has a call without an id, or with one that is none")));
        }
        if !ids.insert(call.id.as_str()) {
            return Err(invalid(format!("message {number} has two calls with the id `{}`", printable(&call.id))));
        }
    }
    Ok(ids)
}

/// What a model has said is told again in a form that its server takes: names of
/// tools that it made up, arguments that are no JSON object, and turns in which it
/// said nothing at all.
pub(super) fn mend(messages: &mut [Message]) {
    for message in messages {
        let Message::Assistant(turn) = message else { continue };
        if turn.text.is_none() && turn.refusal.is_none() && turn.tool_calls.is_empty() {
            turn.text = Some(String::new());
        }
        turn.tool_calls.iter_mut().for_each(mend_call);
    }
}

fn mend_call(call: &mut ToolCall) {
    if call.name.is_empty() || call.name.len() > NAME_BYTES || !call.name.chars().all(is_of_a_name) {
        let plain = call.name.chars().take(NAME_BYTES).map(|c| if is_of_a_name(c) { c } else { '_' });
        call.name = plain.collect();
    }
    if call.name.is_empty() {
        call.name.push('_');
    }
    let object = serde_json::from_str::<&RawValue>(&call.arguments).is_ok_and(|raw| raw.get().starts_with('{'));
    call.arguments_valid = object;
    if !object {
        call.arguments = "{}".to_owned();
    }
}
