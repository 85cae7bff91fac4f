//! An answer on its way to a guest.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_openai::error::OpenAIError;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::assembly::Assembly;
use super::clock::Clock;
use super::delta::Delta;
use super::failure::{Envelope, Failure, Retry};
use super::gate::{End, Exchange};
use super::scrub::Scrubber;
use crate::broker::llm::{Completion, Event, LlmError, Usage, Wait};

/// After the model said why it stopped, only usage and the mark of the end can
/// come; what has not come after so long is not waited for.
const AFTERMATH: Duration = Duration::from_secs(2);

/// What a dialect makes of the stream.
pub(super) type Deltas = Pin<Box<dyn Stream<Item = Result<Vec<Delta>, OpenAIError>> + Send>>;

/// What an answer knows of the request.
pub(super) struct Origin {
    pub(super) alias: String,
    pub(super) scrub: Arc<Scrubber>,
    /// Tokens that went out, counted here.
    pub(super) input: u64,
    pub(super) clock: Clock,
    pub(super) exchange: Arc<Exchange>,
}

/// An answer on its way. Dropping it hangs up.
pub struct Answer {
    origin: Origin,
    deltas: Deltas,
    assembly: Assembly,
    events: VecDeque<Event>,
    state: State,
    /// Since when there was nothing to be had.
    quiet_since: Option<Instant>,
}

enum State {
    Open,
    /// Its error was not yet told.
    Failed(Failure),
    Complete,
    /// It ended by an error.
    Over,
}

/// Why an answer that is not whole has no more.
enum Cut {
    Late(Wait),
    Broken,
}

impl Answer {
    pub(super) fn new(origin: Origin, deltas: Deltas) -> Self {
        let (assembly, events) = (Assembly::default(), VecDeque::new());
        Self { origin, deltas, assembly, events, state: State::Open, quiet_since: None }
    }

    /// Waits for the first event of the wire, which shows whether the answer is one.
    pub(super) async fn first(mut self) -> Result<Self, Failure> {
        let item = self.deltas.next().await;
        self.take(item);
        match self.state {
            State::Failed(failure) => Err(failure),
            _ => Ok(self),
        }
    }

    /// The next event; none after `Done` or after an error. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Result<Event, LlmError>> {
        loop {
            if let Some(ready) = self.ready() {
                return Some(ready);
            }
            if !matches!(self.state, State::Open) {
                return None;
            }
            let (until, wait) = self.until();
            match timeout_at(until, self.deltas.next()).await {
                Ok(item) => self.take(item),
                Err(_) => self.end(false, Cut::Late(wait)),
            }
        }
    }

    /// The next event if it is here already.
    pub fn try_next(&mut self) -> Option<Result<Event, LlmError>> {
        loop {
            if let Some(ready) = self.ready() {
                return Some(ready);
            }
            if !matches!(self.state, State::Open) {
                return None;
            }
            let item = self.deltas.next().now_or_never()?;
            self.take(item);
        }
    }

    /// What was used until now. While the answer is not complete, and when the
    /// upstream said nothing: at least what was counted here.
    pub fn usage(&self) -> Usage {
        let said = self.assembly.said();
        match self.assembly.usage() {
            Some(usage) if matches!(self.state, State::Complete) => usage,
            Some(usage) => Usage { output: usage.output.max(said), estimated: true, ..usage },
            None => Usage { input: self.origin.input, output: said, estimated: true, ..Usage::default() },
        }
    }

    fn ready(&mut self) -> Option<Result<Event, LlmError>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Ok(event));
        }
        if !matches!(self.state, State::Failed(_)) {
            return None;
        }
        let State::Failed(failure) = std::mem::replace(&mut self.state, State::Over) else { return None };
        let alias = &self.origin.alias;
        warn!(
            llm.alias = alias,
            llm.request_id = self.origin.exchange.request_id(),
            llm.said = failure.said,
            "an answer of model `{alias}` broke off: {failure}"
        );
        Some(Err(failure.error))
    }

    /// Until when to wait for the next event of the wire.
    fn until(&mut self) -> (Instant, Wait) {
        let clock = &self.origin.clock;
        let idle = if self.assembly.has_finish() { clock.idle().min(AFTERMATH) } else { clock.idle() };
        let quiet = *self.quiet_since.get_or_insert_with(Instant::now) + idle;
        if quiet < clock.end() { (quiet, Wait::Idle) } else { (clock.end(), Wait::Total) }
    }

    fn take(&mut self, item: Option<Result<Vec<Delta>, OpenAIError>>) {
        self.quiet_since = None;
        match item {
            Some(Ok(deltas)) => {
                self.origin.exchange.taken();
                deltas.into_iter().for_each(|delta| self.add(delta));
            }
            // It is not JSON, or not text.
            Some(Err(_)) => self.end(false, Cut::Broken),
            None => self.end(self.origin.exchange.end() == End::Done, Cut::Broken),
        }
    }

    fn add(&mut self, delta: Delta) {
        match delta {
            // The first error is the end, and so is what follows the end.
            _ if !matches!(self.state, State::Open) => {}
            Delta::Failed(envelope) => self.fail(self.in_stream(&envelope)),
            Delta::End => self.end(true, Cut::Broken),
            delta => {
                if self.assembly.add(delta, &mut self.events).is_err() {
                    self.fail(self.cut(Cut::Broken));
                }
            }
        }
    }

    /// The stream is over. What came may be a whole turn all the same.
    fn end(&mut self, has_mark: bool, cut: Cut) {
        if self.assembly.is_filtered() {
            return self.fail(Failure::unsendable(LlmError::ContentFiltered));
        }
        if !self.assembly.is_whole(has_mark) {
            return self.fail(self.cut(cut));
        }
        let assembled = self.assembly.complete(&mut self.events);
        self.state = State::Complete;
        self.deltas = Box::pin(stream::empty());
        self.events.push_back(Event::Done(Completion {
            turn: assembled.turn,
            finish: assembled.finish,
            usage: self.usage(),
            model: self.origin.alias.clone(),
            request_id: self.origin.exchange.request_id(),
        }));
    }

    fn fail(&mut self, failure: Failure) {
        self.state = State::Failed(failure);
        // Whatever else comes is not read.
        self.deltas = Box::pin(stream::empty());
    }

    fn cut(&self, cut: Cut) -> Failure {
        let error = match cut {
            Cut::Late(wait) => LlmError::TimedOut(wait),
            Cut::Broken => LlmError::Interrupted { partial: self.assembly.text().to_owned(), usage: self.usage() },
        };
        Failure { error, said: String::new(), retry: Retry::Soon, is_outage: true }
    }

    fn in_stream(&self, envelope: &Envelope) -> Failure {
        let said =
            self.origin.scrub.clean(format!("{} {} {}", envelope.code, envelope.kind, envelope.message).as_bytes());
        Failure::in_stream(envelope, self.origin.exchange.request_id(), said)
    }
}
