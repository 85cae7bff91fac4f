//! What modules offer beside HTTP, called: tools, resources, prompts and
//! completions, each in one place for all who ask.
//!
//! Every call goes the same way: may this caller, does what was sent fit, a permit
//! and a fresh store, the guest, does what came back hold. Who asks, and in which
//! protocol, is not known here: the caller has been verified, and the context says
//! what the guest may know of the client.

mod check;
mod completions;
mod input;
mod prompts;
mod resources;
mod toolbox;
mod tools;
mod weight;

pub use completions::complete;
pub use input::{Asked, answers, asked};
pub use prompts::get_prompt;
pub use resources::{Listed, Read, list_resources, read_resource};
pub use toolbox::{Toolboxes, inner_calls};
pub use tools::{Success, call_tool};
pub use weight::Weight;

use crate::bindings::offers::innkeeper::backend::types::{
    CallContext, ClientFeatures, Error, InputRequest, InputRequired,
};
use crate::call::Call;
use crate::dispatch::Failed;

/// One call of something that a module offers.
pub struct Ask<H> {
    /// The call.
    pub call: Call,
    /// What the guest is told of the client.
    pub context: CallContext,
    /// Given back when the guest has ended.
    pub held: H,
}

/// What a guest answered.
pub enum Outcome<T> {
    /// It is done.
    Complete(T),
    /// The client has to be asked first.
    InputRequired(InputRequired),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is nothing of this name, or the guest says so.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The caller lacks scopes.
    #[error("the caller lacks one of the scopes {}", .0.join(", "))]
    Scopes(Vec<String>),
    /// The arguments do not fit; in words for whoever made them.
    #[error("invalid arguments: {0}")]
    Arguments(String),
    /// The guest cannot go on without something that the client cannot do.
    #[error("the client lacks a capability")]
    MissingCapability {
        /// What it cannot do.
        features: ClientFeatures,
        /// What the guest would ask; none when it does not say.
        questions: Vec<InputRequest>,
    },
    /// The guest reports an error of its own.
    #[error("the guest reported {0}")]
    Reported(String),
    /// What the guest answered cannot be passed on.
    #[error("the guest's answer {0}")]
    Answer(String),
    /// There was no answer.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl Problem {
    /// What an error of the guest means. Its words are its own: they are for the
    /// log, but for those about what the caller sent.
    fn of(error: Error, what: &'static str) -> Self {
        match error {
            Error::NotFound(_) => Self::NotFound(what),
            Error::InvalidParams(words) => Self::Arguments(check::cut(&words)),
            Error::MissingCapability(features) => Self::MissingCapability { features, questions: Vec::new() },
            Error::Internal(words) => Self::Reported(check::cut(&words).escape_debug().to_string()),
        }
    }

    /// Whether the module is to blame, or the host, and the log should know.
    pub fn is_news(&self) -> bool {
        matches!(self, Self::Reported(_) | Self::Answer(_) | Self::Failed(_))
    }
}
