//! The SQL broker: a module's declared statements, on its own schema.
//!
//! A statement was vetted, printed and prepared when the module was loaded; a
//! call names it and gives values. The order of a call is: allow (it was
//! declared), permit (the sizes fit), deadline, backend, account.
//!
//! Limits: rows and bytes of a result, bytes and number of parameters, steps of
//! a batch, time; all of them per module. Failures are [`SqlError`]; `wit/sql.wit`
//! says after which of them nothing was written.

pub mod backend;
pub mod host;
pub mod migration;
pub mod policy;
mod pool;
pub mod span;
pub mod text;
pub mod value;
pub mod watcher;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use backend::{Backend, Caps, Request, Step};
use migration::Migration;
use policy::{Dialect, Tables, Vetted};
use value::{Rows, Signature, Value};

use crate::call::Call;

/// Steps of one batch. More belong into one statement over many rows.
const BATCH_STEPS: usize = 64;
/// Time for one try at preparing a module's schema: migrations may have to
/// rewrite a table.
const PREPARE_TIME: Duration = Duration::from_secs(60);
/// How long a look at the database waits for a connection, at most. Longer, and a
/// lost database is noticed late; shorter, and a busy one is not looked at.
const LOOK_WAIT: Duration = Duration::from_secs(2);
/// A database that refuses is lost at once; one that says nothing for so long is.
/// Longer, and requests wait for nothing; shorter, and the load of one module
/// makes the whole host unready.
const SILENCE: Duration = Duration::from_secs(4);

/// Why a statement gave no rows.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The module declared no statement of this name.
    #[error("no statement `{0}` was declared")]
    UnknownStatement(String),
    /// The database forbids it to the role that the module runs under.
    #[error("denied: {0}")]
    Denied(String),
    /// The parameters, or the data, do not fit.
    #[error("invalid: {0}")]
    Invalid(String),
    /// A constraint forbids the write.
    #[error("a {kind:?} constraint `{name}` forbids the write")]
    Constraint {
        /// Its kind.
        kind: ConstraintKind,
        /// Its name, or nothing.
        name: String,
    },
    /// Two transactions met.
    #[error("two transactions met")]
    Conflict,
    /// No connection is free.
    #[error("every connection of the module is in use")]
    Busy,
    /// Longer than the module's `sql_time`.
    #[error("the statement ran longer than limits.sql_time")]
    Timeout,
    /// Parameters or rows over the module's limits.
    #[error("{0}")]
    TooLarge(String),
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Option<sqlx_error::BoxError>),
    /// The database answered what a vetted and prepared statement cannot cause.
    #[error("the database refused a statement that it had prepared")]
    Broken(#[source] sqlx_error::BoxError),
}

impl SqlError {
    /// Whether the connection is in order after it. A statement's own failure
    /// leaves it so; a missed deadline, a lost socket or an unread rest of a
    /// result do not.
    fn leaves_connection_usable(&self) -> bool {
        !matches!(self, Self::Timeout | Self::TooLarge(_)) && !self.loses_connection()
    }

    /// Whether the connection cannot be brought in order any more.
    fn loses_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Broken(_))
    }

    /// The same while a module is loaded: the operator is the reader then, and
    /// what the database says of a statement is the statement's fault.
    fn while_preparing(self) -> Self {
        match self {
            Self::Broken(reason) => Self::Invalid(reason.to_string()),
            other => other,
        }
    }
}

/// Errors of the driver, without naming the driver.
pub mod sqlx_error {
    /// Any error that can cross threads.
    pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
}

/// Which kind of constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `UNIQUE` or `PRIMARY KEY`
    Unique,
    /// `REFERENCES`
    ForeignKey,
    /// `NOT NULL`
    NotNull,
    /// `CHECK`
    Check,
    /// Any other
    Other,
}

/// A declared statement that passed the gate.
pub struct Statement {
    /// What guests call it.
    pub name: Arc<str>,
    /// The proof that it was vetted.
    pub vetted: Vetted,
    /// The printed syntax tree, shared with every call.
    pub text: Arc<str>,
    /// What the database says of its parameters; known once it was prepared.
    signature: OnceLock<Signature>,
}

impl Statement {
    /// A statement that was not prepared yet.
    pub fn new(name: &str, vetted: Vetted) -> Self {
        let text = vetted.sql().into();
        Self { name: name.into(), vetted, text, signature: OnceLock::new() }
    }

    /// The types of its parameters.
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.get()
    }
}

/// What a module stores.
#[derive(Debug)]
pub struct Schema {
    /// Its name, where the database has schemas.
    pub name: String,
    /// What its texts are written in.
    pub dialect: Dialect,
    /// How its tables come about, in order.
    pub migrations: Vec<Migration>,
    /// Its tables, as the migrations leave them.
    pub tables: Tables,
    /// Tables whose rows belong to callers, each with the owner's column.
    pub owned: Vec<(String, String)>,
}

