//! How far the pieces of a text are apart. Models write faster than anybody reads,
//! and each piece costs the host, the guest and the client's connection work that
//! hardly depends on its length: it is the number of pieces that a host can carry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Pieces of all answers together in a second, for each core. A piece takes some
/// 80 µs of a core: this is a fifth of it, and leaves room for those who only begin.
const PIECES_PER_CORE: u32 = 2_500;
/// Pieces of one answer are no closer than this: a screen shows no more, either.
const CLOSEST: Duration = Duration::from_millis(25);
/// And no farther: the text would stutter.
const FARTHEST: Duration = Duration::from_millis(200);

/// The answers that are on their way on this host.
#[derive(Clone)]
pub(super) struct Pace {
    answers: Arc<AtomicUsize>,
    /// What each of them adds to the time between two pieces.
    each: Duration,
}

/// One answer. It counts until it is dropped.
pub(super) struct Paced(Pace);

impl Pace {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of(u32::try_from(cores).unwrap_or(u32::MAX))
    }

    fn of(cores: u32) -> Self {
        let each = Duration::from_secs(1) / PIECES_PER_CORE.saturating_mul(cores.max(1));
        Self { answers: Arc::default(), each }
    }

    /// One more answer.
    pub(super) fn begin(&self) -> Paced {
        self.answers.fetch_add(1, Ordering::Relaxed);
        Paced(self.clone())
    }
}

impl Paced {
    /// The time from one piece to the next, as it is now.
    pub(super) fn between(&self) -> Duration {
        let answers = self.0.answers.load(Ordering::Relaxed);
        let fair = self.0.each.saturating_mul(u32::try_from(answers).unwrap_or(u32::MAX));
        fair.clamp(CLOSEST, FARTHEST)
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.0.answers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_answers_share_what_the_cores_carry() {
        let pace = Pace::of(2);
        let first = pace.begin();
        assert_eq!(first.between(), CLOSEST);
        let others: Vec<_> = (1..500).map(|_| pace.begin()).collect();
        assert_eq!(first.between(), Duration::from_millis(100));
        let more: Vec<_> = (0..10_000).map(|_| pace.begin()).collect();
        assert_eq!(first.between(), FARTHEST);
        drop((others, more));
        assert_eq!(first.between(), CLOSEST);
    }
}
