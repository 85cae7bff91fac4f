//! Language models, by the aliases that the operator granted to this module
//! (`llm = ["default"]`). The host holds the key, keeps to the budgets and speaks
//! the wire.
//!
//! ```ignore
//! let reply = Request::new().system("Be brief.").user("Say hello.").complete()?;
//! println!("{}", reply.turn.text.unwrap_or_default());
//! ```
//!
//! Or piece by piece, while it is being said:
//!
//! ```ignore
//! let mut answer = Request::new().user("Tell me a story.").open()?;
//! loop {
//!     match answer.next(Duration::from_secs(15))? {
//!         Next::Event(Event::TextDelta(text)) => send(&text),
//!         Next::Event(_) => {}
//!         Next::Quiet => send_keep_alive(),
//!         Next::End => break,
//!     }
//! }
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use crate::bindings::innkeeper::backend::llm as wit;

pub use wit::{
    Allowance, AnswerSchema, AssistantTurn, Completion, Effort, Error, Event, Finish, Format, Interruption, LimitInfo,
    Message, ModelInfo, Part, Scope, Tool, ToolCall, ToolChoice, ToolResult, Unit, UpstreamError, Usage, Wait,
};

/// The longest wait that the host takes.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a model is asked.
#[derive(Clone, Debug)]
#[must_use]
pub struct Request(wit::Request);

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

impl Request {
    /// Nothing yet, to the first model that the module was granted.
    pub fn new() -> Self {
        Self(wit::Request {
            model: None,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: None,
            max_output_tokens: None,
            temperature: None,
            effort: None,
            format: Format::Text,
            stop: Vec::new(),
        })
    }

    /// Asks the model of this alias.
    pub fn model(mut self, alias: impl Into<String>) -> Self {
        self.0.model = Some(alias.into());
        self
    }

    /// Adds a message.
    pub fn message(mut self, message: Message) -> Self {
        self.0.messages.push(message);
        self
    }

    /// Adds messages.
    pub fn messages(mut self, messages: impl IntoIterator<Item = Message>) -> Self {
        self.0.messages.extend(messages);
        self
    }

    /// Adds instructions of the guest's author. A user's words do not belong here.
    pub fn system(self, text: impl Into<String>) -> Self {
        self.message(Message::System(text.into()))
    }

    /// Adds what a user says.
    pub fn user(self, text: impl Into<String>) -> Self {
        self.message(Message::User(vec![Part::Text(text.into())]))
    }

    /// Offers tools; see [`crate::tools`].
    pub fn tools(mut self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.0.tools.extend(tools);
        self
    }

    /// Whether the model calls tools.
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.0.tool_choice = choice;
        self
    }

    /// At most so many tokens; the host may lower it.
    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.0.max_output_tokens = Some(tokens);
        self
    }

    /// From 0 to 2.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.0.temperature = Some(temperature);
        self
    }

    /// How long a reasoning model thinks.
    pub fn effort(mut self, effort: Effort) -> Self {
        self.0.effort = Some(effort);
        self
    }

    /// The form of the answer's text.
    pub fn format(mut self, format: Format) -> Self {
        self.0.format = format;
        self
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// Why there is none.
    pub fn complete(&self) -> Result<Completion, Error> {
        wit::complete(&self.0)
    }

    /// Asks. When this returns, the answer has begun: grants, budgets and refusals
    /// of the upstream are known.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn open(&self) -> Result<Answer, Error> {
        Ok(Answer { answer: wit::open(&self.0)?, ready: VecDeque::new(), ended: false })
    }
}

/// An answer on its way. Dropping it hangs up.
///
/// As an iterator it gives every event, and waits for each; [`Answer::next`] is
/// for guests that have something to do when nothing comes.
#[derive(Debug)]
pub struct Answer {
    answer: wit::Answer,
    /// Came with others.
    ready: VecDeque<Event>,
    ended: bool,
}

/// What came next.
#[derive(Clone, Debug)]
pub enum Next {
    /// A piece of the answer.
    Event(Event),
    /// Nothing in this time; ask again.
    Quiet,
    /// Nothing will come any more.
    End,
}

impl Answer {
    /// The next event. Waits for at most a minute, whatever `wait` says.
    ///
    /// # Errors
    /// When the answer broke off; nothing follows.
    pub fn next(&mut self, wait: Duration) -> Result<Next, Error> {
        if self.ready.is_empty() && !self.ended {
            let wait = wait.min(LONGEST_WAIT).as_millis();
            match self.answer.next(u32::try_from(wait).unwrap_or(u32::MAX)) {
                Ok(events) => self.ready.extend(events),
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        let Some(event) = self.ready.pop_front() else {
            return Ok(if self.ended { Next::End } else { Next::Quiet });
        };
        self.ended |= matches!(event, Event::Done(_));
        Ok(Next::Event(event))
    }

    /// An event that came together with the last one, without waiting for more.
    pub fn ready(&mut self) -> Option<Event> {
        let event = self.ready.pop_front()?;
        self.ended |= matches!(event, Event::Done(_));
        Some(event)
    }
}

impl Iterator for Answer {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match Self::next(self, LONGEST_WAIT) {
                Ok(Next::Event(event)) => return Some(Ok(event)),
                Ok(Next::Quiet) => {}
                Ok(Next::End) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The aliases of this module; the first is the default.
pub fn models() -> Vec<ModelInfo> {
    wit::models()
}

/// Every budget that would count the next request.
///
/// # Errors
/// When the host cannot read them.
pub fn allowances() -> Result<Vec<Allowance>, Error> {
    wit::allowances()
}
