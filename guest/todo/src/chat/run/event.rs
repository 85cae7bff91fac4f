//! What happens in a turn.

use innkeeper_guest::Timestamp;
use innkeeper_guest::llm::Usage;

use crate::chat::turn::{Call, Turn};
use crate::reply::Failure;

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// More of the answer's text.
    Text(String),
    /// The model asks for this; it is stored, and not run yet.
    Call(Call),
    /// It has been run, or cannot be.
    Result(Call),
    /// These wait for the user.
    Approval(Vec<Call>),
    /// What the turn has used.
    Usage(Usage),
    /// Nothing, for a while.
    Quiet,
    /// The end; everything is stored.
    Done(Box<Answer>),
    /// The end, before its time.
    Failed(Failure),
}

/// Why a turn, or a step of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Stop,
    /// It asked for calls.
    ToolCalls,
    /// It would not.
    Refusal,
    /// It may say no more.
    Length,
    /// Its provider would not let it.
    ContentFilter,
    /// It had made as many rounds as it may.
    Turns,
    /// It asked for the same again and again.
    Repeated,
    /// The user has to approve something.
    Approval,
    /// The connection to it broke.
    Interrupted,
}

impl Finish {
    /// As it is stored, and as clients read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::ToolCalls => "tool_calls",
            Self::Refusal => "refusal",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::Turns => "max_turns",
            Self::Repeated => "repeated_call",
            Self::Approval => "approval_required",
            Self::Interrupted => "interrupted",
        }
    }

    /// What the user reads when the model has found no words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::ContentFilter | Self::Refusal => "I cannot answer that.",
            Self::Length => "The answer was longer than it may be.",
            Self::Turns | Self::Repeated => {
                "I stopped here, because this took too many steps. Please ask again in smaller parts."
            }
            Self::Approval | Self::Stop | Self::ToolCalls | Self::Interrupted => "I have no answer to that.",
        }
    }
}

/// A turn that is over, or waits.
#[derive(Debug)]
pub struct Answer {
    pub(crate) conversation: i64,
    /// The message that carries the answer.
    pub(crate) message: i64,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) pending: Vec<Call>,
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
    pub(crate) created_at: Timestamp,
}

impl Answer {
    pub(super) fn of(conversation: i64, turn: &Turn, finish: Finish, usage: Usage) -> Self {
        let last = turn.steps.last().map_or(&turn.ask, |step| &step.message);
        let (message, created_at) = (last.id, last.created_at);
        let (calls, pending) = (turn.calls().cloned().collect(), turn.pending().cloned().collect());
        Self { conversation, message, text: turn.text(), calls, pending, finish, usage, created_at }
    }
}
