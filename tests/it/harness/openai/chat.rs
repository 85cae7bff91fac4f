//! A turn as `/chat/completions` streams it.

use serde_json::{Value, json};

use super::turn::Turn;

/// Bytes of a fragment of arguments.
const FRAGMENT: usize = 7;

/// The events, each with its end.
pub(super) fn events(turn: &Turn, request: &Value) -> Vec<String> {
    let model = &request["model"];
    let said = request["messages"].as_array().map_or(0, Vec::len);
    let asked = request["stream_options"]["include_usage"] == true;
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let mut chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000,
            "model": model, "service_tier": "default", "choices": [choice]});
        if asked {
            chunk["usage"] = Value::Null;
        }
        chunk
    };
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null)];
    chunks.extend(turn.text.iter().map(|text| chunk(json!({ "content": text }), Value::Null)));
    chunks.extend(turn.refusal.iter().map(|text| chunk(json!({ "refusal": text }), Value::Null)));
    for (index, (_, name, arguments)) in turn.calls.iter().enumerate() {
        let id = turn.id(index, said);
        let first = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        chunks.push(chunk(json!({"tool_calls": [first]}), Value::Null));
        for fragment in fragments(arguments) {
            let more = json!({"index": index, "function": {"arguments": fragment}});
            chunks.push(chunk(json!({"tool_calls": [more]}), Value::Null));
        }
    }
    let finish = turn.finish.as_deref().unwrap_or(if turn.calls.is_empty() { "stop" } else { "tool_calls" });
    chunks.push(chunk(json!({}), json!(finish)));
    if let Some((input, output)) = turn.usage.filter(|_| asked) {
        let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}});
        chunks.push(json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000,
            "model": model, "service_tier": "default", "choices": [], "usage": usage}));
    }
    let events = chunks.into_iter().map(|chunk| format!("data: {chunk}\n\n"));
    events.chain(["data: [DONE]\n\n".to_owned()]).collect()
}

/// A text in pieces that are not cut inside a character.
pub(super) fn fragments(text: &str) -> Vec<String> {
    let mut fragments = vec![String::new()];
    for character in text.chars() {
        if fragments.last().is_some_and(|last| last.len() >= FRAGMENT) {
            fragments.push(String::new());
        }
        fragments.last_mut().expect("one").push(character);
    }
    fragments
}
