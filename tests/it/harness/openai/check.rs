//! Whether a request is one that OpenAI, and everybody who speaks like it, takes.

use std::collections::HashSet;
use std::sync::LazyLock;

use hyper::http::request::Parts;
use hyper::{Method, header};
use jsonschema::Validator;
use serde_json::Value;

use super::KEY;

/// The fields that a request may have in its head, and no others: what comes from
/// callers or guests goes to no provider.
const FIELDS: [&str; 6] = ["accept", "authorization", "content-length", "content-type", "host", "user-agent"];
/// What all servers of the kind understand, and what quirks add to it.
const CHAT: [&str; 12] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "reasoning_effort",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
];
const RESPONSES: [&str; 12] = [
    "model",
    "input",
    "stream",
    "store",
    "include",
    "max_output_tokens",
    "temperature",
    "reasoning",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
];

/// OpenAI's own schema of requests; the file says where it is from.
static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = include_str!("../../golden/openai-chat-request.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    jsonschema::draft202012::new(&schema).expect("a schema")
});

/// The body of a request, or what is wrong with it.
pub(super) fn request(head: &Parts, body: &[u8]) -> Result<Value, String> {
    if head.method != Method::POST || head.uri.query().is_some() {
        return Err("not a POST without a query".to_owned());
    }
    if let Some(field) = head.headers.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(format!("the field `{field}` is nobody's business"));
    }
    let field = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    if field(header::AUTHORIZATION) != Some(&*format!("Bearer {KEY}")) {
        return Err("it has not the key".to_owned());
    }
    if field(header::CONTENT_TYPE) != Some("application/json") {
        return Err("it is not sent as JSON".to_owned());
    }
    let request: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON: {error}"))?;
    match head.uri.path() {
        "/v1/chat/completions" => chat(&request)?,
        "/v1/responses" => responses(&request)?,
        path => return Err(format!("there is no {path}")),
    }
    if request["stream"] != true {
        return Err("a stream is not asked for".to_owned());
    }
    Ok(request)
}

fn chat(request: &Value) -> Result<(), String> {
    if let Some(error) = SCHEMA.iter_errors(request).next() {
        return Err(format!("it does not fit OpenAI's schema at {}: {error}", error.instance_path()));
    }
    only(request, "the request", CHAT.iter().chain(&["response_format"]))?;
    only(&request["stream_options"], "stream_options", &["include_usage"])?;
    for tool in list(&request["tools"]) {
        only(tool, "a tool", &["type", "function"])?;
        only(&tool["function"], "a function", &["name", "description", "parameters", "strict"])?;
    }
    let mut pending = HashSet::new();
    for message in list(&request["messages"]) {
        let known: &[&str] = match message["role"].as_str() {
            Some("assistant") => &["role", "content", "tool_calls"],
            Some("tool") => &["role", "content", "tool_call_id"],
            _ => &["role", "content"],
        };
        only(message, "a message", known)?;
        if message["role"] == "tool" {
            answered(&mut pending, &message["tool_call_id"])?;
            continue;
        }
        all_answered(&pending)?;
        for call in list(&message["tool_calls"]) {
            only(call, "a call", &["id", "type", "function"])?;
            called(&mut pending, &call["id"], &call["function"]["arguments"])?;
        }
    }
    all_answered(&pending)
}

fn responses(request: &Value) -> Result<(), String> {
    only(request, "the request", &RESPONSES)?;
    if request["store"] != false {
        return Err("the provider would store it".to_owned());
    }
    for tool in list(&request["tools"]) {
        only(tool, "a tool", &["type", "name", "description", "parameters", "strict"])?;
        if tool["type"] != "function" || !tool["strict"].is_boolean() {
            return Err(format!("not a function, or strict by default: {tool}"));
        }
    }
    let mut pending = HashSet::new();
    for item in list(&request["input"]) {
        match item["type"].as_str() {
            None => only(item, "a message", &["role", "content", "phase"])?,
            Some("reasoning") => only(item, "a thought", &["type", "id", "summary", "encrypted_content"])?,
            Some("function_call") => {
                only(item, "a call", &["type", "call_id", "name", "arguments"])?;
                called(&mut pending, &item["call_id"], &item["arguments"])?;
            }
            Some("function_call_output") => {
                only(item, "an output", &["type", "call_id", "output"])?;
                answered(&mut pending, &item["call_id"])?;
            }
            Some(kind) => return Err(format!("there is no item of type {kind}")),
        }
    }
    all_answered(&pending)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn only<'a>(value: &Value, what: &str, known: impl IntoIterator<Item = &'a &'a str>) -> Result<(), String> {
    let known: HashSet<&str> = known.into_iter().copied().collect();
    let mut keys = value.as_object().into_iter().flat_map(|object| object.keys());
    keys.find(|key| !known.contains(key.as_str()))
        .map_or(Ok(()), |key| Err(format!("{what} has the unknown key `{key}`")))
}

fn called(pending: &mut HashSet<String>, id: &Value, arguments: &Value) -> Result<(), String> {
    let id = id.as_str().filter(|id| !id.is_empty()).ok_or("a call has no id")?;
    let arguments = arguments.as_str().unwrap_or_default();
    if !serde_json::from_str(arguments).is_ok_and(|value: Value| value.is_object()) {
        return Err(format!("the arguments of {id} are no object: {arguments}"));
    }
    if pending.insert(id.to_owned()) { Ok(()) } else { Err(format!("two calls have the id {id}")) }
}

fn answered(pending: &mut HashSet<String>, id: &Value) -> Result<(), String> {
    let id = id.as_str().unwrap_or_default();
    if pending.remove(id) { Ok(()) } else { Err(format!("nobody asked for an answer to {id:?}")) }
}

fn all_answered(pending: &HashSet<String>) -> Result<(), String> {
    if pending.is_empty() { Ok(()) } else { Err(format!("calls are not answered: {pending:?}")) }
}
