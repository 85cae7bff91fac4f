//! What was used of language models, and what is reserved: in the configured
//! database, so that neither a restart nor a second host gives any of it back.
//! The only part of this broker with SQL in it.
//!
//! A claim is granted whole or not at all, in one step that nobody else's can
//! come between. Without an answer from the database nothing is granted.

mod postgres;
mod sqlite;

use std::time::Duration;

use secrecy::ExposeSecret;
use uuid::Uuid;

use super::budget::Subject;
use super::error::Unit;
use crate::config::DatabaseKind;

/// What was reserved is forgotten so long after its end; until then a host that
/// was slow to settle can still do it.
const KEEP: Duration = Duration::from_secs(60 * 60);

/// The budgets cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the budgets of language models cannot be read or written")]
pub(super) struct LedgerError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// What one request wants to reserve.
pub(super) struct Claim<'a> {
    pub(super) id: Uuid,
    /// Whose budgets. Never empty.
    pub(super) subjects: &'a [Subject],
    pub(super) input: u64,
    pub(super) output: u64,
    /// Counts as running for so long, should nobody say that it has ended.
    pub(super) lives: Duration,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Granted,
    /// The budget at this place is used up.
    Refused {
        place: usize,
        unit: Unit,
        /// The database's clock, in milliseconds since 1970.
        now: u64,
    },
}

/// What is counted for one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) requests: u64,
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) running: u64,
    /// The database's clock, in milliseconds since 1970.
    pub(super) now: u64,
}

pub(super) struct Ledger(Kind);

enum Kind {
    Postgres(postgres::Ledger),
    Sqlite(sqlite::Ledger),
}

impl Ledger {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL holds something that the driver does not know.
    pub(super) fn new(database: &DatabaseKind) -> Result<Self, &'static str> {
        Ok(Self(match database {
            DatabaseKind::Postgres(config) => Kind::Postgres(postgres::Ledger::new(config.url.expose_secret())?),
            DatabaseKind::Sqlite(file) => Kind::Sqlite(sqlite::Ledger::new(file)),
        }))
    }

    /// Makes the tables, where they are not there. Once; after that it is free.
    pub(super) async fn prepare(&self) -> Result<(), LedgerError> {
        match &self.0 {
            Kind::Postgres(ledger) => ledger.prepare().await,
            Kind::Sqlite(ledger) => ledger.prepare().await,
        }
    }

    /// Counts all of a claim, or nothing.
    pub(super) async fn reserve(&self, claim: &Claim<'_>) -> Result<Verdict, LedgerError> {
        match &self.0 {
            Kind::Postgres(ledger) => ledger.reserve(claim).await,
            Kind::Sqlite(ledger) => ledger.reserve(claim).await,
        }
    }

    /// Puts what was used in the place of what was reserved. The second time it
    /// does nothing.
    pub(super) async fn settle(&self, id: Uuid, keys: &[&str], input: u64, output: u64) -> Result<(), LedgerError> {
        match &self.0 {
            Kind::Postgres(ledger) => ledger.settle(id, keys, input, output).await,
            Kind::Sqlite(ledger) => ledger.settle(id, keys, input, output).await,
        }
    }

    /// What is counted, in the order of the keys.
    pub(super) async fn count(&self, keys: &[&str]) -> Result<Vec<Counted>, LedgerError> {
        match &self.0 {
            Kind::Postgres(ledger) => ledger.count(keys).await,
            Kind::Sqlite(ledger) => ledger.count(keys).await,
        }
    }

    /// Forgets what counts for nothing any more.
    pub(super) async fn prune(&self) -> Result<(), LedgerError> {
        match &self.0 {
            Kind::Postgres(ledger) => ledger.prune().await,
            Kind::Sqlite(ledger) => ledger.prune().await,
        }
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LedgerError {
    LedgerError(error.into())
}

/// Databases count in signed integers. What is beyond them is beyond every cap.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The cap that a database refused by, as it numbers them.
fn unit(number: i64) -> Unit {
    match number {
        1 => Unit::Requests,
        2 => Unit::InputTokens,
        3 => Unit::OutputTokens,
        _ => Unit::Concurrency,
    }
}
