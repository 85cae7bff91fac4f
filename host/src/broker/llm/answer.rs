//! An answer on its way to a guest.

use std::time::Duration;

use tokio::time::Instant;

use super::error::LlmError;
use super::model::{Completion, Event};
use super::pace::Paced;
use super::record::Record;
use super::run::Run;
use super::upstream;
use crate::call::Deadline;

/// Events that a guest gets at once. A crossing costs more than an event.
const BATCH: usize = 32;
/// The longest that a guest may wait for an event at once.
const WAIT: Duration = Duration::from_secs(60);
/// Pieces that came together are one, up to this.
const PIECE_BYTES: usize = 4 << 10;

/// An answer on its way. Dropping it hangs up, and counts what it had cost.
pub struct Answer {
    upstream: Option<upstream::Answer>,
    alias: String,
    record: Option<Record>,
    /// Met behind events that the guest had to get first.
    held: Option<LlmError>,
    pace: Paced,
    /// When the next piece of a text is due; the first goes out at once.
    due: Option<Instant>,
}

impl Answer {
    pub(super) fn new(upstream: upstream::Answer, alias: &str, record: Record, pace: Paced) -> Self {
        Self { upstream: Some(upstream), alias: alias.to_owned(), record: Some(record), held: None, pace, due: None }
    }

    /// The next events, as many as are here; waits at most so long for the first.
    /// Empty: nothing came in that time, or there is no more.
    ///
    /// # Errors
    /// See [`LlmError`]; after one there is no more.
    pub async fn next(&mut self, deadline: &Deadline, run: &mut Run, wait: Duration) -> Result<Vec<Event>, LlmError> {
        let early = self.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
        if !early.is_zero() && !wait.is_zero() {
            let pause = run.wait(deadline, WAIT, tokio::time::sleep(early.min(wait))).await;
            pause.map_err(|error| self.broken_off(error))?;
        }
        let events = self.gather(deadline, run, wait.saturating_sub(early)).await?;
        let flows = events.last().is_some_and(Event::is_read);
        self.due = flows.then(|| Instant::now() + self.pace.between());
        Ok(events)
    }

    async fn gather(&mut self, deadline: &Deadline, run: &mut Run, wait: Duration) -> Result<Vec<Event>, LlmError> {
        if let Some(error) = self.held.take() {
            return Err(error);
        }
        let mut events = Vec::new();
        while let Some(upstream) = &mut self.upstream {
            let next = match upstream.try_next() {
                Some(next) => Some(Some(next)),
                None if !events.is_empty() || wait.is_zero() => break,
                None => match run.wait(deadline, wait.min(WAIT), upstream.next()).await {
                    Ok(next) => next,
                    Err(error) => return Err(self.broken_off(error)),
                },
            };
            match next {
                // Nothing came.
                None => break,
                Some(Some(Ok(event))) => add(&mut events, self.seen(event)),
                Some(Some(Err(error))) => {
                    let error = self.broken_off(error);
                    if events.is_empty() {
                        return Err(error);
                    }
                    self.held = Some(error);
                }
                // The end without `done`, after which nothing is known to be whole.
                Some(None) => self.hang_up(),
            }
            if events.len() >= BATCH {
                break;
            }
        }
        Ok(events)
    }

    /// The whole answer.
    ///
    /// # Errors
    /// See [`LlmError`].
    pub async fn complete(mut self, deadline: &Deadline, run: &mut Run) -> Result<Completion, LlmError> {
        loop {
            let events = self.gather(deadline, run, WAIT).await?;
            let over = self.upstream.is_none() && self.held.is_none();
            if let Some(Event::Done(completion)) = events.into_iter().last() {
                return Ok(completion);
            }
            if over {
                return Err(LlmError::Upstream { status: 0, code: None, retryable: true, request_id: None });
            }
        }
    }

    /// Counts what ends with this event.
    fn seen(&mut self, event: Event) -> Event {
        let Event::Done(mut completion) = event else {
            self.record.as_mut().map(Record::heard);
            return event;
        };
        completion.model.clone_from(&self.alias);
        if let Some(record) = self.record.take() {
            record.done(completion.usage, completion.finish);
        }
        self.upstream = None;
        Event::Done(completion)
    }

    fn broken_off(&mut self, error: LlmError) -> LlmError {
        if let (Some(upstream), Some(record)) = (self.upstream.take(), self.record.take()) {
            record.interrupted(upstream.usage(), &error);
        }
        error
    }

    fn hang_up(&mut self) {
        if let (Some(upstream), Some(record)) = (self.upstream.take(), self.record.take()) {
            record.hung_up(upstream.usage());
        }
    }
}

/// Adds an event, to the piece before it if it is more of the same.
fn add(events: &mut Vec<Event>, event: Event) {
    let rest = match events.last_mut() {
        Some(last) => last.extend(event, PIECE_BYTES),
        None => Some(event),
    };
    events.extend(rest);
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.hang_up();
    }
}
