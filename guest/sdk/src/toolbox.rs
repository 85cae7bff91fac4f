//! Tools of other modules, which the operator granted to this one.
//!
//! Each call runs in an instance of its own module, under that module's limits and
//! for the same caller. Nothing of this call's transaction is shared with it.

use serde_json::{Map, Value};

use crate::bindings::innkeeper::backend::toolbox as wit;
use crate::bindings::innkeeper::backend::types::{Content, ContentKind};
use crate::llm;

pub use wit::Error;

/// A tool of another module.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its own name, or `module.tool` where several modules have one of that name.
    pub name: String,
    /// For people and models. Its words are the other module's.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub schema: Value,
    /// Whether its module says that it leaves everything as it is.
    pub is_read_only: bool,
    /// Whether its module says that it may take something away.
    pub is_destructive: bool,
}

impl Tool {
    /// The tool as a model is told of it, under a name that its provider takes:
    /// [`llm_name`]. Its schema is as its author wrote it, so not a strict one.
    pub fn for_model(&self) -> llm::Tool {
        let (name, description) = (llm_name(&self.name), self.description.clone());
        llm::Tool { name, description, parameters: self.schema.to_string(), strict: false }
    }
}

/// The name that a model knows a tool by: providers take no dot.
pub fn llm_name(name: &str) -> String {
    name.replace('.', "__")
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// JSON where the tool has a structured result, else its text.
    pub text: String,
    /// The tool ran and failed; the text says why.
    pub is_error: bool,
}

/// The tools that this module was granted and whose scopes the caller has.
///
/// # Errors
/// See [`Error`].
pub fn list() -> Result<Vec<Tool>, Error> {
    let tools = wit::list()?.into_iter().map(|tool| {
        let hints = tool.hints;
        Tool {
            name: tool.descriptor.name,
            description: tool.descriptor.description.unwrap_or_default(),
            // The host has parsed it.
            schema: serde_json::from_str(&tool.input_schema).unwrap_or_default(),
            is_read_only: hints.and_then(|hints| hints.read_only).unwrap_or(false),
            is_destructive: hints.and_then(|hints| hints.destructive).unwrap_or(false),
        }
    });
    Ok(tools.collect())
}

/// Calls one, by the name that [`list`] gives it.
///
/// # Errors
/// Why there is no result; [`why`] says it in words for a model.
pub fn call(name: &str, arguments: &Map<String, Value>) -> Result<Answer, Error> {
    let arguments = serde_json::to_string(arguments).map_err(|error| Error::InvalidArguments(error.to_string()))?;
    let success = wit::call(name, &arguments)?;
    let text = success.structured.unwrap_or_else(|| texts(&success.content));
    Ok(Answer { text, is_error: success.is_error })
}

/// All texts. What is none is named: a model is better off than with silence.
fn texts(content: &[Content]) -> String {
    let texts: Vec<&str> = content
        .iter()
        .map(|content| match &content.kind {
            ContentKind::Text(text) => text.as_str(),
            ContentKind::Image(_) => "(an image)",
            ContentKind::Audio(_) => "(a sound)",
            ContentKind::ResourceLink(link) => link.uri.as_str(),
            ContentKind::Embedded(resource) => resource.uri.as_str(),
        })
        .collect();
    texts.join("\n")
}

/// The error in a sentence that a model may read.
pub fn why(error: &Error) -> String {
    match error {
        Error::NotFound(_) => "There is no tool of this name.".to_owned(),
        Error::InvalidArguments(why) => format!("The arguments do not fit: {why}"),
        Error::MissingScopes(_) => "The user may not use this tool.".to_owned(),
        Error::InputRequired => {
            "The tool would have to ask the user, which it cannot do here. Ask for what is missing, and call it again."
                .to_owned()
        }
        Error::Unavailable(why) => why.clone(),
    }
}
