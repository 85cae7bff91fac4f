//! The LLM broker: models behind aliases, asked by typed messages, within budgets.
//!
//! The order of a request is: allow (the alias was granted), permit (it can be
//! sent as it is), reserve (all budgets have room for the most that it can cost),
//! deadline, backend, settle. No key, address, header or free option is a guest's
//! to choose, and nothing of what the upstream writes beside its answer reaches one.
//!
//! Limits: sizes and counts in `policy`; requests and tokens in `ledger`, per caller,
//! module and host; requests and time of one call in `run`; times of one request in
//! `upstream`. Failures are [`LlmError`].

mod access;
mod answer;
mod budget;
mod error;
pub mod host;
mod ledger;
mod model;
mod pace;
mod pieces;
mod policy;
mod record;
mod reservation;
mod run;
pub mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

pub use access::Access;
pub use answer::Answer;
pub use budget::Allowance;
pub use error::{LimitInfo, LlmError, Scope, Unit, Wait};
pub use model::{
    Completion, Effort, Event, Finish, Format, Message, Part, Request, Tool, ToolCall, ToolChoice, Turn, Usage,
};
pub use run::Run;

use crate::config::{self, DatabaseKind, LlmBudgets, LlmModel};
use ledger::Ledger;
use pace::Pace;
use upstream::Upstream;

/// How often what counts for nothing any more is forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// The operator has to correct something about a model.
#[derive(Debug, thiserror::Error)]
#[error("llm.models.{alias}: {what}")]
pub struct SetupError {
    alias: String,
    what: String,
}

/// All models, and the budgets over them.
pub struct Llm {
    models: BTreeMap<String, Model>,
    budgets: LlmBudgets,
    ledger: Arc<Ledger>,
    pace: Pace,
    tasks: TaskTracker,
}

struct Model {
    config: LlmModel,
    upstream: Upstream,
}

impl Llm {
    /// Nothing is connected yet. What ends later than its request ends in `tasks`.
    ///
    /// # Errors
    /// What the operator has to correct.
    pub fn new(config: &config::Llm, database: &DatabaseKind, tasks: &TaskTracker) -> Result<Self, SetupError> {
        let ledger = Ledger::new(database);
        let ledger = ledger.map_err(|what| SetupError { alias: "*".to_owned(), what: what.to_owned() })?;
        let open = |model: &LlmModel| {
            let failed =
                |error: &dyn std::fmt::Display| SetupError { alias: model.alias.clone(), what: error.to_string() };
            let upstream = Upstream::new(model).map_err(|error| failed(&error))?;
            Ok((model.alias.clone(), Model { config: model.clone(), upstream }))
        };
        Ok(Self {
            models: config.models.iter().map(open).collect::<Result<_, _>>()?,
            budgets: config.budgets,
            ledger: Arc::new(ledger),
            pace: Pace::new(),
            tasks: tasks.clone(),
        })
    }

    /// Makes the tables of the budgets, where there is a model to be asked. A
    /// database that is away is looked for again when a request needs it.
    pub async fn prepare(&self) {
        if self.models.is_empty() {
            return;
        }
        if let Err(error) = self.ledger.prepare().await {
            let why = crate::fault::chain(&error);
            tracing::warn!(
                "models cannot be asked until the database is there, and takes the tables of their budgets: {why}"
            );
        }
    }

    /// Forgets what counts for nothing any more, for ever.
    pub async fn look_after(&self) {
        loop {
            tokio::time::sleep(PRUNE_EVERY).await;
            if let Err(error) = self.ledger.prune().await {
                tracing::warn!("old budgets are still in the database: {}", crate::fault::chain(&error));
            }
        }
    }

    /// Whether there is a model at all.
    pub fn is_configured(&self) -> bool {
        !self.models.is_empty()
    }
}
