//! What the bodies of both dialects have in common.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::calls::is_object;
use crate::broker::llm::{Effort, LlmError, ToolCall};

/// A schema as JSON, in the order in which its author wrote it.
pub(super) fn schema_of(name: &str, text: &str) -> Result<Box<RawValue>, LlmError> {
    RawValue::from_string(text.to_owned()).map_err(|_| LlmError::Invalid(format!("the schema of `{name}` is not JSON")))
}

pub(super) fn effort(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
    }
}

pub(super) fn data_url(mime_type: &str, data: &[u8]) -> String {
    format!("data:{mime_type};base64,{}", STANDARD.encode(data))
}

/// Arguments as they are told again. Servers parse them, and some answer 500 to
/// those that a model got wrong; the answer to the call says what was wrong.
pub(super) fn arguments(call: &ToolCall) -> &str {
    if is_object(&call.arguments) { &call.arguments } else { "{}" }
}
