//! What may be asked. One pure function with all denials; a request that it lets
//! through is one that no server refuses for its form.

mod schema;
#[cfg(test)]
mod tests;
mod turns;

use super::error::LlmError;
use super::model::{Format, Message, Part, Request, Tool, ToolChoice};
use crate::config::{LlmModel, Quirks};

/// Messages of a conversation. More are beyond every model's attention, and each
/// is looked at.
const MESSAGES: usize = 1_000;
/// Bytes of all texts, schemas and arguments: a quarter of a million tokens. More
/// does not fit into what one host call may carry beside images.
const TEXT_BYTES: usize = 1 << 20;
/// Images, and bytes of all of them. A host call carries 4 MiB.
const IMAGES: usize = 8;
const IMAGE_BYTES: usize = 3 << 20;
const IMAGE_TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/webp", "image/gif"];
/// Tools: what OpenAI takes.
const TOOLS: usize = 128;
const DESCRIPTION_BYTES: usize = 4 << 10;
/// Names of tools and schemas: what OpenAI takes.
const NAME_BYTES: usize = 64;
/// Texts that end an answer: what OpenAI takes; and bytes of each.
const STOPS: usize = 4;
const STOP_BYTES: usize = 256;
const TEMPERATURES: std::ops::RangeInclusive<f32> = 0.0..=2.0;

/// Checks a request against what may be asked of a model, and makes it one that
/// can be sent: `max_output_tokens` is there, and at most the model's limit and
/// `most_output`, the smallest budget that it is counted against.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn permit(mut request: Request, model: &LlmModel, most_output: u64) -> Result<Request, LlmError> {
    if request.messages.is_empty() || request.messages.len() > MESSAGES {
        return Err(invalid(format!("it has {} messages, not 1 to {MESSAGES}", request.messages.len())));
    }
    check_text_size(&request)?;
    check_images(&request, &model.quirks)?;
    check_tools(&request.tools)?;
    check_choice(&request, &model.quirks)?;
    check_format(&request.format, &model.quirks)?;
    check_sampling(&request, &model.quirks)?;
    turns::check(&request.messages)?;
    turns::mend(&mut request.messages);
    let most = u64::from(model.max_output_tokens).min(most_output);
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    request.max_output_tokens = match request.max_output_tokens {
        Some(0) => return Err(invalid("max-output-tokens is 0")),
        wanted => Some(wanted.unwrap_or(most).min(most)),
    };
    Ok(request)
}

fn invalid(what: impl Into<String>) -> LlmError {
    LlmError::Invalid(what.into())
}

fn check_text_size(request: &Request) -> Result<(), LlmError> {
    let messages: usize = request.messages.iter().map(text_bytes).sum();
    let tools: usize = request.tools.iter().map(|tool| tool.description.len() + tool.parameters.len()).sum();
    if messages + tools > TEXT_BYTES {
        return Err(invalid(format!("its texts are {} bytes, and {TEXT_BYTES} are the most", messages + tools)));
    }
    Ok(())
}

fn text_bytes(message: &Message) -> usize {
    match message {
        Message::System(text) => text.len(),
        Message::User(parts) => parts.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 }).sum(),
        Message::Assistant(turn) => {
            let said = turn.text.as_ref().map_or(0, String::len) + turn.refusal.as_ref().map_or(0, String::len);
            let calls = turn.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
            said + calls.sum::<usize>() + turn.continuation.as_ref().map_or(0, Vec::len)
        }
        Message::Tool { call_id, content } => call_id.len() + content.len(),
    }
}

