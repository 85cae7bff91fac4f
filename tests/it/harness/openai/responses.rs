//! A turn as `/responses` streams it.

use serde_json::{Value, json};

use super::chat::fragments;
use super::turn::Turn;

/// The events, each with its end.
pub(super) fn events(turn: &Turn, request: &Value) -> Vec<String> {
    let said = request["input"].as_array().map_or(0, Vec::len);
    let mut stream = Stream { events: Vec::new(), output: Vec::new() };
    let head =
        |status: &str| json!({"id": "resp_1", "object": "response", "status": status, "model": request["model"]});
    stream.push("response.created", json!({"response": head("in_progress")}));
    stream.push("response.in_progress", json!({"response": head("in_progress")}));
    if let Some(thought) = &turn.thought {
        stream.item(json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": thought}), |_, _| {
            Vec::new()
        });
    }
    if !turn.text.is_empty() || turn.refusal.is_some() {
        stream.item(message(turn), |item, index| said_in_pieces(turn, item, index));
    }
    for (at, (_, name, arguments)) in turn.calls.iter().enumerate() {
        let call = json!({"type": "function_call", "id": format!("fc_{at}"), "call_id": turn.id(at, said),
            "name": name, "arguments": arguments, "status": "completed"});
        stream.item(call, |item, index| {
            let delta = |fragment| {
                (
                    "response.function_call_arguments.delta",
                    json!({"item_id": item, "output_index": index, "delta": fragment}),
                )
            };
            let done = (
                "response.function_call_arguments.done",
                json!({"item_id": item, "output_index": index, "arguments": arguments}),
            );
            fragments(arguments).into_iter().map(delta).chain([done]).collect()
        });
    }
    stream.end(turn, head)
}

struct Stream {
    events: Vec<String>,
    output: Vec<Value>,
}

impl Stream {
    fn push(&mut self, kind: &str, mut event: Value) {
        event["type"] = json!(kind);
        event["sequence_number"] = json!(self.events.len());
        self.events.push(format!("event: {kind}\ndata: {event}\n\n"));
    }

    /// An item with what comes between its beginning and its end.
    fn item(&mut self, item: Value, between: impl FnOnce(&Value, usize) -> Vec<(&'static str, Value)>) {
        let index = self.output.len();
        let mut begun = item.clone();
        for (field, empty) in [("arguments", json!("")), ("content", json!([]))] {
            if begun.get(field).is_some() {
                begun[field] = empty;
            }
        }
        self.push("response.output_item.added", json!({"output_index": index, "item": begun}));
        for (kind, event) in between(&item["id"], index) {
            self.push(kind, event);
        }
        self.push("response.output_item.done", json!({"output_index": index, "item": item}));
        self.output.push(item);
    }

    fn end(mut self, turn: &Turn, head: impl Fn(&str) -> Value) -> Vec<String> {
        let reason = match turn.finish.as_deref() {
            Some("length") => Some("max_output_tokens"),
            Some("content_filter") => Some("content_filter"),
            _ => None,
        };
        let status = if reason.is_some() { "incomplete" } else { "completed" };
        let mut response = head(status);
        response["output"] = json!(self.output);
        response["incomplete_details"] = reason.map_or(Value::Null, |reason| json!({ "reason": reason }));
        if let Some((input, output)) = turn.usage {
            response["usage"] = json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output});
        }
        self.push(&format!("response.{status}"), json!({ "response": response }));
        self.events
    }
}

fn message(turn: &Turn) -> Value {
    let part = match &turn.refusal {
        Some(refusal) => json!({"type": "refusal", "refusal": refusal}),
        None => json!({"type": "output_text", "text": turn.text.concat(), "annotations": []}),
    };
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]})
}

fn said_in_pieces(turn: &Turn, item: &Value, index: usize) -> Vec<(&'static str, Value)> {
    let event = |delta: &String| json!({"item_id": item, "output_index": index, "content_index": 0, "delta": delta});
    let text = turn.text.iter().map(|text| ("response.output_text.delta", event(text)));
    text.chain(turn.refusal.iter().map(|text| ("response.refusal.delta", event(text)))).collect()
}
