//! The ledger in SQLite, in the host's own file. One writer at a time is SQLite's
//! own rule, so what is counted inside a writing transaction stays as it is until
//! its end, whichever process asks.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row, Sqlite, Transaction};
use uuid::Uuid;

use super::{Claim, Counted, KEEP, LedgerError, Verdict, signed, unavailable, unit, unsigned};
use crate::database::sqlite::{Durability, File};

/// There is one writer, so a second connection would wait inside SQLite, which
/// sleeps, instead of here.
const CONNECTIONS: u32 = 1;

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

/// As on Postgres; times in milliseconds, `minute` and `day` in whole ones.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS innkeeper_llm_used (key TEXT PRIMARY KEY, minute INTEGER NOT NULL, requests INTEGER NOT NULL,
    day INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS innkeeper_llm_open (key TEXT NOT NULL, request BLOB NOT NULL, day INTEGER NOT NULL,
    input INTEGER NOT NULL, output INTEGER NOT NULL, ends INTEGER NOT NULL, PRIMARY KEY (key, request)) WITHOUT ROWID;
";

const COUNT: &str = "SELECT coalesce(sum(u.requests) FILTER (WHERE u.minute >= ?2), 0), \
    coalesce(sum(u.input) FILTER (WHERE u.day >= ?3), 0), coalesce(sum(u.output) FILTER (WHERE u.day >= ?3), 0), \
    (SELECT count(*) FROM innkeeper_llm_open o WHERE o.key = ?1 AND o.ends > ?4) \
    FROM innkeeper_llm_used u WHERE u.key = ?1";

/// A row that a later look at the clock has moved on stays in its window.
const USE: &str = "INSERT INTO innkeeper_llm_used (key, minute, requests, day, input, output) VALUES (?1, ?2, 1, ?3, ?4, ?5) \
    ON CONFLICT (key) DO UPDATE SET minute = max(minute, excluded.minute), \
    requests = CASE WHEN minute >= excluded.minute THEN requests ELSE 0 END + 1, day = max(day, excluded.day), \
    input = CASE WHEN day >= excluded.day THEN input ELSE 0 END + excluded.input, \
    output = CASE WHEN day >= excluded.day THEN output ELSE 0 END + excluded.output";

const OPEN: &str = "INSERT INTO innkeeper_llm_open (key, request, day, input, output, ends) \
    SELECT key, ?2, day, ?3, ?4, ?5 FROM innkeeper_llm_used WHERE key = ?1";

const CLOSE: &str = "DELETE FROM innkeeper_llm_open WHERE key = ?1 AND request = ?2 RETURNING day, input, output";

const CORRECT: &str = "UPDATE innkeeper_llm_used SET input = max(0, input + ?3), output = max(0, output + ?4) \
    WHERE key = ?1 AND day = ?2";

pub(super) struct Ledger(File);

impl Ledger {
    pub(super) fn new(file: &Path) -> Self {
        // A power cut may lose the last counts; the end of the process does not.
        Self(File::new(file, CONNECTIONS, Durability::Relaxed, TABLES))
    }

    pub(super) async fn prepare(&self) -> Result<(), LedgerError> {
        self.0.prepare().await.map_err(unavailable)
    }

    pub(super) async fn reserve(&self, claim: &Claim<'_>) -> Result<Verdict, LedgerError> {
        let mut transaction = self.begin().await?;
        let verdict = reserve(&mut transaction, claim).await.map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)?;
        Ok(verdict)
    }

    pub(super) async fn settle(&self, id: Uuid, keys: &[&str], input: u64, output: u64) -> Result<(), LedgerError> {
        let mut transaction = self.begin().await?;
        for key in keys {
            settle(&mut transaction, id, key, signed(input), signed(output)).await.map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)
    }

    pub(super) async fn count(&self, keys: &[&str]) -> Result<Vec<Counted>, LedgerError> {
        let mut transaction = self.begin().await?;
        let mut all = Vec::with_capacity(keys.len());
        let now = now();
        for key in keys {
            all.push(count(&mut transaction, key, now).await.map_err(unavailable)?);
        }
        Ok(all)
    }

    pub(super) async fn prune(&self) -> Result<(), LedgerError> {
        let mut transaction = self.begin().await?;
        let before = now() - signed(u64::try_from(KEEP.as_millis()).unwrap_or(u64::MAX));
        let open = sqlx::query("DELETE FROM innkeeper_llm_open WHERE ends < ?1").bind(before);
        open.execute(&mut *transaction).await.map_err(unavailable)?;
        let used = sqlx::query("DELETE FROM innkeeper_llm_used WHERE day < ?1 AND minute < ?2");
        let used = used.bind(before / DAY).bind(before / MINUTE).execute(&mut *transaction);
        used.await.map_err(unavailable)?;
        transaction.commit().await.map_err(unavailable)
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, LedgerError> {
        self.prepare().await?;
        self.0.begin_writing().await.map_err(unavailable)
    }
}

async fn reserve(connection: &mut SqliteConnection, claim: &Claim<'_>) -> Result<Verdict, sqlx::Error> {
    let now = now();
    for (place, subject) in claim.subjects.iter().enumerate() {
        let counted = count(connection, &subject.key, now).await?;
        let totals = [
            counted.requests + 1,
            counted.input.saturating_add(claim.input),
            counted.output.saturating_add(claim.output),
            counted.running + 1,
        ];
        let over = |(cap, total): (u64, u64)| cap > 0 && total > cap;
        if let Some(number) = subject.caps().into_iter().zip(totals).position(over) {
            let number = i64::try_from(number).unwrap_or(0) + 1;
            return Ok(Verdict::Refused { place, unit: unit(number), now: unsigned(now) });
        }
    }
    let ends = now.saturating_add(i64::try_from(claim.lives.as_millis()).unwrap_or(i64::MAX));
    let (input, output) = (signed(claim.input), signed(claim.output));
    for subject in claim.subjects {
        let used = sqlx::query(USE).bind(&*subject.key).bind(now / MINUTE).bind(now / DAY).bind(input).bind(output);
        used.execute(&mut *connection).await?;
        let open = sqlx::query(OPEN).bind(&*subject.key).bind(claim.id).bind(input).bind(output).bind(ends);
        open.execute(&mut *connection).await?;
    }
    Ok(Verdict::Granted)
}

async fn settle(
    connection: &mut SqliteConnection,
    id: Uuid,
    key: &str,
    input: i64,
    output: i64,
) -> Result<(), sqlx::Error> {
    let closed = sqlx::query(CLOSE).bind(key).bind(id).fetch_optional(&mut *connection).await?;
    let Some(row) = closed else { return Ok(()) };
    let (day, reserved_input, reserved_output): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let correct = sqlx::query(CORRECT).bind(key).bind(day);
    let correct = correct.bind(input.saturating_sub(reserved_input)).bind(output.saturating_sub(reserved_output));
    correct.execute(connection).await.map(|_| ())
}

async fn count(connection: &mut SqliteConnection, key: &str, now: i64) -> Result<Counted, sqlx::Error> {
    let row = sqlx::query(COUNT).bind(key).bind(now / MINUTE).bind(now / DAY).bind(now).fetch_one(connection).await?;
    let number = |row: &SqliteRow, column: usize| row.try_get::<i64, _>(column).map(unsigned);
    Ok(Counted {
        requests: number(&row, 0)?,
        input: number(&row, 1)?,
        output: number(&row, 2)?,
        running: number(&row, 3)?,
        now: unsigned(now),
    })
}

/// Of this machine, which is the one that the file is on.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
