//! One turn of the conversation, as an iterator of what happens in it.
//!
//! The order of storing and doing is what keeps a conversation whole. The user's
//! message is there before the model is asked; an answer with its calls is there
//! before a tool runs; a tool's effect and the claim of its call are one
//! transaction; a result is there before the model reads it, and the last answer
//! before [`Event::Done`]. So a run that is cut off anywhere has lost nothing but
//! words that were still being said, and nothing in it is done twice.

mod act;
mod event;
mod others;

use std::collections::VecDeque;
use std::time::Duration;

use innkeeper_guest::llm::{self, Completion, Message, Next, Request, ToolChoice, Usage};

pub use event::{Answer, Event, Finish};

use others::Others;

use super::store::{self, Said, Store, WINDOW};
use super::turn::{Status, Turn};
use super::{SEPARATOR, history, prompt};
use crate::reply::Failure;
use crate::settings::ChatSettings;
use crate::tools;

/// Answers with calls in one turn. Fewer: work of many steps ends early. More: a
/// model that goes round in circles costs more before it is stopped.
const STEPS: usize = 10;
/// Calls of one answer; a model that wants more asks again. What is read of a
/// turn has room for them all.
const CALLS: usize = 12;
/// How long nothing happens before a reader is told that there is still somebody.
/// Proxies give up after a minute, some after thirty seconds.
const QUIET: Duration = Duration::from_secs(15);
/// Bytes of one answer's text that are kept; what an answer has by the limit of
/// tokens is less.
const TEXT: usize = 32 << 10;

/// A turn that is being answered.
pub struct Run {
    store: Store,
    settings: ChatSettings,
    others: Others,
    conversation: i64,
    earlier: Vec<Message>,
    turn: Turn,
    state: State,
    events: VecDeque<Event>,
    usage: Usage,
    /// Why the model has had enough of its tools.
    enough: Option<Finish>,
}

enum State {
    /// The model is to be asked.
    Ask,
    /// It is answering.
    Listen { answer: llm::Answer, text: String },
    /// The calls of the last step are to be run.
    Act,
    /// Nothing more happens.
    Ended,
}

