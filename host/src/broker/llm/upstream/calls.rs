//! Tool calls, put together from pieces. Servers differ in what tells one call's
//! pieces from another's: an index, else an id, else the place in the list.

use std::collections::VecDeque;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::delta::Fragment;
use crate::broker::llm::{Event, ToolCall};

/// Calls of one turn. OpenAI takes as many tools; more calls are a model that has
/// lost its way, and each is kept until the turn's end.
const CALLS: usize = 128;

/// More calls in one turn than this host takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    position: usize,
    /// As the upstream gave it, and maybe to another call as well.
    given_id: String,
    name: String,
    arguments: String,
    /// Its place and its id, once the guest knows of it.
    announced: Option<(u32, String)>,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        !self.0.iter().any(|call| !call.name.is_empty())
    }

    /// Adds a piece.
    pub(super) fn add(&mut self, piece: Fragment, events: &mut VecDeque<Event>) -> Result<(), TooMany> {
        let at = match self.find(&piece) {
            Some(at) => at,
            None if self.0.len() == CALLS => return Err(TooMany),
            None => {
                self.0.push(Call { index: piece.index, position: piece.position, ..Call::default() });
                self.0.len() - 1
            }
        };
        let call = &mut self.0[at];
        // The first of each counts: some servers repeat both with every piece.
        if call.given_id.is_empty() {
            call.given_id = piece.id;
        }
        if call.name.is_empty() {
            call.name = piece.name;
        }
        call.arguments.push_str(&piece.arguments);
        match &call.announced {
            Some((index, _)) if !piece.arguments.is_empty() => {
                events.push_back(Event::CallDelta { index: *index, fragment: piece.arguments });
            }
            Some(_) => {}
            // Without an id it may still get one.
            None if call.name.is_empty() || call.given_id.is_empty() => {}
            None => self.announce(at, events),
        }
        Ok(())
    }

    /// Adds what came whole, unless its pieces came before.
    pub(super) fn add_whole(&mut self, mut call: Fragment, events: &mut VecDeque<Event>) -> Result<(), TooMany> {
        let same = |known: &Call| match &*call.id {
            "" => call.index.is_some() && known.index == call.index,
            id => known.given_id == id,
        };
        if let Some(known) = self.0.iter().find(|known| same(known)) {
            call.index = known.index;
            call.name.clone_from(&known.name);
            if !known.arguments.is_empty() {
                return Ok(());
            }
        }
        self.add(call, events)
    }

    /// The turn is over: every call that has a name is complete.
    pub(super) fn finish(&mut self, events: &mut VecDeque<Event>) -> Vec<ToolCall> {
        for at in 0..self.0.len() {
            if self.0[at].announced.is_none() && !self.0[at].name.is_empty() {
                self.announce(at, events);
            }
        }
        let mut calls: Vec<(u32, ToolCall)> = self.0.drain(..).filter_map(Call::complete).collect();
        calls.sort_by_key(|(index, _)| *index);
        let calls: Vec<ToolCall> = calls.into_iter().map(|(_, call)| call).collect();
        events.extend(calls.iter().cloned().map(Event::CallDone));
        calls
    }

    fn find(&self, piece: &Fragment) -> Option<usize> {
        let same = |call: &Call| match (piece.index, &*piece.id) {
            (Some(index), _) => call.index == Some(index),
            (None, "") => call.position == piece.position,
            (None, id) => call.given_id == id,
        };
        self.0.iter().rposition(same).filter(|at| !self.0[*at].is_over_before(piece))
    }

    fn announce(&mut self, at: usize, events: &mut VecDeque<Event>) {
        let announced = || self.0.iter().filter_map(|call| call.announced.as_ref());
        // There are at most as many as `CALLS`.
        let index = u32::try_from(announced().count()).unwrap_or(u32::MAX);
        let call = &self.0[at];
        let is_taken = call.given_id.is_empty() || announced().any(|(_, id)| *id == call.given_id);
        // Below OpenAI's 40 characters, and in its form.
        let id = if is_taken { format!("call_{}", Uuid::new_v4().simple()) } else { call.given_id.clone() };
        events.push_back(Event::CallStart { index, id: id.clone(), name: call.name.clone() });
        if !call.arguments.is_empty() {
            events.push_back(Event::CallDelta { index, fragment: call.arguments.clone() });
        }
        self.0[at].announced = Some((index, id));
    }
}

impl Call {
    /// Whether the piece, which has this call's key, begins another one: some
    /// servers give all calls of a turn the same index, or none at all, and send
    /// each whole. Another name is another call, and nothing follows an object
    /// that is closed.
    fn is_over_before(&self, piece: &Fragment) -> bool {
        if piece.name.is_empty() || self.name.is_empty() {
            return false;
        }
        let is_same = !piece.id.is_empty() && piece.id == self.given_id;
        self.name != piece.name || (!is_same && !piece.arguments.trim().is_empty() && is_object(&self.arguments))
    }

    fn complete(self) -> Option<(u32, ToolCall)> {
        let (index, id) = self.announced?;
        let is_empty = self.arguments.trim().is_empty();
        let arguments = if is_empty { "{}".to_owned() } else { self.arguments };
        Some((index, ToolCall { id, name: self.name, arguments_valid: is_object(&arguments), arguments }))
    }
}

/// Whether a text is one JSON object.
pub(super) fn is_object(text: &str) -> bool {
    text.trim_end().ends_with('}') && serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

#[cfg(test)]
#[path = "calls/tests.rs"]
mod tests;
