//! Why a candidate is built, and what came of it.

use crate::broker::sql::PrepareError;
use crate::config::Problems;
use crate::registry::Refused;

/// Why a candidate is not published. What was served goes on being served.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    /// The configuration has mistakes.
    #[error(transparent)]
    Config(#[from] Problems),
    /// A module cannot be served.
    #[error(transparent)]
    Module(#[from] Refused),
    /// A module's schema cannot be used.
    #[error("module `{module}`: {source}")]
    Schema {
        /// Which module.
        module: String,
        /// Why.
        source: PrepareError,
    },
    /// It was asked, and gave no answer worth having.
    #[error("module `{module}`: it was asked for `{path}`, and {why}; correct it, or name another path by `smoke`")]
    Smoke {
        /// Which module.
        module: String,
        /// What it was asked for.
        path: String,
        /// What came of it.
        why: String,
    },
    /// No module has this name.
    #[error("there is no module `{0}`")]
    Unknown(String),
    /// There is no version before this one.
    #[error("module `{0}` has no version before this one; what is kept is the last one since the start")]
    NothingBefore(String),
}

impl NotPublished {
    /// The module that it is about, when it is one's.
    pub fn module(&self) -> Option<&str> {
        match self {
            Self::Module(Refused { module, .. }) | Self::Schema { module, .. } | Self::Smoke { module, .. } => {
                Some(module)
            }
            Self::Unknown(module) | Self::NothingBefore(module) => Some(module),
            Self::Config(_) => None,
        }
    }

    /// Whether it may pass by itself.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Schema { source, .. } => matches!(source, PrepareError::Unreachable(_)),
            Self::Module(refused) => refused.why.may_pass(),
            Self::Config(_) | Self::Smoke { .. } | Self::Unknown(_) | Self::NothingBefore(_) => false,
        }
    }
}

/// Why a candidate is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The host starts.
    Start,
    /// A file has changed.
    File,
    /// The configuration is read again.
    Configuration,
    /// The operator asks for it.
    Operator,
    /// A new version fails.
    Failures,
}

impl Cause {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Configuration => "configuration",
            Self::Operator => "operator",
            Self::Failures => "failures",
        }
    }
}

/// What came of a candidate that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The generation that is served now.
    pub generation: u64,
    /// The modules that are other ones than before.
    pub changed: Vec<String>,
}
