//! What is asked, as `/chat/completions` wants it: what all servers understand,
//! and what the alias's quirks say that this one does.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::broker::llm::upstream::body::{arguments, data_url, effort, schema_of};
use crate::broker::llm::upstream::schema;
use crate::broker::llm::{Format, LlmError, Message, Part, Request, Tool, ToolCall, ToolChoice, Turn};
use crate::config::{LlmModel, Quirks};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Offered<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Said<'a> {
    System {
        content: &'a str,
    },
    Developer {
        content: &'a str,
    },
    User {
        content: Content<'a>,
    },
    Assistant {
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Called<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: &'a str,
    },
}

/// A text alone is sent as one: not every server knows parts.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<ContentPart<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentPart<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl },
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct Called<'a> {
    id: &'a str,
    function: CalledFunction<'a>,
}

#[derive(Serialize)]
struct CalledFunction<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "function")]
struct Offered<'a> {
    function: OfferedFunction<'a>,
}

#[derive(Serialize)]
struct OfferedFunction<'a> {
    name: &'a str,
    description: &'a str,
    parameters: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Mode(&'static str),
    Function { r#type: &'static str, function: Named<'a> },
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: AnswerSchema<'a> },
}

#[derive(Serialize)]
struct AnswerSchema<'a> {
    name: &'a str,
    schema: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

/// The body of a request.
///
/// # Errors
/// When a schema in it is not JSON.
pub(in crate::broker::llm::upstream) fn request(
    config: &LlmModel,
    request: &Request,
) -> Result<Box<RawValue>, LlmError> {
    let quirks = &config.quirks;
    let limit = request.max_output_tokens;
    // A server that cannot be told not to call tools is not told of any.
    let offered = if request.tool_choice == ToolChoice::None && !quirks.tool_choice { &[] } else { &request.tools[..] };
    let has_tools = !offered.is_empty();
    let body = Body {
        model: &config.model,
        messages: request.messages.iter().map(|message| said(message, quirks)).collect(),
        stream: true,
        stream_options: quirks.usage.then_some(StreamOptions { include_usage: true }),
        max_completion_tokens: limit.filter(|_| quirks.max_completion_tokens),
        max_tokens: limit.filter(|_| !quirks.max_completion_tokens),
        temperature: request.temperature.filter(|_| quirks.temperature),
        reasoning_effort: request.effort.filter(|_| quirks.effort).map(effort),
        stop: &request.stop,
        tools: offered.iter().map(|tool| offer(tool, quirks)).collect::<Result<_, _>>()?,
        tool_choice: choice(&request.tool_choice).filter(|_| has_tools && quirks.tool_choice),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| has_tools && quirks.parallel_tool_calls),
        response_format: response_format(&request.format, quirks)?,
    };
    serde_json::value::to_raw_value(&body).map_err(|_| LlmError::Invalid("it cannot be written as JSON".to_owned()))
}

fn said<'a>(message: &'a Message, quirks: &Quirks) -> Said<'a> {
    match message {
        Message::System(content) if quirks.developer_role => Said::Developer { content },
        Message::System(content) => Said::System { content },
        Message::User(parts) => Said::User { content: content(parts) },
        Message::Assistant(turn) => assistant(turn),
        Message::Tool { call_id, content } => Said::Tool { tool_call_id: call_id, content },
    }
}

fn content(parts: &[Part]) -> Content<'_> {
    if let [Part::Text(text)] = parts {
        return Content::Text(text);
    }
    Content::Parts(parts.iter().map(part).collect())
}

fn part(part: &Part) -> ContentPart<'_> {
    match part {
        Part::Text(text) => ContentPart::Text { text },
        Part::Image { mime_type, data } => {
            ContentPart::ImageUrl { image_url: ImageUrl { url: data_url(mime_type, data) } }
        }
    }
}

fn called(call: &ToolCall) -> Called<'_> {
    Called { id: &call.id, function: CalledFunction { name: &call.name, arguments: arguments(call) } }
}

fn assistant(turn: &Turn) -> Said<'_> {
    let tool_calls: Vec<Called<'_>> = turn.tool_calls.iter().map(called).collect();
    // Few servers know a field for refusals; all know what was said.
    let text = turn.text.as_deref().or(turn.refusal.as_deref());
    Said::Assistant { content: text.or(tool_calls.is_empty().then_some("")), tool_calls }
}

fn offer<'a>(tool: &'a Tool, quirks: &Quirks) -> Result<Offered<'a>, LlmError> {
    let Tool { name, description, parameters, strict } = tool;
    let is_strict = quirks.strict && *strict && schema::is_strict(parameters);
    let parameters = schema_of(name, parameters)?;
    Ok(Offered { function: OfferedFunction { name, description, parameters, strict: is_strict.then_some(true) } })
}

/// None: the server's own habit, which is the same.
fn choice(choice: &ToolChoice) -> Option<Choice<'_>> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(Choice::Mode("none")),
        ToolChoice::Required => Some(Choice::Mode("required")),
        ToolChoice::Named(name) => Some(Choice::Function { r#type: "function", function: Named { name } }),
    }
}

fn response_format<'a>(format: &'a Format, quirks: &Quirks) -> Result<Option<ResponseFormat<'a>>, LlmError> {
    Ok(match format {
        Format::Text => None,
        Format::JsonObject => Some(ResponseFormat::JsonObject),
        Format::JsonSchema { name, schema, strict } => {
            let is_strict = quirks.strict && *strict && schema::is_strict(schema);
            let schema = schema_of(name, schema)?;
            Some(ResponseFormat::JsonSchema {
                json_schema: AnswerSchema { name, schema, strict: is_strict.then_some(true) },
            })
        }
    })
}
