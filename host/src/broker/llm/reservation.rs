//! What one request has reserved, until it is known what it used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::error::{LlmError, Wait};
use super::ledger::{Ledger, LedgerError};
use super::model::Usage;

/// How fast a model may think while nobody sees it. The silence before the first
/// event of an answer that was cut off is counted so. Lower: thinking could be had
/// for nothing by hanging up. Higher: an impatient caller pays for what was never
/// thought.
const HIDDEN_TOKENS_PER_SECOND: u64 = 100;
/// The pause before the second and last try at settling. What cannot be settled
/// stays counted as it was reserved.
const SETTLE_AGAIN: Duration = Duration::from_secs(1);

/// What a request was counted as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl From<Usage> for Cost {
    fn from(usage: Usage) -> Self {
        Self { input: usage.input, output: usage.output }
    }
}

/// Counted, and running. Dropped without a word, it was cut off.
pub(super) struct Reservation {
    ledger: Arc<Ledger>,
    tasks: TaskTracker,
    id: Uuid,
    keys: Vec<Arc<str>>,
    reserved: Cost,
    began: Instant,
    /// How long the model said nothing, once it has said something.
    silence: Option<Duration>,
    settled: bool,
}

impl Reservation {
    /// `keys` are empty where nothing limits the request.
    pub(super) fn new(ledger: Arc<Ledger>, tasks: TaskTracker, id: Uuid, keys: Vec<Arc<str>>, reserved: Cost) -> Self {
        Self { ledger, tasks, id, keys, reserved, began: Instant::now(), silence: None, settled: false }
    }

    /// The model has said something.
    pub(super) fn heard(&mut self) {
        self.silence.get_or_insert_with(|| self.began.elapsed());
    }

    /// What a request cost that gave no answer.
    pub(super) fn cost_of(&self, error: &LlmError) -> Cost {
        match error {
            LlmError::Interrupted { usage, .. } => self.cost_of_part(*usage),
            LlmError::TimedOut(Wait::FirstEvent | Wait::Idle | Wait::Total) | LlmError::BudgetExceeded(_) => {
                self.cost_when_cut()
            }
            // The upstream has read it.
            LlmError::ContentFiltered => Cost { output: 0, ..self.reserved },
            LlmError::NotConfigured(_)
            | LlmError::Invalid(_)
            | LlmError::ModelNotAllowed(_)
            | LlmError::FeatureNotAllowed(_)
            | LlmError::RateLimited(_)
            | LlmError::ContextTooLong
            | LlmError::TimedOut(Wait::Connect)
            | LlmError::Upstream { .. }
            | LlmError::Unavailable => Cost::default(),
        }
    }

    /// What a request may have cost that was cut off before it gave anything.
    pub(super) fn cost_when_cut(&self) -> Cost {
        self.cost_of_part(Usage { input: self.reserved.input, estimated: true, ..Usage::default() })
    }

    /// What a part of an answer cost: what the upstream says, else what was heard of
    /// it and what may have been thought before.
    pub(super) fn cost_of_part(&self, usage: Usage) -> Cost {
        if !usage.estimated {
            return usage.into();
        }
        let silence = self.silence.unwrap_or_else(|| self.began.elapsed());
        let thought = silence.as_secs().saturating_mul(HIDDEN_TOKENS_PER_SECOND);
        let output = usage.output.saturating_add(thought).min(self.reserved.output.max(usage.output));
        Cost { input: usage.input, output }
    }

    /// Puts what was used in the place of what was reserved. Nobody waits for it.
    pub(super) fn settle(mut self, cost: Cost) {
        self.settle_later(cost);
    }

    /// The ledger knows nothing of it.
    pub(super) fn forget(mut self) {
        self.settled = true;
    }

    fn settle_later(&mut self, cost: Cost) {
        if std::mem::replace(&mut self.settled, true) || self.keys.is_empty() {
            return;
        }
        // Without a runtime the process is at its end, and this stays reserved.
        let Ok(runtime) = Handle::try_current() else { return };
        let (ledger, id, keys) = (Arc::clone(&self.ledger), self.id, std::mem::take(&mut self.keys));
        self.tasks.spawn_on(
            async move {
                if let Err(error) = settle(&ledger, id, &keys, cost).await {
                    let why = crate::fault::chain(&error);
                    tracing::warn!(blame = "host", "a request to a model may stay counted as it was reserved: {why}");
                }
            },
            &runtime,
        );
    }
}

async fn settle(ledger: &Ledger, id: Uuid, keys: &[Arc<str>], cost: Cost) -> Result<(), LedgerError> {
    let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
    if ledger.settle(id, &keys, cost.input, cost.output).await.is_ok() {
        return Ok(());
    }
    tokio::time::sleep(SETTLE_AGAIN).await;
    ledger.settle(id, &keys, cost.input, cost.output).await
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let cost = self.cost_when_cut();
        self.settle_later(cost);
    }
}
