//! How a call can fail, and whose fault each failure is.

use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::fault::{Blame, Code, Fault};
use crate::instance::{Budget, HostCallsUsedUp};

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// As many calls as the module may have are running.
    #[error("limits.concurrency calls are running already")]
    Busy,
    /// The pool has no instance left.
    #[error("no instance is free; lower max_in_flight, or the modules' limits.concurrency")]
    NoInstance(#[source] wasmtime::Error),
    /// The guest trapped, or a host function ended it.
    #[error("the guest trapped")]
    Trapped(#[source] wasmtime::Error),
    /// The guest trapped after it had been refused memory.
    #[error("the guest trapped at limits.memory")]
    OutOfMemory(#[source] wasmtime::Error),
    /// More host calls than allowed.
    #[error(transparent)]
    HostCalls(HostCallsUsedUp),
    /// The guest used up its CPU time.
    #[error("the guest ran longer than limits.cpu")]
    OutOfCpu,
    /// The call's deadline passed.
    #[error("the call took longer than limits.wall")]
    OutOfTime,
    /// The guest returned without an answer.
    #[error("the guest returned without an answer")]
    NoAnswer,
    /// The guest reported an error instead of an answer.
    #[error("the guest reported {0}")]
    Reported(String),
    /// An answer that cannot be passed on.
    #[error("the guest's answer {0}")]
    BadAnswer(&'static str),
    /// The guest broke off in the middle of its answer.
    #[error("the guest broke off its answer")]
    BrokenOff(#[source] wasmtime_wasi_http::Error),
    /// A host function panicked.
    #[error("a host function panicked")]
    Panicked,
}

impl Failed {
    /// What a failed `call_handle` means.
    pub(super) fn classify(error: wasmtime::Error, budget: &Budget) -> Self {
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::NoInstance(error);
        }
        if error.is::<HostCallsUsedUp>() {
            return Self::HostCalls(HostCallsUsedUp);
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::OutOfCpu,
            _ if budget.memory_refused => Self::OutOfMemory(error),
            _ => Self::Trapped(error),
        }
    }
}

impl Failed {
    /// Whether the module is to blame, and not the host or how much there is to do.
    pub fn is_the_guests(&self) -> bool {
        match self {
            Self::Busy | Self::NoInstance(_) | Self::Panicked => false,
            Self::Trapped(_)
            | Self::OutOfMemory(_)
            | Self::HostCalls(_)
            | Self::OutOfCpu
            | Self::OutOfTime
            | Self::NoAnswer
            | Self::Reported(_)
            | Self::BadAnswer(_)
            | Self::BrokenOff(_) => true,
        }
    }

    /// One word for it, for spans: the text of a failure may be the guest's.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoInstance(_) => "no_instance",
            Self::Trapped(_) => "trap",
            Self::OutOfMemory(_) => "out_of_memory",
            Self::HostCalls(_) => "host_calls",
            Self::OutOfCpu => "out_of_cpu",
            Self::OutOfTime => "out_of_time",
            Self::NoAnswer => "no_answer",
            Self::Reported(_) => "reported",
            Self::BadAnswer(_) => "bad_answer",
            Self::BrokenOff(_) => "broken_off",
            Self::Panicked => "panic",
        }
    }
}

/// The detail that FastAPI's clients read for an unhandled exception.
const INTERNAL: &str = "Internal Server Error";

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        let (blame, code, public) = match &failed {
            Failed::Busy | Failed::NoInstance(_) => (Blame::Host, Code::Overloaded, "Service temporarily unavailable"),
            Failed::Trapped(_)
            | Failed::OutOfMemory(_)
            | Failed::HostCalls(_)
            | Failed::NoAnswer
            | Failed::Reported(_) => (Blame::Guest, Code::GuestFailed, INTERNAL),
            Failed::OutOfCpu | Failed::OutOfTime => (Blame::Guest, Code::GuestTimeout, "The request took too long"),
            Failed::BadAnswer(_) | Failed::BrokenOff(_) => (Blame::Guest, Code::GuestAnswer, "Bad Gateway"),
            Failed::Panicked => (Blame::Host, Code::Internal, INTERNAL),
        };
        Self::new(blame, code, public).because(failed)
    }
}
