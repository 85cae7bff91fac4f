//! Until when a call may run. The clock stands still while the call waits for a
//! language model: such a wait takes longer than a request should, and has bounds
//! of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// When the host gives up on a call. All clones are one clock.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Mutex<Clock>,
    /// Wakes whoever waits for the end of a clock that stood still.
    resumed: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Clock {
    until: Instant,
    stopped_at: Option<Instant>,
}

impl Deadline {
    /// So long from now.
    pub fn after(time: Duration) -> Self {
        let clock = Mutex::new(Clock { until: Instant::now() + time, stopped_at: None });
        Self(Arc::new(Shared { clock, resumed: Notify::new() }))
    }

    /// When it passes, if the clock does not stand still before.
    pub fn at(&self) -> Instant {
        let Clock { until, stopped_at } = *self.lock();
        until + stopped_at.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// Stops the clock until the pause ends. A call has one guest, which waits
    /// for one thing at a time, so that pauses do not overlap.
    pub fn pause(&self) -> Pause<'_> {
        let now = Instant::now();
        self.lock().stopped_at = Some(now);
        Pause { deadline: self, since: now }
    }

    /// Resolves when it has passed.
    pub async fn passed(&self) {
        loop {
            let Clock { until, stopped_at } = *self.lock();
            match stopped_at {
                // A pause that ended since the look has left its word behind.
                Some(_) => self.0.resumed.notified().await,
                None if until <= Instant::now() => return,
                None => tokio::time::sleep_until(until.into()).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Clock> {
        // Nothing that runs under the lock can panic half-way.
        self.0.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock stands still for as long as this lives.
#[derive(Debug)]
pub struct Pause<'d> {
    deadline: &'d Deadline,
    since: Instant,
}

impl Pause<'_> {
    /// For how long it has stood still.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut clock = self.deadline.lock();
        clock.until += self.since.elapsed();
        clock.stopped_at = None;
        drop(clock);
        self.deadline.0.resumed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Deadline;

    const TICK: Duration = Duration::from_millis(40);

    async fn passes(deadline: &Deadline, within: Duration) -> bool {
        tokio::time::timeout(within, deadline.passed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_deadline_passes_when_nobody_waits() {
        let deadline = Deadline::after(TICK);
        assert!(!passes(&deadline, TICK / 2).await);
        assert!(passes(&deadline, TICK * 3).await);
    }

    #[tokio::test]
    async fn a_pause_takes_nothing_from_what_is_left() {
        let deadline = Deadline::after(TICK);
        let watcher = tokio::spawn({
            let deadline = deadline.clone();
            async move { deadline.passed().await }
        });
        for _ in 0..3 {
            let pause = deadline.pause();
            tokio::time::sleep(TICK * 2).await;
            assert!(pause.elapsed() >= TICK * 2);
        }
        assert!(!watcher.is_finished(), "the pauses were counted");
        assert!(deadline.at() > std::time::Instant::now());
        tokio::time::timeout(TICK * 3, watcher).await.expect("it passes after the last pause").expect("no panic");
    }

    #[tokio::test]
    async fn a_clock_that_stands_still_wakes_nobody() {
        let deadline = Deadline::after(TICK / 4);
        let pause = deadline.pause();
        assert!(!passes(&deadline, TICK * 2).await);
        drop(pause);
        assert!(passes(&deadline, TICK * 2).await);
    }
}