/// One module's SQL: its statements, and the way to its schema.
pub struct Store {
    backend: Box<dyn Backend>,
    statements: HashMap<Arc<str>, Arc<Statement>>,
    schema: Schema,
    texts: text::Texts,
    caps: Caps,
    state: watch::Sender<Readiness>,
    alarm: Notify,
    silent_since: Mutex<Option<Instant>>,
}

/// Whether a module's database can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not reached yet, or lost; the text says why.
    Down(Arc<str>),
    /// Migrated and prepared, and the last look was good.
    Up,
}

/// Why a module's schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// May pass by itself.
    #[error("the database cannot be reached")]
    Unreachable(#[source] SqlError),
    /// Will not: the module or the database must be changed.
    #[error(transparent)]
    Refused(migration::MigrationError),
    /// The database does not take a statement.
    #[error("statement `{statement}`: {reason}; correct the statement, or the migration that makes its tables")]
    Statement {
        /// Which.
        statement: Arc<str>,
        /// Why.
        reason: String,
    },
}

impl Store {
    /// A store that is not ready yet; see [`Store::prepare`].
    pub fn new(backend: Box<dyn Backend>, statements: Vec<Statement>, schema: Schema, caps: Caps) -> Self {
        let statements = statements.into_iter().map(|s| (Arc::clone(&s.name), Arc::new(s))).collect();
        let (state, _) = watch::channel(Readiness::Down("not reached yet".into()));
        Self {
            backend,
            statements,
            schema,
            texts: text::Texts::default(),
            caps,
            state,
            alarm: Notify::new(),
            silent_since: Mutex::default(),
        }
    }

    /// Runs what is missing of the migrations, and prepares every statement, so
    /// that a mistake is found now and not by a request.
    ///
    /// # Errors
    /// See [`PrepareError`]; only `Unreachable` is worth another try.
    pub async fn prepare(&self) -> Result<(), PrepareError> {
        let result = tokio::time::timeout(PREPARE_TIME, self.try_prepare()).await;
        let result = result.unwrap_or(Err(PrepareError::Unreachable(SqlError::Timeout)));
        self.state.send_replace(match &result {
            Ok(()) => Readiness::Up,
            Err(error) => Readiness::Down(crate::fault::chain(error).into()),
        });
        result
    }

    async fn try_prepare(&self) -> Result<(), PrepareError> {
        match self.backend.migrate(&self.schema).await {
            Ok(()) => {}
            // It was here before, and a newer version has migrated since: taken back, or
            // on another replica. Whether the statements still fit is seen below.
            Err(migration::MigrationError::Ahead { .. }) if self.was_prepared() => {}
            Err(migration::MigrationError::Unreachable(cause)) => return Err(PrepareError::Unreachable(cause)),
            Err(other) => return Err(PrepareError::Refused(other)),
        }
        for statement in self.statements.values() {
            let signature = self.describe(statement).await?;
            // Set before when an earlier try came this far: the answer is the same.
            let _ = statement.signature.set(signature);
        }
        Ok(())
    }

    /// What a statement means to the database now.
    async fn describe(&self, statement: &Statement) -> Result<Signature, PrepareError> {
        self.backend.prepare(&statement.vetted).await.map_err(|error| match error {
            SqlError::Unavailable(_) | SqlError::Busy | SqlError::Timeout => PrepareError::Unreachable(error),
            other => {
                let statement = Arc::clone(&statement.name);
                PrepareError::Statement { statement, reason: crate::fault::chain(&other) }
            }
        })
    }

    fn was_prepared(&self) -> bool {
        !self.statements.is_empty() && self.statements.values().all(|statement| statement.signature().is_some())
    }

    /// Whether every statement still means what it meant, after another version of
    /// the module has migrated its tables.
    ///
    /// # Errors
    /// The first statement that does not.
    pub async fn verify(&self) -> Result<(), PrepareError> {
        // Connections remember what they prepared, and would say that all is well.
        self.backend.rest();
        for statement in self.statements.values().filter(|statement| statement.signature().is_some()) {
            if statement.signature() != Some(&self.describe(statement).await?) {
                let reason = "its parameters or columns have other types by now".to_owned();
                return Err(PrepareError::Statement { statement: Arc::clone(&statement.name), reason });
            }
        }
        Ok(())
    }

    /// Closes connections that nobody uses: the module is not called any more.
    pub fn rest(&self) {
        self.backend.rest();
    }

    /// Whether the database can be used, as of the last look.
    pub fn readiness(&self) -> Readiness {
        self.state.borrow().clone()
    }