fn check_images(request: &Request, quirks: &Quirks) -> Result<(), LlmError> {
    let parts = request.messages.iter().filter_map(|message| match message {
        Message::User(parts) => Some(parts),
        _ => None,
    });
    let (mut count, mut bytes) = (0, 0);
    for part in parts.flatten() {
        let Part::Image { mime_type, data } = part else { continue };
        if !quirks.images {
            return Err(LlmError::FeatureNotAllowed("it sees no images".to_owned()));
        }
        if !IMAGE_TYPES.contains(&mime_type.as_str()) || data.is_empty() {
            return Err(invalid(format!("an image is none, or is not one of {}", IMAGE_TYPES.join(", "))));
        }
        count += 1;
        bytes += data.len();
    }
    if count > IMAGES || bytes > IMAGE_BYTES {
        return Err(invalid(format!("it has more than {IMAGES} images, or more than {IMAGE_BYTES} bytes of them")));
    }
    Ok(())
}

fn check_tools(tools: &[Tool]) -> Result<(), LlmError> {
    if tools.len() > TOOLS {
        return Err(invalid(format!("it has {} tools, and {TOOLS} are the most", tools.len())));
    }
    for (index, tool) in tools.iter().enumerate() {
        let name = printable(&tool.name);
        check_name("tool", &tool.name)?;
        if tools[..index].iter().any(|other| other.name == tool.name) {
            return Err(invalid(format!("two tools are named `{name}`")));
        }
        if tool.description.len() > DESCRIPTION_BYTES {
            return Err(invalid(format!("the description of tool `{name}` is over {DESCRIPTION_BYTES} bytes")));
        }
        schema::check(&tool.parameters).map_err(|what| invalid(format!("the parameters of tool `{name}` {what}")))?;
    }
    Ok(())
}

fn check_choice(request: &Request, quirks: &Quirks) -> Result<(), LlmError> {
    let named = match &request.tool_choice {
        ToolChoice::Auto | ToolChoice::None => return Ok(()),
        ToolChoice::Required => None,
        ToolChoice::Named(name) => Some(name),
    };
    if request.tools.is_empty() {
        return Err(invalid("a tool has to be called, and there is none"));
    }
    if let Some(name) = named.filter(|name| !request.tools.iter().any(|tool| tool.name == **name)) {
        return Err(invalid(format!("there is no tool `{}` to be called", printable(name))));
    }
    if !quirks.tool_choice {
        return Err(LlmError::FeatureNotAllowed("it cannot be made to call a tool".to_owned()));
    }
    Ok(())
}

fn check_format(format: &Format, quirks: &Quirks) -> Result<(), LlmError> {
    let Format::JsonSchema { name, schema, strict: _ } = format else { return Ok(()) };
    if !quirks.strict {
        return Err(LlmError::FeatureNotAllowed("it keeps to no schema".to_owned()));
    }
    check_name("schema", name)?;
    schema::check(schema).map_err(|what| invalid(format!("the contents of the answer's schema {what}")))
}

fn check_sampling(request: &Request, quirks: &Quirks) -> Result<(), LlmError> {
    if let Some(temperature) = request.temperature {
        if !TEMPERATURES.contains(&temperature) {
            return Err(invalid("the temperature is not from 0 to 2"));
        }
        if !quirks.temperature {
            return Err(LlmError::FeatureNotAllowed("it takes no temperature".to_owned()));
        }
    }
    if request.effort.is_some() && !quirks.effort {
        return Err(LlmError::FeatureNotAllowed("it takes no effort".to_owned()));
    }
    if request.stop.len() > STOPS || request.stop.iter().any(|stop| !(1..=STOP_BYTES).contains(&stop.len())) {
        return Err(invalid(format!("there are at most {STOPS} stops, of 1 to {STOP_BYTES} bytes")));
    }
    Ok(())
}

fn check_name(what: &str, name: &str) -> Result<(), LlmError> {
    if (1..=NAME_BYTES).contains(&name.len()) && name.chars().all(is_of_a_name) {
        return Ok(());
    }
    let name = printable(name);
    Err(invalid(format!("`{name}` is not the name of a {what}: letters, digits, - and _, at most {NAME_BYTES}")))
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// A guest's or a model's words on their way into a sentence.
fn printable(text: &str) -> String {
    text.chars().take(NAME_BYTES).flat_map(char::escape_debug).collect()
}
