//! What clients get to see: under every name that one of them reads.

use innkeeper_guest::Timestamp;
use innkeeper_guest::llm::Usage;
use serde::Serialize;
use serde_json::value::RawValue;

use super::run::Answer;
use super::store::Conversation;
use super::turn::{Call, Status, Turn};
use crate::check::datetime;
use crate::settings::ReplyKey;

const WAITING: &str = r#"{"success":false,"error":"This call waits for your approval."}"#;

/// An answer of the chat.
#[derive(Serialize)]
pub struct Reply<'a> {
    conversation_id: i64,
    response: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    message_id: i64,
    #[serde(serialize_with = "datetime::write")]
    created_at: Timestamp,
    #[serde(serialize_with = "datetime::write")]
    timestamp: Timestamp,
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approval_required: Vec<ToolCall<'a>>,
    finish_reason: &'static str,
    usage: Tokens,
}

impl<'a> Reply<'a> {
    /// The answer as clients get it.
    pub fn of(answer: &'a Answer, key: ReplyKey) -> Self {
        Self {
            conversation_id: answer.conversation,
            response: &answer.text,
            message: (key == ReplyKey::Both).then_some(&answer.text),
            message_id: answer.message,
            created_at: answer.created_at,
            timestamp: answer.created_at,
            tool_calls: answer.calls.iter().map(ToolCall::of).collect(),
            approval_required: answer.pending.iter().map(ToolCall::of).collect(),
            finish_reason: answer.finish.word(),
            usage: Tokens::of(answer.usage),
        }
    }
}

/// A call, in the shapes that OpenAI, its agents and the surveyed clients have.
#[derive(Serialize)]
pub struct ToolCall<'a> {
    id: String,
    name: &'a str,
    tool: &'a str,
    tool_name: &'a str,
    arguments: Box<RawValue>,
    args: Box<RawValue>,
    parameters: Box<RawValue>,
    function: Function<'a>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> ToolCall<'a> {
    /// The call as clients get it. Its id is the database's: the model's own are
    /// given again and again, and an approval must fit one call only.
    pub fn of(call: &'a Call) -> Self {
        let arguments = object(&call.arguments);
        let result = if call.status == Status::Pending { WAITING } else { call.outcome() };
        Self {
            id: call_id(call.id),
            name: &call.name,
            tool: &call.name,
            tool_name: &call.name,
            arguments: arguments.clone(),
            args: arguments.clone(),
            parameters: arguments,
            function: Function { name: &call.name, arguments: &call.arguments },
            status: call.status.word(),
            result: Some(object(result)),
        }
    }

    /// A call that was asked for and has nothing to show yet.
    pub fn announced(call: &'a Call) -> Self {
        Self { result: None, ..Self::of(call) }
    }
}

/// How clients name a call.
pub fn call_id(id: i64) -> String {
    format!("call_{id}")
}

/// The JSON object of this text; an empty one when it is none.
fn object(text: &str) -> Box<RawValue> {
    let raw = serde_json::from_str::<Box<RawValue>>(text).ok().filter(|raw| raw.get().starts_with('{'));
    raw.or_else(|| RawValue::from_string("{}".to_owned()).ok()).unwrap_or_default()
}

/// What a turn has used.
#[derive(Serialize)]
pub struct Tokens {
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    total_tokens: u64,
    estimated: bool,
}

impl Tokens {
    /// The usage as clients get it.
    pub fn of(usage: Usage) -> Self {
        let Usage { input, cached_input, output, reasoning, estimated } = usage;
        Self {
            input_tokens: input,
            cached_input_tokens: cached_input,
            output_tokens: output,
            reasoning_tokens: reasoning,
            total_tokens: input + output,
            estimated,
        }
    }
}

/// A conversation in a list, or with its messages.
#[derive(Serialize)]
pub struct Listed<'a> {
    id: i64,
    user_id: &'a str,
    title: &'a str,
    #[serde(serialize_with = "datetime::write")]
    created_at: Timestamp,
    #[serde(serialize_with = "datetime::write")]
    updated_at: Timestamp,
    message_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Entry<'a>>>,
}

impl<'a> Listed<'a> {
    /// The conversation as clients get it.
    pub fn of(conversation: &'a Conversation, messages: Option<Vec<Entry<'a>>>) -> Self {
        let Conversation { id, user_id, title, created_at, updated_at, message_count, turns: _ } = conversation;
        let (created_at, updated_at) = (*created_at, *updated_at);
        Self { id: *id, user_id, title, created_at, updated_at, message_count: *message_count, messages }
    }
}

/// A message. A turn has one of the user and one of the assistant, however many
/// rounds the latter took.
#[derive(Serialize)]
pub struct Entry<'a> {
    id: i64,
    conversation_id: i64,
    user_id: &'a str,
    role: &'static str,
    content: String,
    #[serde(serialize_with = "datetime::write")]
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// The messages of a turn.
    pub fn of_turn(conversation: &'a Conversation, turn: &'a Turn) -> impl Iterator<Item = Self> {
        let (conversation_id, user_id) = (conversation.id, conversation.user_id.as_str());
        let user = Self {
            id: turn.ask.id,
            conversation_id,
            user_id,
            role: "user",
            content: turn.ask.content.clone(),
            created_at: turn.ask.created_at,
            tool_calls: None,
            finish_reason: None,
        };
        let assistant = turn.steps.last().map(|last| Self {
            id: last.message.id,
            conversation_id,
            user_id,
            role: "assistant",
            content: turn.text(),
            created_at: last.message.created_at,
            tool_calls: Some(turn.calls().map(ToolCall::of).collect()),
            finish_reason: Some(&last.message.finish),
        });
        std::iter::once(user).chain(assistant)
    }
}
