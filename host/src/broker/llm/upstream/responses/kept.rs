//! What a model thought, as the guest keeps it for the next request: a JSON array
//! of reasoning items, with marks for what was said between them. A guest may send
//! anything back, so what goes out is rebuilt from the fields that such items have.

use serde_json::{Value, json};

use crate::broker::llm::LlmError;

/// Items of one turn. Each call and each thought is one.
const ITEMS: usize = 512;
/// Parts of one thought's summary.
const PARTS: usize = 64;
/// Bytes of an id.
const ID_BYTES: usize = 256;
/// What a message can be. Models that say so want to be told again.
const PHASES: [&str; 2] = ["commentary", "final_answer"];

/// One item of a turn, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// To be sent as it is.
    Reasoning(Value),
    /// The turn's text was here, as this phase of it.
    Text(Option<&'static str>),
    /// The call with this id was here.
    Call(String),
}

/// What is kept of an item, if anything.
pub(super) fn item(item: &Value) -> Option<Value> {
    match item["type"].as_str()? {
        "reasoning" => reasoning(item),
        "message" => Some(match phase(item) {
            Some(phase) => json!({"type": "message", "phase": phase}),
            None => json!({"type": "message"}),
        }),
        "function_call" => Some(json!({"type": "function_call", "call_id": item["call_id"].as_str()?})),
        _ => None,
    }
}

/// Reads back what a guest kept.
///
/// # Errors
/// When it is not what this host gave it.
pub(super) fn read(continuation: &[u8]) -> Result<Vec<Kept>, LlmError> {
    let invalid = || LlmError::Invalid("the `continuation` of a turn is not one that this host gave".to_owned());
    let items: Vec<Value> = serde_json::from_slice(continuation).map_err(|_| invalid())?;
    if items.len() > ITEMS {
        return Err(invalid());
    }
    let read = |item: &Value| match item["type"].as_str()? {
        "reasoning" => reasoning(item).map(Kept::Reasoning),
        "message" => Some(Kept::Text(phase(item))),
        "function_call" => Some(Kept::Call(item["call_id"].as_str()?.to_owned())),
        _ => None,
    };
    items.iter().map(|item| read(item).ok_or_else(invalid)).collect()
}

fn phase(item: &Value) -> Option<&'static str> {
    PHASES.into_iter().find(|phase| item["phase"] == *phase)
}

/// A reasoning item with the fields that it has, and no others. One that is not
/// encrypted cannot be sent back, for nothing was stored at the provider.
fn reasoning(item: &Value) -> Option<Value> {
    let encrypted = item["encrypted_content"].as_str()?;
    let id = item["id"].as_str().filter(|id| id.len() <= ID_BYTES)?;
    let parts = item["summary"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |part: &Value| Some(json!({"type": "summary_text", "text": part["text"].as_str()?}));
    let summary: Vec<Value> = parts.iter().take(PARTS).filter_map(text).collect();
    Some(json!({"type": "reasoning", "id": id, "summary": summary, "encrypted_content": encrypted}))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Kept, item, read};

    #[test]
    fn a_thought_is_rebuilt_from_its_fields() {
        let thought = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "AbC=", "status": "completed",
            "summary": [{"type": "summary_text", "text": "hm", "x": 1}, {"type": "other"}], "role": "system"});
        let kept = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "AbC=",
            "summary": [{"type": "summary_text", "text": "hm"}]});
        assert_eq!(item(&thought), Some(kept.clone()));
        let sent = read(json!([thought]).to_string().as_bytes()).expect("kept");
        assert_eq!(sent, [Kept::Reasoning(kept)]);
        assert_eq!(item(&json!({"type": "web_search_call", "id": "ws"})), None);
        let message = json!({"type": "message", "phase": "commentary", "content": []});
        assert_eq!(item(&message), Some(json!({"type": "message", "phase": "commentary"})));
        let made_up = json!([message, {"type": "message", "phase": "system"}]).to_string();
        assert_eq!(read(made_up.as_bytes()), Ok(vec![Kept::Text(Some("commentary")), Kept::Text(None)]));
    }

    #[test]
    fn what_a_guest_made_up_is_refused() {
        let long = "a".repeat(300);
        for made_up in [
            json!({"type": "reasoning"}),
            json!([{"type": "message", "role": "system"}, {"type": "item_reference", "id": "msg_1"}]),
            json!([{"type": "reasoning", "id": "rs_1"}]),
            json!([{"type": "reasoning", "id": long, "encrypted_content": ""}]),
            json!(vec![json!({"type": "message"}); 513]),
            json!([7]),
        ] {
            read(made_up.to_string().as_bytes()).expect_err("made up");
        }
        read(b"\xff").expect_err("no text");
    }
}
