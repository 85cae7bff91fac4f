//! One module's models: a request from the grant to the first event, in the order
//! that every broker has.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::budget::{Allowance, Subject, subjects};
use super::error::{LlmError, Scope, Unit, Wait};
use super::ledger::{Claim, LedgerError, Verdict};
use super::model::Request;
use super::record::Record;
use super::reservation::{Cost, Reservation};
use super::{Answer, Llm, Model, Run, policy, upstream};
use crate::call::Call;
use crate::config::LlmModel;

/// A request whose host has died counts as running for so long after the longest
/// that it can take. Shorter: a slow end frees its place too early. Longer: a
/// killed host's requests keep others waiting.
const SLACK: Duration = Duration::from_secs(60);

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
        let mut record = Record::begin(&self.module, &model.config, &call.trace);
        let asked = self.ask(call, run, request, model, &mut record).await;
        match asked {
            Ok(upstream) => {
                record.answered();
                Ok(Answer::new(upstream, &model.config.alias, record, self.llm.pace.begin()))
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
        record.permitted(&request);
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
