//! JSON Schemas as guests write them: small, shallow, and of an object.

use serde_json::Value;

/// Bytes of one schema; it is sent with every request.
const BYTES: usize = 32 << 10;
/// Levels of nesting. OpenAI takes ten of objects, each two or three levels here.
const DEPTH: usize = 32;

/// Whether it can be sent.
pub(super) fn check(text: &str) -> Result<(), String> {
    if text.len() > BYTES {
        return Err(format!("are over {BYTES} bytes"));
    }
    let Ok(schema) = serde_json::from_str::<Value>(text) else { return Err("are not JSON".to_owned()) };
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("are not a JSON Schema of type `object`".to_owned());
    }
    if is_deeper(&schema, DEPTH) {
        return Err(format!("are nested deeper than {DEPTH} levels"));
    }
    Ok(())
}

fn is_deeper(value: &Value, left: usize) -> bool {
    let Some(left) = left.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, left)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, left)),
        _ => false,
    }
}
