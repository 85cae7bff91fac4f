//! What the broker needs of a database, and the two that there are.

mod postgres;
mod sqlite;
mod sqlite_value;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::migration::MigrationError;
use super::policy::{Dialect, Vetted};
use super::value::{Rows, Signature, Value};
use super::{Schema, SqlError, Statement};
use crate::config::{Database, DatabaseKind, ModuleLimits};

/// One step of a call: a vetted statement and its values.
pub struct Step {
    /// The statement.
    pub statement: Arc<Statement>,
    /// As many values as it has parameters.
    pub params: Vec<Value>,
}

/// One call's statements.
pub struct Request<'a> {
    /// Whose rows they meet; none for an anonymous caller.
    pub caller: Option<&'a str>,
    /// One alone, or several in one transaction.
    pub steps: &'a [Step],
    /// When the call is given up.
    pub until: Instant,
}

/// What one call may take.
#[derive(Clone, Debug)]
pub struct Caps {
    /// Rows of one result.
    pub rows: usize,
    /// Bytes of one result.
    pub bytes: usize,
    /// Bytes of the parameters of one statement.
    pub parameter_bytes: usize,
    /// Time, the wait for a connection included.
    pub time: Duration,
}

impl Caps {
    /// The caps that a module's limits set.
    pub fn of(limits: &ModuleLimits) -> Self {
        Self {
            rows: limits.sql_rows as usize,
            bytes: limits.sql_bytes,
            parameter_bytes: limits.sql_bytes / 4,
            time: limits.sql_time,
        }
    }
}

/// A database, as one module sees it: its own schema and nothing else.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// How rows of different callers are kept apart, for `/health`.
    fn isolation(&self, schema: &Schema) -> &'static str;

    /// The name that OpenTelemetry has for the database.
    fn system(&self) -> &'static str;

    /// Applies the migrations that are missing and guards the rows that have
    /// owners, all in one transaction, under a lock that other replicas wait for.
    async fn migrate(&self, schema: &Schema) -> Result<(), MigrationError>;

    /// Prepares a statement once, to learn that the database takes it.
    async fn prepare(&self, statement: &Vetted) -> Result<Signature, SqlError>;

    /// Runs the steps: one alone, or several in one transaction. On every error
    /// the connection is clean again, or closed.
    async fn run(&self, request: &Request<'_>, caps: &Caps) -> Result<Vec<Rows>, SqlError>;

    /// Whether the database answers; `Busy` when no connection is free until then.
    async fn ping(&self, until: Instant) -> Result<(), SqlError>;

    /// Closes connections that nobody uses.
    fn rest(&self);
}

/// Which dialect a configured database speaks.
pub fn dialect(database: &Database) -> Dialect {
    match database.kind {
        DatabaseKind::Postgres(_) => Dialect::Postgres,
        DatabaseKind::Sqlite(_) => Dialect::Sqlite,
    }
}

/// The schema of a module on Postgres: its name, with the one character that
/// would need quoting replaced.
pub fn schema_name(module: &str) -> String {
    module.replace('-', "_")
}

/// A module's way to the database. Nothing is connected yet.
///
/// # Errors
/// When the URL holds something that the driver does not know.
pub fn open(database: &Database, module: &str, caps: &Caps) -> Result<Box<dyn Backend>, SqlError> {
    Ok(match &database.kind {
        DatabaseKind::Postgres(config) => {
            Box::new(postgres::Postgres::new(config, module, database.connections, caps)?)
        }
        DatabaseKind::Sqlite(path) => Box::new(sqlite::Sqlite::new(&file_of(path, module), database.connections)),
    })
}

/// SQLite has no schemas and no roles, so each module has a file of its own:
/// `innkeeper.db` becomes `innkeeper.todo.db`.
fn file_of(path: &Path, module: &str) -> PathBuf {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) => path.with_extension(format!("{module}.{extension}")),
        None => path.with_extension(format!("{module}.db")),
    }
}

impl Caps {
    /// What is left of them for the next step of a batch: its results are all in
    /// memory together.
    fn less(&self, rows: &Rows) -> Self {
        let count = rows.cells.len() / rows.columns.len().max(1);
        Self { rows: self.rows.saturating_sub(count), bytes: self.bytes.saturating_sub(rows.bytes()), ..self.clone() }
    }
}

/// Cuts off a result that is larger than the caps, row by row.
fn check_size(rows: &Rows, count: usize, caps: &Caps) -> Result<(), SqlError> {
    if count > caps.rows {
        return Err(SqlError::TooLarge(format!("the result has more than {} rows (limits.sql_rows)", caps.rows)));
    }
    if rows.bytes() > caps.bytes {
        return Err(SqlError::TooLarge(format!("the result is over {} bytes (limits.sql_bytes)", caps.bytes)));
    }
    Ok(())
}
