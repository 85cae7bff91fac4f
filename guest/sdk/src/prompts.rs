//! Prompts: texts that a user picks to begin or to steer a conversation with.
//!
//! ```ignore
//! #[derive(Deserialize, JsonSchema)]
//! struct Summarise {
//!     /// What the summary is for.
//!     purpose: Option<String>,
//! }
//!
//! const SUMMARISE: Prompt = prompt!("summarise", "Summarise my notes.", summarise);
//!
//! fn summarise(context: &Context, Summarise { purpose }: Summarise) -> Rendered {
//!     Ok(Messages::new().user("Summarise the notes that are attached.").document("note://notes", notes(context)?))
//! }
//!
//! prompts! { [SUMMARISE] }
//! ```
//!
//! A model does what a text says. So what users have typed belongs in a document,
//! never in the text.

mod export;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::completions::Completion;
use crate::context::{Context, Failure};
use crate::resources::Document;
use crate::shape;

#[doc(hidden)]
pub use export::{Guest, Listed, Rendering, bindings, get, list};

/// One prompt. Make it with [`prompt!`](crate::prompt).
#[derive(Clone, Copy, Debug)]
pub struct Prompt {
    /// `[A-Za-z0-9_.-]`, at most 64 characters.
    pub name: &'static str,
    /// For people.
    pub title: Option<&'static str>,
    /// For people.
    pub description: &'static str,
    pub(crate) completions: &'static [(&'static str, Completion)],
    schema: fn() -> Value,
    render: fn(&Context, Value) -> Rendered,
}

/// What a prompt gives.
pub type Rendered = Result<Messages, Failure>;

/// The messages of a conversation that begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages(pub(crate) Vec<Message>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    User(String),
    Assistant(String),
    Document(String, Document),
}

impl Messages {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the user says.
    #[must_use]
    pub fn user(self, text: impl Into<String>) -> Self {
        self.with(Message::User(text.into()))
    }

    /// What the assistant is to have said.
    #[must_use]
    pub fn assistant(self, text: impl Into<String>) -> Self {
        self.with(Message::Assistant(text.into()))
    }

    /// A document that the user attaches, by its address.
    #[must_use]
    pub fn document(self, uri: impl Into<String>, document: Document) -> Self {
        self.with(Message::Document(uri.into(), document))
    }

    fn with(mut self, message: Message) -> Self {
        self.0.push(message);
        self
    }
}

/// A [`Prompt`](crate::prompts::Prompt): `prompt!("name", "description", function)`.
/// The function takes a struct of texts: a `String`, an enum, or an option of one.
#[macro_export]
macro_rules! prompt {
    ($name:literal, $description:expr, $render:path) => {
        $crate::prompts::Prompt::new(
            $name,
            $description,
            || $crate::prompts::schema_of($render),
            |context, arguments| $crate::prompts::render($render, context, arguments),
        )
    };
}

impl Prompt {
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        description: &'static str,
        schema: fn() -> Value,
        render: fn(&Context, Value) -> Rendered,
    ) -> Self {
        Self { name, title: None, description, completions: &[], schema, render }
    }

    /// A name for people.
    #[must_use]
    pub const fn title(self, title: &'static str) -> Self {
        Self { title: Some(title), ..self }
    }

    /// What its arguments may be. Needs [`completions!`](crate::completions!).
    #[must_use]
    pub const fn complete(self, completions: &'static [(&'static str, Completion)]) -> Self {
        Self { completions, ..self }
    }

    /// Checks the arguments, and fills the prompt in.
    ///
    /// # Errors
    /// Why there are no messages.
    pub fn render(&self, context: &Context, arguments: impl IntoIterator<Item = (String, String)>) -> Rendered {
        let arguments = arguments.into_iter().map(|(name, value)| (name, Value::String(value)));
        (self.render)(context, Value::Object(arguments.collect()))
    }
}

#[doc(hidden)]
pub fn schema_of<A: JsonSchema>(_: fn(&Context, A) -> Rendered) -> Value {
    shape::arguments::<A>()
}

#[doc(hidden)]
pub fn render<A: DeserializeOwned>(
    render: fn(&Context, A) -> Rendered,
    context: &Context,
    arguments: Value,
) -> Rendered {
    let arguments = serde_json::from_value(arguments);
    render(context, arguments.map_err(|error| Failure::Refused(format!("The arguments do not fit: {error}.")))?)
}
