//! What a model says in one turn, and how its server brings it.

use std::time::Duration;

use serde_json::{Value, json};

/// One turn of a script.
#[derive(Clone, Debug)]
pub struct Turn {
    /// In the pieces in which it is streamed.
    pub(super) text: Vec<String>,
    pub(super) refusal: Option<String>,
    /// Id, name and arguments.
    pub(super) calls: Vec<(Option<String>, String, String)>,
    /// Encrypted, as `/responses` brings it.
    pub(super) thought: Option<String>,
    pub(super) finish: Option<String>,
    pub(super) usage: Option<(u64, u64)>,
    pub(super) error: Option<(u16, Value)>,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Before the head.
    pub(super) delay: Duration,
    /// Before each event.
    pub(super) every: Duration,
    /// So many events, and then the end.
    pub(super) pieces: Option<usize>,
    pub(super) end: End,
}

/// How the stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The connection breaks.
    Cut,
    /// It stays open, and nothing more comes.
    Hang,
}

impl Turn {
    fn new() -> Self {
        Self {
            text: Vec::new(),
            refusal: None,
            calls: Vec::new(),
            thought: None,
            finish: None,
            usage: Some((75, 20)),
            error: None,
            headers: Vec::new(),
            delay: Duration::ZERO,
            every: Duration::ZERO,
            pieces: None,
            end: End::Whole,
        }
    }

    /// Says this, a word at a time.
    pub fn text(text: &str) -> Self {
        Self { text: text.split_inclusive(' ').map(str::to_owned).collect(), ..Self::new() }
    }

    /// Says these, one after another.
    pub fn pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        Self { text: pieces.into_iter().map(str::to_owned).collect(), ..Self::new() }
    }

    /// Wants these tools, all at once, with arguments in fragments.
    pub fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::text("").and_calls(calls)
    }

    /// Refuses.
    pub fn refusal(text: &str) -> Self {
        Self { refusal: Some(text.to_owned()), ..Self::new() }
    }

    /// Answers with an error of OpenAI's form.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": code});
        Self::status(status, json!({ "error": error }))
    }

    /// Answers with this status and body.
    pub fn status(status: u16, body: Value) -> Self {
        Self { error: Some((status, body)), ..Self::new() }
    }

    /// Wants tools as well.
    pub fn and_calls<'a>(mut self, calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        self.calls.extend(calls.into_iter().map(|(name, arguments)| (None, name.to_owned(), arguments.to_string())));
        self
    }

    /// Wants a tool with this id and these words for arguments, JSON or not.
    pub fn and_call(mut self, id: &str, name: &str, arguments: &str) -> Self {
        self.calls.push((Some(id.to_owned()), name.to_owned(), arguments.to_owned()));
        self
    }

    /// Has thought this before, as `/responses` shows it.
    pub fn thinking(mut self, encrypted: &str) -> Self {
        self.thought = Some(encrypted.to_owned());
        self
    }

    /// Says that it took so many tokens in and out; 75 and 20 if nothing is said.
    pub fn usage(self, input: u64, output: u64) -> Self {
        Self { usage: Some((input, output)), ..self }
    }

    /// Says nothing about that.
    pub fn without_usage(self) -> Self {
        Self { usage: None, ..self }
    }

    /// Stops for this reason: `length`, `content_filter` and the like.
    pub fn finish(self, reason: &str) -> Self {
        Self { finish: Some(reason.to_owned()), ..self }
    }

    /// Adds a field to the head of the answer.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Takes so long before it answers at all.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Takes so long for each event: 20 ms are 50 tokens a second.
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// Breaks the connection after so many events.
    pub fn cut_after(self, events: usize) -> Self {
        Self { pieces: Some(events), end: End::Cut, ..self }
    }

    /// Falls silent after so many events.
    pub fn hang_after(self, events: usize) -> Self {
        Self { pieces: Some(events), end: End::Hang, ..self }
    }

    pub(super) fn id(&self, at: usize, in_conversation: usize) -> String {
        self.calls[at].0.clone().unwrap_or_else(|| format!("call_{in_conversation}_{at}"))
    }
}
