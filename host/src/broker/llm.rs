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

mod answer;
mod budget;
mod error;
pub mod host;
mod ledger;
mod model;
mod policy;
mod record;
mod reservation;
mod run;
pub mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use answer::Answer;
pub use budget::Allowance;
pub use error::{LimitInfo, LlmError, Scope, Unit, Wait};
pub use model::{
    Completion, Effort, Event, Finish, Format, Message, Part, Request, Tool, ToolCall, ToolChoice, Turn, Usage,
};
pub use run::Run;

use crate::call::Call;
use crate::config::{self, DatabaseKind, LlmBudgets, LlmModel};
use budget::{Subject, subjects};
use ledger::{Claim, Ledger, LedgerError, Verdict};
use record::Record;
use reservation::{Cost, Reservation};
use upstream::Upstream;

/// A request whose host has died counts as running for so long after the longest
/// that it can take. Shorter: a slow end frees its place too early. Longer: a
/// killed host's requests keep others waiting.
const SLACK: Duration = Duration::from_secs(60);
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

/// One module's models.
pub struct Access {
    llm: Arc<Llm>,
    module: Arc<str>,
    /// The first is the one that is asked when a guest names none.
    aliases: Vec<String>,
}

impl Access {
    /// What a module may ask.
    pub fn new(llm: &Arc<Llm>, module: &str, aliases: &[String]) -> Self {
        Self { llm: Arc::clone(llm), module: module.into(), aliases: aliases.to_vec() }
    }

    /// The models that can be asked, in the order of the grant.
    pub fn models(&self) -> impl Iterator<Item = &LlmModel> {
        self.aliases.iter().filter_map(|alias| self.llm.models.get(alias)).map(|model| &model.config)
    }

    /// Every limit that would count the next request, the nearest first.
    ///
    /// # Errors
    /// [`LlmError::Unavailable`].
    pub async fn allowances(&self, call: &Call, run: &Run) -> Result<Vec<Allowance>, LlmError> {
        let limit = u64::from(self.llm.budgets.requests_per_run);
        let (scope, unit, used) = (Scope::Run, Unit::Requests, u64::from(run.requests()));
        let mut all = vec![Allowance { scope, unit, limit, used, resets_in: Duration::ZERO }];
        let subjects = subjects(&self.llm.budgets, &self.module, call.caller.as_ref());
        if !subjects.is_empty() {
            let keys: Vec<&str> = subjects.iter().map(|subject| &*subject.key).collect();
            let counted = self.llm.ledger.count(&keys).await.map_err(|error| self.unavailable(&error))?;
            all.extend(subjects.iter().zip(&counted).flat_map(|(subject, counted)| subject.allowances(counted)));
        }
        Ok(all)
    }

    /// Asks a model. Returns when its answer has begun.
    ///
    /// # Errors
    /// See [`LlmError`].
    pub async fn open(&self, call: &Call, run: &mut Run, request: Request) -> Result<Answer, LlmError> {
        let model = self.allowed(request.model.as_deref())?;
        let mut record = Record::begin(&self.module, &model.config, &request, &call.trace);
        let asked = self.ask(call, run, request, model, &mut record).await;
        match asked {
            Ok(upstream) => {
                record.answered();
                Ok(Answer::new(upstream, &model.config.alias, record))
            }
            Err(error) => {
                record.failed(&error);
                Err(error)
            }
        }
    }

    /// Allow: the alias was granted, and there is a model behind it.
    fn allowed(&self, named: Option<&str>) -> Result<&Model, LlmError> {
        let Some(alias) = named.or(self.aliases.first().map(String::as_str)) else {
            let what = "this module was granted no model; add llm = [\"default\"] to its grants";
            return Err(LlmError::NotConfigured(what.to_owned()));
        };
        if !self.aliases.iter().any(|granted| granted == alias) {
            return Err(LlmError::ModelNotAllowed(alias.chars().take(64).flat_map(char::escape_debug).collect()));
        }
        self.llm.models.get(alias).ok_or_else(|| {
            let what = "set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that asks for no key";
            LlmError::NotConfigured(what.to_owned())
        })
    }

    async fn ask(
        &self,
        call: &Call,
        run: &mut Run,
        request: Request,
        model: &Model,
        record: &mut Record,
    ) -> Result<upstream::Answer, LlmError> {
        let subjects = subjects(&self.llm.budgets, &self.module, call.caller.as_ref());
        let outputs = subjects.iter().map(|subject| subject.budget.output_tokens_per_day);
        let most_output = outputs.filter(|most| *most > 0).min().unwrap_or(u64::MAX);
        let request = policy::permit(request, &model.config, most_output)?;
        run.count(self.llm.budgets.requests_per_run)?;
        record.reserved(self.reserve(&subjects, &request, &model.config).await?);
        // The upstream's own times are the nearer ones, unless the call has waited
        // for long already.
        let most = model.config.timeouts.total.saturating_add(SLACK);
        let opened = run.wait(&call.deadline, most, model.upstream.open(&request)).await?;
        opened.unwrap_or(Err(LlmError::TimedOut(Wait::Total)))
    }

    /// Reserve: every budget has room for the most that it can cost.
    async fn reserve(
        &self,
        subjects: &[Subject],
        request: &Request,
        model: &LlmModel,
    ) -> Result<Reservation, LlmError> {
        let input = upstream::estimate_input(request);
        let output = u64::from(request.max_output_tokens.unwrap_or(model.max_output_tokens));
        let over = |subject: &&Subject| (1..input).contains(&subject.budget.input_tokens_per_day);
        if let Some(subject) = subjects.iter().find(over) {
            return Err(subject.too_large(Unit::InputTokens));
        }
        let (id, cost) = (Uuid::new_v4(), Cost { input, output });
        let keys = subjects.iter().map(|subject| Arc::clone(&subject.key)).collect();
        // Before the question: what becomes of the answer is not known when the call
        // is cut off meanwhile, and settling what is not there does nothing.
        let reservation = Reservation::new(Arc::clone(&self.llm.ledger), self.llm.tasks.clone(), id, keys, cost);
        if subjects.is_empty() {
            return Ok(reservation);
        }
        let claim = Claim { id, subjects, input, output, lives: model.timeouts.total.saturating_add(SLACK) };
        match self.llm.ledger.reserve(&claim).await {
            Ok(Verdict::Granted) => Ok(reservation),
            Ok(Verdict::Refused { place, unit, now }) => {
                reservation.forget();
                Err(subjects.get(place).map_or(LlmError::Unavailable, |subject| subject.exceeded(unit, now)))
            }
            Err(error) => {
                reservation.settle(Cost::default());
                Err(self.unavailable(&error))
            }
        }
    }

    /// Without budgets nobody is asked: a database that is away must not be a way
    /// around them.
    fn unavailable(&self, error: &LedgerError) -> LlmError {
        let why = crate::fault::chain(error);
        tracing::warn!(module.name = %self.module, blame = "host", "`{}` cannot ask a model: {why}", self.module);
        LlmError::Unavailable
    }
}
