//! One event of a Responses answer. Unknown ones say nothing.

use serde::Deserialize;
use serde_json::Value;

use super::kept;
use crate::broker::llm::Finish;
use crate::broker::llm::upstream::delta::{Delta, Fragment, WireUsage};
use crate::broker::llm::upstream::failure::Envelope;
use crate::broker::llm::upstream::lenient::{Number, Text, soft};

/// One event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireEvent {
    #[serde(rename = "type")]
    kind: Text,
    delta: Text,
    output_index: Number,
    arguments: Text,
    item: Option<Value>,
    response: Option<Response>,
    error: Option<Value>,
    code: Text,
    message: Text,
    /// `response` from a server that does not stream: the fields below are its.
    object: Text,
    status: Text,
    output: Option<Vec<Value>>,
    #[serde(deserialize_with = "soft")]
    usage: Option<WireUsage>,
    incomplete_details: Option<Incomplete>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response {
    status: Text,
    output: Option<Vec<Value>>,
    #[serde(deserialize_with = "soft")]
    usage: Option<WireUsage>,
    error: Option<Value>,
    incomplete_details: Option<Incomplete>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Incomplete {
    reason: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(rename = "type")]
    kind: Text,
    call_id: Text,
    name: Text,
    arguments: Text,
    content: Option<Vec<Content>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    text: Text,
    refusal: Text,
}

impl WireEvent {
    /// What it says.
    pub(super) fn read(self) -> Vec<Delta> {
        let index = self.output_index.0;
        match self.kind.as_str() {
            "response.output_text.delta" => vec![Delta::Text(self.delta.into_string())],
            "response.refusal.delta" => vec![Delta::Refusal(self.delta.into_string())],
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                vec![Delta::Reasoning(self.delta.into_string())]
            }
            "response.output_item.added" => self.item.and_then(|item| begun(item, index)).into_iter().collect(),
            "response.function_call_arguments.delta" => {
                let arguments = self.delta.into_string();
                vec![Delta::Call(Fragment { index, arguments, ..Fragment::default() })]
            }
            "response.function_call_arguments.done" if index.is_some() => {
                let arguments = self.arguments.into_string();
                vec![Delta::WholeCall(Fragment { index, arguments, ..Fragment::default() })]
            }
            "response.output_item.done" => self.item.map(|item| done(item, index)).unwrap_or_default(),
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.response.unwrap_or_default().read()
            }
            "error" => vec![Delta::Failed(self.envelope())],
            "" if self.object.as_str() == "response" => {
                let Self { status, output, usage, error, incomplete_details, .. } = self;
                Response { status, output, usage, error, incomplete_details }.read()
            }
            "" if self.error.as_ref().is_some_and(|error| !error.is_null()) => vec![Delta::Failed(self.envelope())],
            _ => Vec::new(),
        }
    }

    fn envelope(self) -> Envelope {
        match self.error {
            Some(error) if !error.is_null() => Envelope::read(&error),
            _ => Envelope { code: self.code.into_string(), message: self.message.into_string(), ..Envelope::default() },
        }
    }
}

impl Response {
    fn read(self) -> Vec<Delta> {
        let usage = self.usage.and_then(WireUsage::read).map(Delta::Usage);
        if self.status.as_str() == "failed" || self.error.as_ref().is_some_and(|error| !error.is_null()) {
            let failed = Delta::Failed(self.error.as_ref().map(Envelope::read).unwrap_or_default());
            return usage.into_iter().chain([failed]).collect();
        }
        let reason = self.incomplete_details.unwrap_or_default().reason;
        let finish = match (self.status.as_str(), reason.as_str()) {
            (_, "max_output_tokens") => Finish::Length,
            (_, "content_filter") => Finish::ContentFilter,
            ("incomplete", _) => Finish::Other,
            _ => Finish::Stop,
        };
        let output = self.output.unwrap_or_default();
        let items: Vec<Item> = output.iter().filter_map(|item| serde_json::from_value(item.clone()).ok()).collect();
        let parts = || items.iter().flat_map(|item| item.content.iter().flatten());
        let text: String = parts().map(|part| part.text.as_str()).collect();
        let refusal: String = parts().map(|part| part.refusal.as_str()).collect();
        let mut deltas = vec![Delta::WholeText(text), Delta::WholeRefusal(refusal)];
        for (index, item) in (0..).zip(output) {
            deltas.extend(done(item, Some(index)));
        }
        deltas.extend(usage);
        deltas.extend([Delta::Finish(finish), Delta::End]);
        deltas
    }
}

/// An item that has begun. Of calls the name is known.
fn begun(item: Value, index: Option<u64>) -> Option<Delta> {
    let item: Item = serde_json::from_value(item).ok()?;
    (item.kind.as_str() == "function_call").then(|| Delta::Call(item.call(index)))
}

/// An item that is complete.
fn done(item: Value, index: Option<u64>) -> Vec<Delta> {
    let mut deltas: Vec<Delta> = kept::item(&item).map(Delta::Keep).into_iter().collect();
    if let Ok(item) = serde_json::from_value::<Item>(item)
        && item.kind.as_str() == "function_call"
    {
        deltas.push(Delta::WholeCall(item.call(index)));
    }
    deltas
}

impl Item {
    fn call(self, index: Option<u64>) -> Fragment {
        Fragment {
            index,
            id: self.call_id.into_string(),
            position: 0,
            name: self.name.into_string(),
            arguments: self.arguments.into_string(),
        }
    }
}