impl Run {
    /// Goes on with a turn as it is stored, and comes back when the model has begun
    /// to answer or there is nothing to ask it: whatever goes wrong until then is
    /// known before anything is sent.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn begin(store: &Store, conversation: i64, turn: Turn, settings: ChatSettings) -> Result<Self, Failure> {
        let mut run = Self::of(store, conversation, turn, settings)?;
        while matches!(run.state, State::Ask | State::Act) {
            run.advance()?;
        }
        Ok(run)
    }

    /// As [`begin`](Self::begin), but nothing has happened yet when it comes back.
    ///
    /// # Errors
    /// When what was said before cannot be read.
    pub fn of(store: &Store, conversation: i64, turn: Turn, settings: ChatSettings) -> Result<Self, Failure> {
        let earlier = history::earlier(&read_earlier(store, conversation, turn.number())?);
        let state = match turn.steps.last() {
            Some(last) if !last.calls.is_empty() => State::Act,
            _ => State::Ask,
        };
        let (store, others, events) = (store.clone(), Others::granted(), VecDeque::new());
        let usage = Usage { input: 0, cached_input: 0, output: 0, reasoning: 0, estimated: false };
        Ok(Self { store, settings, others, conversation, earlier, turn, state, events, usage, enough: None })
    }

    /// A turn in which the user has decided some calls and not others: nothing
    /// more is done before all are decided, so that of several decisions at the
    /// same time only the last one goes on.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn resume(store: &Store, conversation: i64, turn: Turn, settings: ChatSettings) -> Result<Self, Failure> {
        if turn.pending().next().is_none() {
            return Self::begin(store, conversation, turn, settings);
        }
        let mut run = Self::of(store, conversation, turn, settings)?;
        run.state = State::Ended;
        run.wait();
        Ok(run)
    }

    /// The conversation.
    pub fn conversation(&self) -> i64 {
        self.conversation
    }

    /// The turn as far as it is.
    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// An event that is there already.
    pub fn ready(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Does the next thing.
    fn advance(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ask => self.ask(),
            State::Listen { answer, text } => self.listen(answer, text),
            State::Act => self.act(),
            State::Ended => Ok(()),
        }
    }

    fn ask(&mut self) -> Result<(), Failure> {
        let steps = self.turn.steps.iter().filter(|step| !step.calls.is_empty()).count();
        if steps >= STEPS {
            self.enough.get_or_insert(Finish::Turns);
        }
        let enough = self.enough.is_some();
        let mut request = Request::new()
            .system(prompt::system(&self.settings.instructions, !self.others.is_empty(), enough))
            .messages(self.earlier.iter().cloned())
            .messages(history::present(&self.turn))
            .tools(tools::ALL.iter().map(|tool| tool.for_model()).chain(self.others.for_model()))
            .tool_choice(if enough { ToolChoice::None } else { ToolChoice::Auto });
        if let Some(model) = &self.settings.model {
            request = request.model(model);
        }
        match request.open() {
            Ok(answer) => {
                self.state = State::Listen { answer, text: String::new() };
                Ok(())
            }
            Err(llm::Error::ContentFiltered) => self.finish("", Finish::ContentFilter),
            Err(error) => Err(Failure::Model(error)),
        }
    }

    fn listen(&mut self, mut answer: llm::Answer, mut text: String) -> Result<(), Failure> {
        let mut event = match answer.next(QUIET) {
            Ok(Next::Event(event)) => Some(event),
            Ok(Next::Quiet) => {
                self.events.push_back(Event::Quiet);
                None
            }
            Ok(Next::End) => return self.broke_off(&text, llm::Error::Unavailable),
            Err(llm::Error::ContentFiltered) => return self.finish(&text, Finish::ContentFilter),
            Err(error) => return self.broke_off(&text, error),
        };
        while let Some(piece) = event {
            match piece {
                llm::Event::TextDelta(delta) | llm::Event::RefusalDelta(delta) => self.say(&mut text, delta),
                llm::Event::Done(completion) => return self.hear_out(&text, completion),
                // Calls are in `Done` as a whole; what a model thinks is its own.
                _ => {}
            }
            event = answer.ready();
        }
        self.state = State::Listen { answer, text };
        Ok(())
    }

    fn say(&mut self, text: &mut String, mut delta: String) {
        delta.retain(|c| c != '\0');
        if delta.is_empty() || text.len() + delta.len() > TEXT {
            return;
        }
        let separator = if text.is_empty() && self.turn.has_text() { SEPARATOR } else { "" };
        text.push_str(&delta);
        self.events.push_back(Event::Text(format!("{separator}{delta}")));
    }

    /// The model has said all of this answer.
    fn hear_out(&mut self, text: &str, completion: Completion) -> Result<(), Failure> {
        let Completion { mut turn, finish, usage, .. } = completion;
        self.count(usage);
        turn.tool_calls.truncate(CALLS);
        if turn.tool_calls.is_empty() || self.enough.is_some() {
            let finish = match (turn.refusal, finish) {
                (Some(_), _) => Finish::Refusal,
                (None, llm::Finish::Length) => Finish::Length,
                (None, llm::Finish::ContentFilter) => Finish::ContentFilter,
                (None, _) => self.enough.unwrap_or(Finish::Stop),
            };
            return self.finish(text, finish);
        }
        let calls: Vec<_> = turn.tool_calls.into_iter().map(|call| self.to_store(call)).collect();
        self.add(text, Finish::ToolCalls, turn.continuation, &calls)?;
        let calls = self.turn.steps.last().map(|step| step.calls.clone()).unwrap_or_default();
        self.events.extend(calls.into_iter().map(Event::Call));
        self.state = State::Act;
        Ok(())
    }

    /// Stores the last words, and says that this was it.
    fn finish(&mut self, text: &str, finish: Finish) -> Result<(), Failure> {
        let mut text = text.to_owned();
        if text.is_empty() {
            let words = finish.words().to_owned();
            self.say(&mut text, words);
        }
        self.add(&text, finish, None, &[])?;
        self.end(finish);
        Ok(())
    }

    fn end(&mut self, finish: Finish) {
        self.events.push_back(Event::Usage(self.usage));
        let answer = Answer::of(self.conversation, &self.turn, finish, self.usage);
        self.events.push_back(Event::Done(Box::new(answer)));
    }

    /// What was said until then is kept, and the user told that there was to be
    /// more.
    fn broke_off(&mut self, text: &str, error: llm::Error) -> Result<(), Failure> {
        if let llm::Error::Interrupted(interruption) = &error {
            self.count(interruption.usage);
        }
        if !text.is_empty() {
            self.add(text, Finish::Interrupted, None, &[])?;
        }
        Err(Failure::Model(error))
    }

    /// Stores one answer of the model.
    fn add(
        &mut self,
        text: &str,
        finish: Finish,
        continuation: Option<Vec<u8>>,
        calls: &[store::NewCall],
    ) -> Result<(), Failure> {
        let continuation = continuation.filter(|bytes| bytes.len() <= TEXT);
        let (turn, step) = (self.turn.number(), self.turn.next_step());
        let said = Said { turn, step, text, finish: finish.word(), continuation, calls };
        let (message, calls) = self.store.answer(self.conversation, said).map_err(lost)?;
        self.turn.steps.push(super::turn::Step { message, calls });
        Ok(())
    }

    fn count(&mut self, usage: Usage) {
        self.usage.input += usage.input;
        self.usage.cached_input += usage.cached_input;
        self.usage.output += usage.output;
        self.usage.reasoning += usage.reasoning;
        self.usage.estimated |= usage.estimated;
    }

    /// Runs one call of the last step, or goes on when each has been run.
    fn act(&mut self) -> Result<(), Failure> {
        let Some(calls) = self.turn.steps.last().map(|step| &step.calls) else {
            return Err(Failure::broken("there is no step with calls"));
        };
        if let Some(place) = calls.iter().position(|call| call.status == Status::Approved) {
            self.state = State::Act;
            return self.run_call(place);
        }
        if self.turn.pending().next().is_none() {
            self.state = State::Ask;
        } else {
            self.wait();
        }
        Ok(())
    }

    /// The user has to approve something first.
    fn wait(&mut self) {
        let notice = self.turn.notice().unwrap_or_default();
        let separator = if self.turn.has_text() { SEPARATOR } else { "" };
        self.events.push_back(Event::Text(format!("{separator}{notice}")));
        self.events.push_back(Event::Approval(self.turn.pending().cloned().collect()));
        self.end(Finish::Approval);
    }
}

impl Iterator for Run {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if matches!(self.state, State::Ended) {
                return None;
            }
            if let Err(failure) = self.advance() {
                self.state = State::Ended;
                self.events.push_back(Event::Failed(failure));
            }
        }
    }
}

/// The turns before this one.
fn read_earlier(store: &Store, conversation: i64, present: i64) -> Result<Vec<Turn>, Failure> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut to = present - 1;
    let first = (present - history::EARLIER_TURNS).max(1);
    while to >= first {
        let from = (to - WINDOW + 1).max(first);
        let mut window = store.turns(conversation, from, to)?;
        // Where some are missing, history ends.
        let is_whole = window.first().is_some_and(|turn| turn.number() == from);
        window.append(&mut turns);
        turns = window;
        if !is_whole {
            break;
        }
        to = from - 1;
    }
    Ok(turns)
}

/// Why nothing could be stored.
fn lost(error: innkeeper_guest::sql::Error) -> Failure {
    match error {
        error if store::is_gone(&error) => Failure::NoConversation,
        error if store::is_overtaken(&error) || store::is_claimed(&error) => Failure::Overtaken,
        error => Failure::Database(error),
    }
}
