//! The four waits of one request.

use std::time::Duration;

use tokio::time::Instant;

use crate::broker::llm::Wait;
use crate::config::LlmTimeouts;

/// When a request began, and what it has time for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
    timeouts: LlmTimeouts,
}

impl Clock {
    pub(super) fn start(timeouts: LlmTimeouts) -> Self {
        Self { began: Instant::now(), timeouts }
    }

    /// Until when the first event has to be here, and which wait that is.
    pub(super) fn first_event(&self) -> (Instant, Wait) {
        let LlmTimeouts { first_event, total, .. } = self.timeouts;
        if first_event < total { (self.began + first_event, Wait::FirstEvent) } else { (self.end(), Wait::Total) }
    }

    /// Between two events.
    pub(super) fn idle(&self) -> Duration {
        self.timeouts.idle
    }

    /// Until when the last event has to be here.
    pub(super) fn end(&self) -> Instant {
        self.began + self.timeouts.total
    }
}
