//! Leaves an upstream alone that fails most of the time: callers hear so at once,
//! instead of after all their timeouts, and it gets time to recover.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many attempts are looked at.
const WINDOW: u32 = 20;
/// So many failures among them open the breaker: half.
const FAILURES: u32 = WINDOW / 2;
/// For how long. Longer: an upstream that is back is left alone. Shorter: one that
/// is not is asked by everybody.
const OPEN: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last attempts, one bit each; set: failed.
    failed: u32,
    seen: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether to ask. One that was open lets everybody through after its time;
    /// what becomes of the first decides.
    pub(super) fn is_closed(&self, now: Instant) -> bool {
        self.state().open_until.is_none_or(|until| now >= until)
    }

    /// Counts an attempt. True when this opened the breaker.
    pub(super) fn count(&self, is_outage: bool, now: Instant) -> bool {
        let mut state = self.state();
        if let Some(until) = state.open_until {
            // What began before says nothing about how it is now.
            if now < until {
                return false;
            }
            *state = State { open_until: is_outage.then_some(now + OPEN), ..State::default() };
            return is_outage;
        }
        state.failed = (state.failed << 1 | u32::from(is_outage)) & ((1 << WINDOW) - 1);
        state.seen = (state.seen + 1).min(WINDOW);
        let is_broken = state.seen == WINDOW && state.failed.count_ones() >= FAILURES;
        if is_broken {
            state.open_until = Some(now + OPEN);
        }
        is_broken
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // It holds numbers, and each is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Breaker, FAILURES, OPEN, WINDOW};

    #[test]
    fn half_of_the_last_attempts_open_it_and_one_good_one_closes_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        (0..WINDOW - FAILURES).for_each(|_| assert!(!breaker.count(false, now)));
        (0..FAILURES - 1).for_each(|_| assert!(!breaker.count(true, now)));
        assert!(breaker.is_closed(now));
        assert!(breaker.count(true, now));
        assert!(!breaker.is_closed(now));
        assert!(!breaker.count(false, now), "an answer from before");
        assert!(!breaker.is_closed(now));
        let later = now + OPEN;
        assert!(breaker.is_closed(later));
        assert!(breaker.count(true, later), "it is not back");
        assert!(!breaker.is_closed(later));
        assert!(!breaker.count(false, later + OPEN));
        assert!(breaker.is_closed(later + OPEN));
        assert!(!breaker.count(true, later + OPEN), "the window is new");
    }
}
