//! One event of a chat answer. Every field may be absent, null, or of another type.

use serde::Deserialize;
use serde_json::Value;

use crate::broker::llm::Finish;
use crate::broker::llm::upstream::delta::{Delta, Fragment, WireUsage};
use crate::broker::llm::upstream::failure::Envelope;
use crate::broker::llm::upstream::lenient::{Number, Text, soft};

/// One event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk {
    choices: Option<Vec<Choice>>,
    #[serde(deserialize_with = "soft")]
    usage: Option<WireUsage>,
    error: Option<Value>,
    /// `error` where an error is not wrapped.
    object: Text,
    code: Text,
    #[serde(rename = "type")]
    kind: Text,
    message: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    index: Number,
    delta: Option<Said>,
    /// In place of `delta` from a server that does not stream.
    message: Option<Said>,
    finish_reason: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    content: Text,
    refusal: Text,
    reasoning: Text,
    reasoning_content: Text,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call {
    index: Number,
    id: Text,
    function: Option<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function {
    name: Text,
    arguments: Text,
}

impl Chunk {
    /// What it says. An error in it is all that it says.
    pub(super) fn read(self) -> Vec<Delta> {
        if let Some(error) = self.error() {
            return vec![Delta::Failed(error)];
        }
        // One answer is asked for, and the first is it.
        let choices = self.choices.unwrap_or_default().into_iter().filter(|choice| choice.index.0.unwrap_or(0) == 0);
        let mut deltas: Vec<Delta> = choices.flat_map(Choice::read).collect();
        deltas.extend(self.usage.and_then(WireUsage::read).map(Delta::Usage));
        deltas
    }

    fn error(&self) -> Option<Envelope> {
        if self.object.as_str() == "error" {
            let text = |text: &Text| text.as_str().to_owned();
            return Some(Envelope { code: text(&self.code), kind: text(&self.kind), message: text(&self.message) });
        }
        match self.error.as_ref()? {
            Value::Bool(false) => None,
            Value::String(text) if text.is_empty() => None,
            Value::Object(fields) if fields.is_empty() => None,
            Value::String(text) => {
                let (code, kind) = (self.code.as_str().to_owned(), self.kind.as_str().to_owned());
                Some(Envelope { code, kind, message: text.clone() })
            }
            error => Some(Envelope::read(error)),
        }
    }
}

impl Choice {
    fn read(self) -> Vec<Delta> {
        let mut deltas = Vec::new();
        for said in [self.delta, self.message].into_iter().flatten() {
            // Some servers send the same thought under both names.
            let thought = said.reasoning_content.some().or_else(|| said.reasoning.some());
            deltas.extend(thought.map(Delta::Reasoning));
            deltas.extend(said.content.some().map(Delta::Text));
            deltas.extend(said.refusal.some().map(Delta::Refusal));
            let calls = said.tool_calls.unwrap_or_default().into_iter().enumerate();
            deltas.extend(calls.map(|(position, call)| Delta::Call(call.read(position))));
        }
        deltas.extend(self.finish_reason.some().map(|reason| Delta::Finish(finish(&reason))));
        deltas
    }
}

impl Call {
    fn read(self, position: usize) -> Fragment {
        let function = self.function.unwrap_or_default();
        Fragment {
            index: self.index.0,
            id: self.id.into_string(),
            position,
            name: function.name.into_string(),
            arguments: function.arguments.into_string(),
        }
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunk, Delta};
    use crate::broker::llm::{Finish, Usage};

    fn read(json: &str) -> Vec<Delta> {
        serde_json::from_str::<Chunk>(json).expect("a chunk").read()
    }

    #[test]
    fn a_chunk_is_read_whatever_is_missing_or_more() {
        assert_eq!(read("{}"), []);
        assert_eq!(read(r#"{"choices":null,"usage":null,"error":null,"created":1.5,"service_tier":"x"}"#), []);
        assert_eq!(read(r#"{"choices":[],"id":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#), []);
        assert_eq!(
            read(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#),
            []
        );
        assert_eq!(read(r#"{"choices":[{"delta":null,"finish_reason":""}]}"#), []);
        assert_eq!(read(r#"{"choices":[{"index":1,"delta":{"content":"other"}}]}"#), []);
        let filtered = r#"{"choices":[{"index":0,"finish_reason":"content_filter","content_filter_results":{}}]}"#;
        assert_eq!(read(filtered), [Delta::Finish(Finish::ContentFilter)]);
        assert_eq!(read(r#"{"choices":[{"finish_reason":"eos"}]}"#), [Delta::Finish(Finish::Other)]);
        let thought = r#"{"choices":[{"delta":{"content":"b","reasoning":"a","reasoning_content":"a"}}]}"#;
        assert_eq!(read(thought), [Delta::Reasoning("a".into()), Delta::Text("b".into())]);
    }

    #[test]
    fn usage_is_read_beside_choices_and_in_parts() {
        let usage = |input, output| Usage { input, output, ..Usage::default() };
        let beside = r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        assert_eq!(read(beside), [Delta::Text("a".into()), Delta::Usage(usage(3, 4))]);
        assert_eq!(read(r#"{"usage":{"prompt_tokens":3.0,"total_tokens":7}}"#), [Delta::Usage(usage(3, 4))]);
        let detailed = r#"{"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2},
            "completion_tokens_details":{"reasoning_tokens":1}}}"#;
        assert_eq!(read(detailed), [Delta::Usage(Usage { cached_input: 2, reasoning: 1, ..usage(3, 4) })]);
        assert_eq!(read(r#"{"usage":{}}"#), []);
        assert_eq!(read(r#"{"usage":[1]}"#), []);
        assert_eq!(read(r#"{"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":5}}"#).len(), 1);
    }

    #[test]
    fn an_error_is_all_that_a_chunk_says() {
        for (json, code, message) in [
            (r#"{"error":{"code":502,"message":"bad"},"choices":[{"delta":{"content":"a"}}]}"#, "502", "bad"),
            (r#"{"error":"bad","code":"x"}"#, "x", "bad"),
            (r#"{"object":"error","message":"bad","code":40}"#, "40", "bad"),
        ] {
            let [Delta::Failed(error)] = &read(json)[..] else { panic!("{json}") };
            assert_eq!((&*error.code, &*error.message), (code, message));
        }
        for none in [r#"{"error":false}"#, r#"{"error":""}"#, r#"{"error":{}}"#] {
            assert_eq!(read(none), [], "{none}");
        }
    }
}
