//! What one call of a guest may still ask and wait, whoever is calling.

use std::time::Duration;

use super::error::{LimitInfo, LlmError, Scope, Unit};
use crate::call::Deadline;

/// Counts one call's requests, and its waits.
#[derive(Debug)]
pub struct Run {
    requests: u32,
    time_left: Duration,
}

impl Run {
    /// A call that may wait for so long, all its requests together.
    pub fn new(time: Duration) -> Self {
        Self { requests: 0, time_left: time }
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    /// Counts one more request.
    pub(super) fn count(&mut self, most: u32) -> Result<(), LlmError> {
        if self.requests >= most {
            return Err(used_up(Unit::Requests, format!("one call may ask models {most} times")));
        }
        self.requests += 1;
        Ok(())
    }

    /// Waits while the call's own clock stands still; none when `most` has passed.
    pub(super) async fn wait<T>(
        &mut self,
        deadline: &Deadline,
        most: Duration,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, LlmError> {
        let pause = deadline.pause();
        let done = tokio::time::timeout(most.min(self.time_left), work).await.ok();
        self.time_left = self.time_left.saturating_sub(pause.elapsed());
        if done.is_none() && self.time_left.is_zero() {
            return Err(used_up(Unit::Time, "the call waited for models longer than limits.llm_time".to_owned()));
        }
        Ok(done)
    }
}

fn used_up(unit: Unit, detail: String) -> LlmError {
    LlmError::BudgetExceeded(LimitInfo { scope: Scope::Run, unit, retry_after: None, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn a_call_may_wait_for_so_long_and_no_longer() {
        let (mut run, deadline) = (Run::new(TICK * 3), Deadline::after(TICK));
        let never = std::future::pending::<()>;
        assert_eq!(run.wait(&deadline, TICK, never()).await, Ok(None));
        assert_eq!(run.wait(&deadline, TICK, async { 7 }).await, Ok(Some(7)));
        let error = run.wait(&deadline, TICK * 100, never()).await.expect_err("used up");
        assert!(matches!(error, LlmError::BudgetExceeded(LimitInfo { scope: Scope::Run, unit: Unit::Time, .. })));
        // None of it was the call's own time.
        assert!(deadline.at() > std::time::Instant::now());
        run.wait(&deadline, TICK, never()).await.expect_err("it stays so");
    }

    #[test]
    fn a_call_may_ask_so_often_and_no_oftener() {
        let mut run = Run::new(TICK);
        assert!(run.count(2).is_ok() && run.count(2).is_ok());
        let error = run.count(2).expect_err("used up");
        assert!(matches!(error, LlmError::BudgetExceeded(LimitInfo { retry_after: None, .. })), "{error:?}");
    }
}
