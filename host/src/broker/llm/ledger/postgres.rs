//! The ledger in Postgres, beside the host's other tables. No module's role can
//! reach it: what it may use of the schema `innkeeper` are two functions.
//!
//! Each question is one message, so that the rows which all requests share are
//! locked for the server's own time and no round trip. Its commit does not wait for
//! the disk (`synchronous_commit`): what a crash of the database server loses is
//! the count of its last half second; the end of a host loses nothing.

use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Claim, Counted, KEEP, LedgerError, Verdict, signed, unavailable, unit, unsigned};
use crate::database::postgres::{AskError, Pool};

/// Its version is the text itself: another one in the database is replaced.
const TABLES: &str = include_str!("postgres.sql");
/// Before every question. A lock that is not had within a second means a database
/// that is stuck: longer, and requests pile up behind it.
const SETTINGS: &str = "SET LOCAL statement_timeout = '1s'; SET LOCAL synchronous_commit = off";
pub(super) struct Ledger {
    pool: Pool,
    made: OnceCell<()>,
}

impl Ledger {
    pub(super) fn new(url: &str) -> Result<Self, &'static str> {
        Ok(Self { pool: Pool::new(url, "llm")?, made: OnceCell::new() })
    }

    pub(super) async fn prepare(&self) -> Result<(), LedgerError> {
        let make = || async {
            let digest = Sha256::digest(TABLES);
            let version: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            let found = "obj_description(to_regprocedure('innkeeper.llm_prune(bigint)'), 'pg_proc')";
            let make = format!("{TABLES} COMMENT ON FUNCTION innkeeper.llm_prune(bigint) IS '{version}'");
            self.pool.set_up(&format!("coalesce({found} = '{version}', false)"), &make).await
        };
        self.made.get_or_try_init(make).await.copied().map_err(unavailable)
    }

    pub(super) async fn reserve(&self, claim: &Claim<'_>) -> Result<Verdict, LedgerError> {
        let Claim { id, subjects, input, output, lives } = claim;
        let keys = list(subjects.iter().map(|subject| &*subject.key));
        let caps = subjects.iter().flat_map(|subject| subject.caps()).map(|cap| cap.to_string());
        let caps = caps.collect::<Vec<_>>().join(",");
        let (input, output, lives) = (signed(*input), signed(*output), lives.as_millis());
        let text = format!(
            "SELECT place, unit, now FROM innkeeper.llm_reserve('{id}', {keys}, ARRAY[{caps}]::bigint[], {input}, {output}, {lives})"
        );
        let rows = self.ask(&text).await?;
        let row = rows.first().ok_or_else(|| unavailable(sqlx::Error::RowNotFound))?;
        let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        let (place, number, now): (i64, i64, i64) = read().map_err(|error: sqlx::Error| unavailable(error))?;
        Ok(match usize::try_from(place - 1) {
            Ok(place) => Verdict::Refused { place, unit: unit(number), now: unsigned(now) },
            Err(_) => Verdict::Granted,
        })
    }

    pub(super) async fn settle(&self, id: Uuid, keys: &[&str], input: u64, output: u64) -> Result<(), LedgerError> {
        let (keys, input, output) = (list(keys.iter().copied()), signed(input), signed(output));
        self.ask(&format!("SELECT innkeeper.llm_settle('{id}', {keys}, {input}, {output})")).await.map(|_| ())
    }

    pub(super) async fn count(&self, keys: &[&str]) -> Result<Vec<Counted>, LedgerError> {
        let keys = list(keys.iter().copied());
        let rows = self.ask(&format!("SELECT * FROM innkeeper.llm_count({keys})")).await?;
        rows.iter().map(counted).collect::<Result<_, _>>().map_err(unavailable)
    }

    pub(super) async fn prune(&self) -> Result<(), LedgerError> {
        let before = format!("floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - {}", KEEP.as_millis());
        self.ask(&format!("SELECT innkeeper.llm_prune({before})")).await.map(|_| ())
    }

    /// Made of our own words, of numbers, and of keys, in which no character means
    /// anything to SQL.
    async fn ask(&self, text: &str) -> Result<Vec<PgRow>, LedgerError> {
        self.prepare().await?;
        let text = format!("{SETTINGS}; {text}");
        self.pool.ask(AssertSqlSafe(&text)).await.map_err(|error: AskError| unavailable(error))
    }
}

fn list<'k>(keys: impl Iterator<Item = &'k str>) -> String {
    let keys: Vec<String> = keys.map(|key| format!("'{key}'")).collect();
    format!("ARRAY[{}]::text[]", keys.join(","))
}

fn counted(row: &PgRow) -> Result<Counted, sqlx::Error> {
    Ok(Counted {
        requests: unsigned(row.try_get("requests")?),
        input: unsigned(row.try_get("input")?),
        output: unsigned(row.try_get("output")?),
        running: unsigned(row.try_get("running")?),
        now: unsigned(row.try_get("now")?),
    })
}
