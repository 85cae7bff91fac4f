//! Keys and values in Postgres, beside the host's other tables. No module's role can
//! reach them, whatever it asks for.
//!
//! Each question is one message of the host's own words; what comes from a guest is in it
//! as hexadecimal digits.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::OnceCell;

use super::policy::{BYTES, KEYS};
use super::{KeyvalueError, PAGE, Place};
use crate::database::postgres::Pool;

/// Before every question. Longer: requests pile up behind a database that is stuck.
const SETTINGS: &str = "SET LOCAL statement_timeout = '1s'";
/// `id` is the order of `list-keys`, which a key keeps when it is set again.
const TABLE: &str = "CREATE TABLE innkeeper.keyvalue (module text NOT NULL, owner text NOT NULL, key text NOT NULL, \
    id bigint GENERATED ALWAYS AS IDENTITY, value bytea NOT NULL, PRIMARY KEY (module, owner, key)); \
    CREATE UNIQUE INDEX keyvalue_order ON innkeeper.keyvalue (module, owner, id); \
    REVOKE ALL ON innkeeper.keyvalue FROM PUBLIC";

pub(super) struct Table {
    pool: Pool,
    made: OnceCell<()>,
}

impl Table {
    pub(super) fn new(url: &str) -> Result<Self, &'static str> {
        Ok(Self { pool: Pool::new(url, "keyvalue")?, made: OnceCell::new() })
    }

    pub(super) async fn get(&self, place: &Place, key: &str) -> Result<Option<Vec<u8>>, KeyvalueError> {
        let rows = self.ask(&format!("SELECT value FROM innkeeper.keyvalue WHERE {}", one(place, key))).await?;
        rows.first().map(|row| row.try_get(0)).transpose().map_err(KeyvalueError::unavailable)
    }

    /// False when there is no room.
    pub(super) async fn set(&self, place: &Place, key: &str, value: &[u8]) -> Result<bool, KeyvalueError> {
        let (module, owner, name, bytes) = (text(&place.module), text(&place.owner), text(key), hex(value));
        let question = format!(
            "WITH held AS (SELECT count(*) AS keys, coalesce(sum(octet_length(value)), 0) AS bytes \
             FROM innkeeper.keyvalue WHERE {} AND key <> {name}) \
             INSERT INTO innkeeper.keyvalue (module, owner, key, value) \
             SELECT {module}, {owner}, {name}, '\\x{bytes}'::bytea FROM held WHERE keys < {KEYS} AND bytes + {} <= {BYTES} \
             ON CONFLICT (module, owner, key) DO UPDATE SET value = excluded.value RETURNING 1",
            all(place),
            value.len(),
        );
        Ok(!self.ask(&question).await?.is_empty())
    }

    pub(super) async fn delete(&self, place: &Place, key: &str) -> Result<(), KeyvalueError> {
        self.ask(&format!("DELETE FROM innkeeper.keyvalue WHERE {}", one(place, key))).await.map(drop)
    }

    pub(super) async fn exists(&self, place: &Place, key: &str) -> Result<bool, KeyvalueError> {
        let rows = self.ask(&format!("SELECT 1 FROM innkeeper.keyvalue WHERE {}", one(place, key))).await?;
        Ok(!rows.is_empty())
    }

    pub(super) async fn keys(&self, place: &Place, after: i64) -> Result<Vec<(i64, String)>, KeyvalueError> {
        let place = all(place);
        let question =
            format!("SELECT id, key FROM innkeeper.keyvalue WHERE {place} AND id > {after} ORDER BY id LIMIT {PAGE}");
        let rows = self.ask(&question).await?;
        let pair = |row: &PgRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(pair).collect::<Result<_, sqlx::Error>>().map_err(KeyvalueError::unavailable)
    }

    async fn ask(&self, question: &str) -> Result<Vec<PgRow>, KeyvalueError> {
        let make = || self.pool.set_up("to_regclass('innkeeper.keyvalue') IS NOT NULL", TABLE);
        self.made.get_or_try_init(make).await.map_err(KeyvalueError::unavailable)?;
        let question = format!("{SETTINGS}; {question}");
        self.pool.ask(AssertSqlSafe(&question)).await.map_err(KeyvalueError::unavailable)
    }
}

fn all(place: &Place) -> String {
    format!("module = {} AND owner = {}", text(&place.module), text(&place.owner))
}

fn one(place: &Place, key: &str) -> String {
    format!("{} AND key = {}", all(place), text(key))
}

/// Text in which nothing can mean anything to SQL.
fn text(text: &str) -> String {
    format!("convert_from('\\x{}'::bytea, 'UTF8')", hex(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Into memory, which takes it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
