//! Resources: documents with an address, which clients read.
//!
//! ```ignore
//! const NOTES: Resource = resource!("note://notes", "notes", "All notes.", notes).mime_type("application/json");
//! const NOTE: Resource = resource!("note://notes/{id}", "note", "One note.", note);
//!
//! fn notes(context: &Context, _: &Variables) -> Read {
//!     Ok(Some(Document::json(&NOTES.bind(context.owner()?).all::<Note>()?)?))
//! }
//!
//! fn note(context: &Context, of: &Variables) -> Read {
//!     let Ok(id) = of["id"].parse::<i64>() else { return Ok(None) };
//!     …
//! }
//!
//! resources! { ["note://"], [NOTES, NOTE] }
//! ```
//!
//! An address with variables is a template: clients fill it in. One without is in
//! the list. `resources! { ["note://"], [NOTES, NOTE], list: more }` lists, besides,
//! what a function gives, such as each note of the caller.

mod export;
mod template;

use serde::Serialize;

use crate::completions::Completion;
use crate::context::{Context, Failure};

pub(crate) use export::part;
#[doc(hidden)]
pub use export::{Declared, Guest, Listed, ReadOut, bindings, declare, list, read};
pub use template::Variables;

/// A resource, or a template of many. Make it with [`resource!`](crate::resource).
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// The address; `{name}` stands for one segment of it.
    pub uri: &'static str,
    /// `[A-Za-z0-9_.-]`, at most 64 characters.
    pub name: &'static str,
    /// For people.
    pub title: Option<&'static str>,
    /// For people and models.
    pub description: &'static str,
    /// What kind of document it is.
    pub mime_type: Option<&'static str>,
    pub(crate) completions: &'static [(&'static str, Completion)],
    read: fn(&Context, &Variables) -> Read,
}

/// What a reader gives; none where there is nothing at this address, for this caller.
pub type Read = Result<Option<Document>, Failure>;

/// What stands at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub(crate) mime_type: Option<String>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Text(String),
    Bytes(Vec<u8>),
}

impl Document {
    /// A JSON document.
    ///
    /// # Errors
    /// When the value does not serialise, which is a mistake of the guest.
    pub fn json(value: &impl Serialize) -> Result<Self, Failure> {
        let text = serde_json::to_string(value).map_err(Failure::broken)?;
        Ok(Self::text("application/json", text))
    }

    /// A text.
    pub fn text(mime_type: &str, text: impl Into<String>) -> Self {
        Self { mime_type: Some(mime_type.to_owned()), body: Body::Text(text.into()) }
    }

    /// Anything else.
    pub fn bytes(mime_type: &str, bytes: Vec<u8>) -> Self {
        Self { mime_type: Some(mime_type.to_owned()), body: Body::Bytes(bytes) }
    }
}

/// A resource in the caller's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its address.
    pub uri: String,
    /// `[A-Za-z0-9_.-]`, at most 64 characters.
    pub name: String,
    /// For people.
    pub title: Option<String>,
    /// What kind of document it is.
    pub mime_type: Option<String>,
}

/// A piece of the caller's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What is in it.
    pub entries: Vec<Entry>,
    /// What leads to the next piece; none when this is the last.
    pub next: Option<String>,
}

/// A [`Resource`](crate::resources::Resource):
/// `resource!("note://notes/{id}", "note", "One note.", function)`.
#[macro_export]
macro_rules! resource {
    ($uri:literal, $name:literal, $description:expr, $read:path) => {
        $crate::resources::Resource::new($uri, $name, $description, $read)
    };
}

impl Resource {
    #[doc(hidden)]
    pub const fn new(
        uri: &'static str,
        name: &'static str,
        description: &'static str,
        read: fn(&Context, &Variables) -> Read,
    ) -> Self {
        Self { uri, name, title: None, description, mime_type: None, completions: &[], read }
    }

    /// A name for people.
    #[must_use]
    pub const fn title(self, title: &'static str) -> Self {
        Self { title: Some(title), ..self }
    }

    /// What kind of document it is.
    #[must_use]
    pub const fn mime_type(self, mime_type: &'static str) -> Self {
        Self { mime_type: Some(mime_type), ..self }
    }

    /// What the variables of the address may be. Needs
    /// [`completions!`](crate::completions!).
    #[must_use]
    pub const fn complete(self, completions: &'static [(&'static str, Completion)]) -> Self {
        Self { completions, ..self }
    }

    /// Reads what is at this address; nothing where the address is not one of it.
    ///
    /// # Errors
    /// Why there is no document.
    pub fn read(&self, context: &Context, uri: &str) -> Read {
        template::matches(self.uri, uri).map_or(Ok(None), |variables| (self.read)(context, &variables))
    }

    fn is_template(&self) -> bool {
        self.uri.contains('{')
    }
}