    /// Looks whether a prepared database is still there, and notes the answer.
    pub async fn look(&self) -> Readiness {
        // A full pool has to be told from a database that does not answer, so the
        // wait for a connection is the shorter one.
        let until = Instant::now() + LOOK_WAIT.min(self.caps.time / 2);
        let answer = tokio::time::timeout(self.caps.time, self.backend.ping(until)).await;
        let answer = answer.unwrap_or(Err(SqlError::Timeout));
        let silent = matches!(answer, Err(SqlError::Timeout | SqlError::Unavailable(None)));
        let now = match answer {
            Ok(()) => Readiness::Up,
            // A full pool is a busy database, not a lost one.
            Err(SqlError::Busy) => self.readiness(),
            Err(_) if silent && self.silence() < SILENCE => self.readiness(),
            Err(error) => Readiness::Down(crate::fault::chain(&error).into()),
        };
        if !silent {
            *self.silent_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.state.send_if_modified(|state| std::mem::replace(state, now.clone()) != now);
        now
    }

    /// For how long the looks have met silence, this one included.
    fn silence(&self) -> Duration {
        let mut since = self.silent_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.get_or_insert_with(Instant::now).elapsed()
    }

    /// Resolves when a call could not reach the database: time for a look.
    pub async fn alarmed(&self) {
        self.alarm.notified().await;
    }

    /// How rows are kept apart, for `/health`.
    pub fn isolation(&self) -> &'static str {
        self.backend.isolation(&self.schema)
    }

    /// Which database it is, as spans name it (`db.system.name`).
    pub fn system(&self) -> &'static str {
        self.backend.system()
    }

    /// Statements, for `innkeeper inspect`.
    pub fn statements(&self) -> impl Iterator<Item = &Arc<Statement>> {
        self.statements.values()
    }

    /// Runs one declared statement.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn run(&self, call: &Call, statement: &str, params: Vec<Value>) -> Result<Rows, SqlError> {
        let step = self.permit(self.declared(statement)?, params)?;
        let mut all = self.execute(call, &[step]).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Runs declared statements in one transaction, all or nothing.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn batch(&self, call: &Call, steps: Vec<(String, Vec<Value>)>) -> Result<Vec<Rows>, SqlError> {
        check_batch(steps.len())?;
        let permitted = steps.into_iter().map(|(name, params)| self.permit(self.declared(&name)?, params));
        let steps = permitted.collect::<Result<Vec<_>, _>>()?;
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        self.execute(call, &steps).await
    }

    /// Allow: the statement was declared.
    fn declared(&self, name: &str) -> Result<&Arc<Statement>, SqlError> {
        self.statements.get(name).ok_or_else(|| SqlError::UnknownStatement(name.to_owned()))
    }

    /// Permit: the values fit the statement.
    fn permit(&self, statement: &Arc<Statement>, params: Vec<Value>) -> Result<Step, SqlError> {
        let (name, expected) = (&statement.name, statement.vetted.parameters());
        if params.len() != expected {
            let what = format!("`{name}` takes {expected} parameters, not {}", params.len());
            return Err(SqlError::Invalid(what));
        }
        let bytes: usize = params.iter().map(Value::bytes).sum();
        if bytes > self.caps.parameter_bytes {
            return Err(SqlError::TooLarge(format!(
                "parameters of `{name}` are over {} bytes",
                self.caps.parameter_bytes
            )));
        }
        Ok(Step { statement: Arc::clone(statement), params })
    }

    /// When a call's SQL has to be done: its own deadline may be the nearer one.
    fn until(&self, call: &Call) -> Instant {
        call.deadline.at().min(Instant::now() + self.caps.time)
    }

    /// Not prepared yet, or known to be away: nobody waits for a connection that
    /// will not come.
    fn check_ready(&self) -> Result<(), SqlError> {
        if *self.state.borrow() == Readiness::Up { Ok(()) } else { Err(SqlError::Unavailable(None)) }
    }

    async fn execute(&self, call: &Call, steps: &[Step]) -> Result<Vec<Rows>, SqlError> {
        self.check_ready()?;
        let until = self.until(call);
        let caller = call.caller.as_ref().map(|caller| caller.subject.as_str());
        let result = self.backend.run(&Request { caller, steps, until }, &self.caps).await;
        if let Err(SqlError::Unavailable(_)) = &result {
            self.alarm.notify_one();
        }
        result
    }
}

fn check_batch(steps: usize) -> Result<(), SqlError> {
    if steps > BATCH_STEPS {
        return Err(SqlError::TooLarge(format!("a batch has at most {BATCH_STEPS} steps")));
    }
    Ok(())
}
