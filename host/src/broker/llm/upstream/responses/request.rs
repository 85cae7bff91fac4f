//! What is asked, as `/responses` wants it.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::kept::{self, Kept};
use crate::broker::llm::upstream::body::{arguments, data_url, effort, schema_of};
use crate::broker::llm::upstream::schema;
use crate::broker::llm::{Format, LlmError, Message, Part, Request, Tool, ToolCall, ToolChoice, Turn};
use crate::config::{LlmModel, Quirks};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Item<'a>>,
    stream: bool,
    /// Nothing is left at the provider.
    store: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offered<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextOptions<'a>>,
}

#[derive(Serialize)]
struct Reasoning {
    effort: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Message {
        role: &'static str,
        content: Content<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        phase: Option<&'static str>,
    },
    Call(Call<'a>),
    Output(Output<'a>),
    /// Rebuilt by `kept`.
    Reasoning(Value),
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function_call")]
struct Call<'a> {
    call_id: &'a str,
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function_call_output")]
struct Output<'a> {
    call_id: &'a str,
    output: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<InputPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum InputPart<'a> {
    InputText { text: &'a str },
    InputImage { image_url: String, detail: &'static str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct Offered<'a> {
    name: &'a str,
    description: &'a str,
    parameters: Box<RawValue>,
    /// Always said: here it is the default, which most schemas do not fit.
    strict: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Mode(&'static str),
    Function { r#type: &'static str, name: &'a str },
}

#[derive(Serialize)]
struct TextOptions<'a> {
    format: TextFormat<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TextFormat<'a> {
    JsonObject,
    JsonSchema { name: &'a str, schema: Box<RawValue>, strict: bool },
}

/// The body of a request.
///
/// # Errors
/// When a schema in it is not JSON, or a continuation is not this host's.
pub(in crate::broker::llm::upstream) fn request(
    config: &LlmModel,
    request: &Request,
) -> Result<Box<RawValue>, LlmError> {
    let quirks = &config.quirks;
    let mut input = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        push(&mut input, message, quirks)?;
    }
    let has_tools = !request.tools.is_empty();
    let body = Body {
        model: &config.model,
        input,
        stream: true,
        store: false,
        // Models that do not reason refuse to be asked for it.
        include: if quirks.effort { &["reasoning.encrypted_content"] } else { &[] },
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature.filter(|_| quirks.temperature),
        reasoning: request.effort.filter(|_| quirks.effort).map(|wanted| Reasoning { effort: effort(wanted) }),
        tools: request.tools.iter().map(|tool| offer(tool, quirks)).collect::<Result<_, _>>()?,
        tool_choice: choice(&request.tool_choice).filter(|_| has_tools && quirks.tool_choice),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| has_tools && quirks.parallel_tool_calls),
        text: format(&request.format, quirks)?.map(|format| TextOptions { format }),
    };
    serde_json::value::to_raw_value(&body).map_err(|_| LlmError::Invalid("it cannot be written as JSON".to_owned()))
}

fn push<'a>(input: &mut Vec<Item<'a>>, message: &'a Message, quirks: &Quirks) -> Result<(), LlmError> {
    match message {
        Message::System(text) => {
            let role = if quirks.developer_role { "developer" } else { "system" };
            input.push(Item::Message { role, content: Content::Text(text), phase: None });
        }
        Message::User(parts) => input.push(Item::Message { role: "user", content: content(parts), phase: None }),
        Message::Assistant(turn) => push_turn(input, turn)?,
        Message::Tool { call_id, content } => input.push(Item::Output(Output { call_id, output: content })),
    }
    Ok(())
}

/// A turn in the order in which it was said, as far as the guest has kept it. What
/// is said comes from the turn alone.
fn push_turn<'a>(input: &mut Vec<Item<'a>>, turn: &'a Turn) -> Result<(), LlmError> {
    let kept = turn.continuation.as_deref().map(kept::read).transpose()?.unwrap_or_default();
    let mut text = turn.text.as_deref().or(turn.refusal.as_deref());
    let mut calls: Vec<&ToolCall> = turn.tool_calls.iter().collect();
    let said = |text, phase| Item::Message { role: "assistant", content: Content::Text(text), phase };
    for kept in kept {
        match kept {
            Kept::Reasoning(item) => input.push(Item::Reasoning(item)),
            Kept::Text(phase) => input.extend(text.take().map(|text| said(text, phase))),
            Kept::Call(id) => {
                if let Some(at) = calls.iter().position(|call| call.id == id) {
                    input.push(called(calls.remove(at)));
                }
            }
        }
    }
    input.extend(text.map(|text| said(text, None)));
    input.extend(calls.into_iter().map(called));
    Ok(())
}

fn called(call: &ToolCall) -> Item<'_> {
    Item::Call(Call { call_id: &call.id, name: &call.name, arguments: arguments(call) })
}

fn content(parts: &[Part]) -> Content<'_> {
    if let [Part::Text(text)] = parts {
        return Content::Text(text);
    }
    Content::Parts(parts.iter().map(part).collect())
}

fn part(part: &Part) -> InputPart<'_> {
    match part {
        Part::Text(text) => InputPart::InputText { text },
        Part::Image { mime_type, data } => {
            InputPart::InputImage { image_url: data_url(mime_type, data), detail: "auto" }
        }
    }
}

fn offer<'a>(tool: &'a Tool, quirks: &Quirks) -> Result<Offered<'a>, LlmError> {
    let Tool { name, description, parameters, strict } = tool;
    let strict = quirks.strict && *strict && schema::is_strict(parameters);
    Ok(Offered { name, description, parameters: schema_of(name, parameters)?, strict })
}

/// None: the server's own habit, which is the same.
fn choice(choice: &ToolChoice) -> Option<Choice<'_>> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(Choice::Mode("none")),
        ToolChoice::Required => Some(Choice::Mode("required")),
        ToolChoice::Named(name) => Some(Choice::Function { r#type: "function", name }),
    }
}

fn format<'a>(format: &'a Format, quirks: &Quirks) -> Result<Option<TextFormat<'a>>, LlmError> {
    Ok(match format {
        Format::Text => None,
        Format::JsonObject => Some(TextFormat::JsonObject),
        Format::JsonSchema { name, schema, strict } => {
            let strict = quirks.strict && *strict && schema::is_strict(schema);
            Some(TextFormat::JsonSchema { name, schema: schema_of(name, schema)?, strict })
        }
    })
}
