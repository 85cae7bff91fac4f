//! The way from a guest up to the tools of other modules. A call carries it; what
//! is behind it is where modules are known.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Call;
use crate::bindings::offers::innkeeper::backend::types::{Success, Tool};

/// Why a tool gave no result, in words that a model may read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The module was granted no tool of this name.
    #[error("there is no tool `{0}`")]
    NotFound(String),
    /// The arguments do not fit.
    #[error("invalid arguments: {0}")]
    Arguments(String),
    /// The caller lacks scopes.
    #[error("the caller lacks one of the scopes {}", .0.join(", "))]
    Scopes(Vec<String>),
    /// It would have to ask somebody, and nobody is there.
    #[error("the tool has to ask the user, and cannot be asked this way")]
    InputRequired,
    /// It did not work, or not now.
    #[error("{0}")]
    Unavailable(String),
}

/// Tools of other modules, as one module may use them.
pub trait Tools: Send + Sync {
    /// Those that it was granted, and the caller of this call may use.
    fn list(&self, call: &Call) -> Vec<Tool>;

    /// Calls one, on behalf of this call.
    fn call<'t>(
        &'t self,
        call: &'t Call,
        name: &'t str,
        arguments: &'t str,
    ) -> BoxFuture<'t, Result<Success, ToolError>>;
}

/// The tools that a call can reach; by default none.
#[derive(Clone, Default)]
pub struct Toolbox(Option<Arc<dyn Tools>>);

impl Toolbox {
    /// These.
    pub fn of(tools: impl Tools + 'static) -> Self {
        Self(Some(Arc::new(tools)))
    }

    /// The tools, when there are any.
    pub fn tools(&self) -> Option<&dyn Tools> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Toolbox(some)" } else { "Toolbox(none)" })
    }
}
