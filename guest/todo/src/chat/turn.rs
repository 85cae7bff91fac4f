//! A turn: what a user says, and all that follows until the next time.

use innkeeper_guest::Timestamp;
use serde::Deserialize;

use super::store::NewCall;

/// One row of `messages`.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    pub(crate) id: i64,
    pub(crate) turn: i64,
    pub(crate) step: i64,
    pub(crate) content: String,
    /// Why it ends: the words of [`super::run::Finish`].
    pub(crate) finish: String,
    pub(crate) continuation: Option<Vec<u8>>,
    pub(crate) created_at: Timestamp,
}

/// One row of `tool_calls`.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    pub(crate) id: i64,
    pub(crate) turn: i64,
    pub(crate) step: i64,
    pub(crate) place: i64,
    /// The model's name for it, which is unique in its step only.
    pub(crate) call_id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) status: Status,
    pub(crate) result: Option<String>,
    pub(crate) failed: bool,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for the user's approval.
    Pending,
    /// It may run.
    Approved,
    /// The user did not approve it.
    Rejected,
    /// It was begun, and may have had its effect.
    Running,
    /// It has a result.
    Done,
    /// It was begun, and nobody will ever know how it ended.
    Lost,
}

impl Status {
    /// As it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Running => "running",
            Self::Done => "done",
            Self::Lost => "lost",
        }
    }
}

/// One answer of the model, and what it asked for.
#[derive(Clone, Debug)]
pub struct Step {
    pub(crate) message: Message,
    pub(crate) calls: Vec<Call>,
}

/// What a user said, and what followed.
#[derive(Clone, Debug)]
pub struct Turn {
    pub(crate) ask: Message,
    pub(crate) steps: Vec<Step>,
}

/// What the model reads where a call has no result.
const NOT_RUN: &str = r#"{"success":false,"error":"This call was not run: the request was cut off before."}"#;
const UNKNOWN: &str = r#"{"success":false,"error":"The request was cut off while this call ran. Whether it was done is unknown: look before doing it again."}"#;
const REJECTED: &str =
    r#"{"success":false,"error":"The user did not approve this call. Do not ask for it again unless the user does."}"#;

impl Message {
    pub(super) fn said_by_user(id: i64, turn: i64, text: &str, created_at: Timestamp) -> Self {
        Self { id, turn, step: 0, content: text.to_owned(), finish: "stop".to_owned(), continuation: None, created_at }
    }
}

impl Call {
    pub(super) fn new(id: i64, turn: i64, step: i64, place: i64, new: &NewCall) -> Self {
        let NewCall { call_id, name, arguments, status } = new.clone();
        Self { id, turn, step, place, call_id, name, arguments, status, result: None, failed: false }
    }

    /// What the model reads as the call's result. Every call has one.
    pub fn outcome(&self) -> &str {
        match (self.status, &self.result) {
            (Status::Done, Some(result)) => result,
            (Status::Rejected, _) => REJECTED,
            (Status::Pending | Status::Approved, _) => NOT_RUN,
            (Status::Running | Status::Lost | Status::Done, _) => UNKNOWN,
        }
    }

    /// Whether its outcome is a failure.
    pub fn is_failed(&self) -> bool {
        self.failed || self.status != Status::Done
    }
}

impl Turn {
    /// A turn in which nothing was said to the user yet.
    pub fn begun(ask: Message) -> Self {
        Self { ask, steps: Vec::new() }
    }

    /// Its number in the conversation.
    pub fn number(&self) -> i64 {
        self.ask.turn
    }

    /// The next step's number.
    pub fn next_step(&self) -> i64 {
        self.steps.last().map_or(1, |step| step.message.step + 1)
    }

    /// Every call of it.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.steps.iter().flat_map(|step| &step.calls)
    }

    /// All that was said to the user, and what the user is to approve.
    pub fn text(&self) -> String {
        let notice = self.notice();
        let texts = self.steps.iter().map(|step| step.message.content.as_str()).chain(notice.as_deref());
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(super::SEPARATOR)
    }

    /// What the user is told when calls wait. Without their arguments, which a
    /// client shows as data: they are the model's words.
    pub fn notice(&self) -> Option<String> {
        let names: Vec<&str> = self.pending().map(|call| call.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("This needs your approval: {}.", names.join(", ")))
    }

    /// Whether anything was said to the user.
    pub fn has_text(&self) -> bool {
        self.steps.iter().any(|step| !step.message.content.is_empty())
    }

    /// Bytes of all that it holds.
    pub fn size(&self) -> usize {
        let steps = self.steps.iter().map(|step| step.message.content.len());
        let calls = self.calls().map(|call| call.name.len() + call.arguments.len() + call.outcome().len());
        self.ask.content.len() + steps.chain(calls).sum::<usize>()
    }

    /// Calls that wait for the user's approval.
    pub fn pending(&self) -> impl Iterator<Item = &Call> {
        self.calls().filter(|call| call.status == Status::Pending)
    }

    /// Whether the model has had its last word.
    pub fn is_answered(&self) -> bool {
        self.steps.last().is_some_and(|step| step.calls.is_empty() && step.message.finish != "interrupted")
    }
}

/// Rows into turns. `calls` are the latest first, and of so many as `most` some
/// may be missing: then the turn that the last one belongs to is left out, and
/// what is before it, for a call must not be without its neighbours.
pub(super) fn assemble(messages: Vec<Message>, mut calls: Vec<Call>, most: usize) -> Vec<Turn> {
    let whole = match calls.last() {
        Some(oldest) if calls.len() >= most => oldest.turn + 1,
        _ => i64::MIN,
    };
    calls.reverse();
    let mut calls = calls.into_iter().peekable();
    let mut turns: Vec<Turn> = Vec::new();
    for message in messages {
        if message.step == 0 {
            turns.push(Turn::begun(message));
            continue;
        }
        // A turn without its beginning was deleted while it was read.
        let Some(turn) = turns.last_mut().filter(|turn| turn.ask.turn == message.turn) else { continue };
        let place = (message.turn, message.step);
        while calls.next_if(|call| (call.turn, call.step) < place).is_some() {}
        let mut own = Vec::new();
        while let Some(call) = calls.next_if(|call| (call.turn, call.step) == place) {
            own.push(call);
        }
        turn.steps.push(Step { message, calls: own });
    }
    // The newest turn is the one that is at work: it has room for all its calls.
    let newest = turns.last().map_or(0, Turn::number);
    turns.retain(|turn| turn.number() >= whole.min(newest));
    turns
}
