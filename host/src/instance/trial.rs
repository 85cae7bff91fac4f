//! A version that has just replaced another one, while it is seen whether it is any
//! good. Calls are judged where they end; who acts upon it is told once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::broker::sql::{Readiness, Store};

/// The last hundred calls, one bit each.
const CALLS: u128 = (1 << 100) - 1;

/// Failures among the last hundred calls, for a while.
pub struct Trial {
    until: Instant,
    most: u32,
    /// A module without its database fails for no reason of its own.
    sql: Option<Arc<Store>>,
    last: Mutex<u128>,
    failed: AtomicBool,
    alarm: Arc<Notify>,
}

impl Trial {
    /// From now on for `window`; `most` failures fail the version, and ring the alarm.
    pub fn new(window: Duration, most: u32, sql: Option<Arc<Store>>, alarm: Arc<Notify>) -> Self {
        let (last, failed) = (Mutex::default(), AtomicBool::new(false));
        Self { until: Instant::now() + window, most, sql, last, failed, alarm }
    }

    /// A call has ended.
    pub fn judge(&self, has_failed: bool) {
        let excused = || self.sql.as_ref().is_some_and(|sql| sql.readiness() != Readiness::Up);
        if Instant::now() > self.until || (has_failed && excused()) {
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (*last << 1 | u128::from(has_failed)) & CALLS;
        let failures = last.count_ones();
        drop(last);
        if failures >= self.most && !self.failed.swap(true, Ordering::Relaxed) {
            self.alarm.notify_one();
        }
    }

    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(window: Duration, most: u32) -> Trial {
        Trial::new(window, most, None, Arc::default())
    }

    #[test]
    fn failures_count_among_the_last_hundred_calls() {
        let hour = Duration::from_secs(3_600);
        let steady = trial(hour, 20);
        (0..1_000).for_each(|call| steady.judge(call % 6 == 0));
        assert!(!steady.has_failed(), "17 of a hundred");
        let failing = trial(hour, 20);
        (0..1_000).for_each(|call| failing.judge(call % 5 == 0));
        assert!(failing.has_failed(), "20 of a hundred");
        let quiet = trial(hour, 20);
        (0..19).for_each(|_| quiet.judge(true));
        assert!(!quiet.has_failed());
        quiet.judge(true);
        assert!(quiet.has_failed(), "it need not have had a hundred calls");
    }

    #[test]
    fn nothing_counts_after_the_window() {
        let over = trial(Duration::ZERO, 1);
        std::thread::sleep(Duration::from_millis(2));
        over.judge(true);
        assert!(!over.has_failed());
    }
}
