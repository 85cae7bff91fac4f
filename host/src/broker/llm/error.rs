//! Why there is no answer, as a guest may know it. What the upstream wrote is in
//! none of these: it may hold parts of a key, and goes to the log, scrubbed.

use std::time::Duration;

use super::model::Usage;
use crate::fault::Blame;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// There is no model under the alias; names the variable that is missing.
    #[error("no model is set up: {0}")]
    NotConfigured(String),
    /// The request cannot be sent as it is.
    #[error("the request is not valid: {0}")]
    Invalid(String),
    /// The module may not ask this alias.
    #[error("the module may not ask model `{0}`")]
    ModelNotAllowed(String),
    /// The model behind the alias cannot do this.
    #[error("the model cannot do this: {0}")]
    FeatureNotAllowed(String),
    /// A budget of this host is used up.
    #[error("{}", .0.detail)]
    BudgetExceeded(LimitInfo),
    /// The upstream wants fewer requests.
    #[error("{}", .0.detail)]
    RateLimited(LimitInfo),
    /// The messages are longer than the model can read.
    #[error("the messages are longer than the model can read")]
    ContextTooLong,
    /// Refused, or cut, for what is in it.
    #[error("the upstream refused the content")]
    ContentFiltered,
    /// A wait was too long.
    #[error("the upstream took too long ({0:?})")]
    TimedOut(Wait),
    /// The answer broke off after it had begun.
    #[error("the answer broke off")]
    Interrupted {
        /// The text so far.
        partial: String,
        /// What it cost.
        usage: Usage,
    },
    /// An answer that is none.
    #[error("the upstream answered {status}")]
    Upstream {
        /// The HTTP status; 0 in the middle of a stream, or when there was none.
        status: u16,
        /// A code out of the list of known ones.
        code: Option<&'static str>,
        /// The same request may succeed later.
        retryable: bool,
        /// The upstream's id of the request.
        request_id: Option<String>,
    },
    /// The budgets cannot be read or written.
    #[error("the budgets cannot be read or written at the moment")]
    Unavailable,
}

impl LlmError {
    /// The same words as in `wit/llm.wit`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotConfigured(_) => "not-configured",
            Self::Invalid(_) => "invalid-request",
            Self::ModelNotAllowed(_) => "model-not-allowed",
            Self::FeatureNotAllowed(_) => "feature-not-allowed",
            Self::BudgetExceeded(_) => "budget-exceeded",
            Self::RateLimited(_) => "rate-limited",
            Self::ContextTooLong => "context-too-long",
            Self::ContentFiltered => "content-filtered",
            Self::TimedOut(_) => "timed-out",
            Self::Interrupted { .. } => "interrupted",
            Self::Upstream { .. } => "upstream",
            Self::Unavailable => "unavailable",
        }
    }

    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Invalid(_) | Self::ModelNotAllowed(_) | Self::FeatureNotAllowed(_) => Blame::Guest,
            Self::BudgetExceeded(LimitInfo { scope: Scope::Run, .. }) => Blame::Guest,
            Self::BudgetExceeded(LimitInfo { scope: Scope::Caller, .. }) => Blame::Caller,
            Self::ContextTooLong | Self::ContentFiltered => Blame::Caller,
            Self::NotConfigured(_)
            | Self::BudgetExceeded(_)
            | Self::RateLimited(_)
            | Self::TimedOut(_)
            | Self::Interrupted { .. }
            | Self::Upstream { .. }
            | Self::Unavailable => Blame::Host,
        }
    }
}

/// Which wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For a connection.
    Connect,
    /// For the first event.
    FirstEvent,
    /// Between two events.
    Idle,
    /// From start to end.
    Total,
}

/// A limit that was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitInfo {
    /// Whose.
    pub scope: Scope,
    /// Of what.
    pub unit: Unit,
    /// When another request may succeed; none: never in this run.
    pub retry_after: Option<Duration>,
    /// For people; without internals.
    pub detail: String,
}

/// Whose limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This call of the guest.
    Run,
    /// The user who is calling.
    Caller,
    /// The module.
    Module,
    /// The host.
    Host,
    /// The provider.
    Upstream,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens that are sent.
    InputTokens,
    /// Tokens that come back.
    OutputTokens,
    /// Requests at once.
    Concurrency,
    /// Time.
    Time,
}
