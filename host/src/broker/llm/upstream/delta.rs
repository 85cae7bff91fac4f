//! What both dialects say, in one set of words.

use serde::Deserialize;
use serde_json::Value;

use super::failure::Envelope;
use super::lenient::Number;
use crate::broker::llm::{Finish, Usage};

/// One thing that an upstream said.
#[derive(Debug, PartialEq)]
pub(super) enum Delta {
    /// More of the text.
    Text(String),
    /// All of the text. Counts when none of it came before.
    WholeText(String),
    /// More of the refusal.
    Refusal(String),
    /// All of the refusal. Counts when none of it came before.
    WholeRefusal(String),
    /// More of the thinking.
    Reasoning(String),
    /// More of a call.
    Call(Fragment),
    /// All of a call. What was there before stays.
    WholeCall(Fragment),
    /// What the model wants to be told again.
    Keep(Value),
    /// Why it stopped.
    Finish(Finish),
    /// What it took, until now.
    Usage(Usage),
    /// An error in the middle of the stream: the end.
    Failed(Envelope),
    /// The end, as the Responses interface marks it.
    End,
}

/// A piece of a call, with all that can tell which call it is a piece of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) index: Option<u64>,
    /// Empty when there is none.
    pub(super) id: String,
    /// Its place among the pieces that came with it.
    pub(super) position: usize,
    /// Empty when there is none.
    pub(super) name: String,
    pub(super) arguments: String,
}

/// Usage, by the names that both interfaces have for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireUsage {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Number,
    #[serde(alias = "completion_tokens")]
    output_tokens: Number,
    total_tokens: Number,
    #[serde(alias = "prompt_tokens_details", deserialize_with = "super::lenient::soft")]
    input_tokens_details: Option<InputDetails>,
    #[serde(alias = "completion_tokens_details", deserialize_with = "super::lenient::soft")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Number,
}

impl WireUsage {
    /// None when it does not say how much went in and came out.
    pub(super) fn read(self) -> Option<Usage> {
        let (input, output, total) = (self.input_tokens.0, self.output_tokens.0, self.total_tokens.0);
        let rest = |known: Option<u64>| Some(total?.saturating_sub(known?));
        Some(Usage {
            input: input.or_else(|| rest(output))?,
            cached_input: self.input_tokens_details.and_then(|details| details.cached_tokens.0).unwrap_or(0),
            output: output.or_else(|| rest(input))?,
            reasoning: self.output_tokens_details.and_then(|details| details.reasoning_tokens.0).unwrap_or(0),
            estimated: false,
        })
    }
}
