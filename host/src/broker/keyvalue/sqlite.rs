//! Keys and values in SQLite, in the host's own file.

use std::path::Path;

use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::policy::{BYTES, KEYS};
use super::{KeyvalueError, PAGE, Place};
use crate::database::sqlite::{Durability, File};

/// There is one writer, so a second connection would wait inside SQLite, which sleeps,
/// instead of here.
const CONNECTIONS: u32 = 1;

/// `id` is the order of `list-keys`, which a key keeps when it is set again.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS innkeeper_keyvalue (id INTEGER PRIMARY KEY AUTOINCREMENT, \
    module TEXT NOT NULL, owner TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, UNIQUE (module, owner, key)); \
    CREATE UNIQUE INDEX IF NOT EXISTS innkeeper_keyvalue_order ON innkeeper_keyvalue (module, owner, id)";

const SET: &str = "INSERT INTO innkeeper_keyvalue (module, owner, key, value) SELECT ?1, ?2, ?3, ?4 FROM \
    (SELECT count(*) AS keys, coalesce(sum(length(value)), 0) AS bytes FROM innkeeper_keyvalue \
    WHERE module = ?1 AND owner = ?2 AND key <> ?3) WHERE keys < ?5 AND bytes + length(?4) <= ?6 \
    ON CONFLICT (module, owner, key) DO UPDATE SET value = excluded.value";

pub(super) struct Table(File);

impl Table {
    pub(super) fn new(file: &Path) -> Self {
        Self(File::new(file, CONNECTIONS, Durability::Full, TABLE))
    }

    pub(super) async fn get(&self, place: &Place, key: &str) -> Result<Option<Vec<u8>>, KeyvalueError> {
        let question = "SELECT value FROM innkeeper_keyvalue WHERE module = ?1 AND owner = ?2 AND key = ?3";
        let asked = sqlx::query(question).bind(&*place.module).bind(&*place.owner).bind(key);
        let row = asked.fetch_optional(self.pool().await?).await.map_err(KeyvalueError::unavailable)?;
        row.map(|row| row.try_get(0)).transpose().map_err(KeyvalueError::unavailable)
    }

    /// False when there is no room.
    pub(super) async fn set(&self, place: &Place, key: &str, value: &[u8]) -> Result<bool, KeyvalueError> {
        let asked = sqlx::query(SET).bind(&*place.module).bind(&*place.owner).bind(key).bind(value);
        let done = asked.bind(KEYS).bind(BYTES).execute(self.pool().await?).await;
        done.map(|done| done.rows_affected() > 0).map_err(KeyvalueError::unavailable)
    }

    pub(super) async fn delete(&self, place: &Place, key: &str) -> Result<(), KeyvalueError> {
        let question = "DELETE FROM innkeeper_keyvalue WHERE module = ?1 AND owner = ?2 AND key = ?3";
        let asked = sqlx::query(question).bind(&*place.module).bind(&*place.owner).bind(key);
        asked.execute(self.pool().await?).await.map(drop).map_err(KeyvalueError::unavailable)
    }

    pub(super) async fn exists(&self, place: &Place, key: &str) -> Result<bool, KeyvalueError> {
        let question = "SELECT 1 FROM innkeeper_keyvalue WHERE module = ?1 AND owner = ?2 AND key = ?3";
        let asked = sqlx::query(question).bind(&*place.module).bind(&*place.owner).bind(key);
        let row = asked.fetch_optional(self.pool().await?).await.map_err(KeyvalueError::unavailable)?;
        Ok(row.is_some())
    }

    pub(super) async fn keys(&self, place: &Place, after: i64) -> Result<Vec<(i64, String)>, KeyvalueError> {
        let question = "SELECT id, key FROM innkeeper_keyvalue WHERE module = ?1 AND owner = ?2 AND id > ?3 \
            ORDER BY id LIMIT ?4";
        let asked = sqlx::query(question).bind(&*place.module).bind(&*place.owner).bind(after);
        let rows = asked.bind(i64::try_from(PAGE).unwrap_or(i64::MAX)).fetch_all(self.pool().await?).await;
        let pair = |row: &SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?));
        let pairs = rows.and_then(|rows| rows.iter().map(pair).collect::<Result<_, sqlx::Error>>());
        pairs.map_err(KeyvalueError::unavailable)
    }

    async fn pool(&self) -> Result<&SqlitePool, KeyvalueError> {
        self.0.prepare().await.map_err(KeyvalueError::unavailable)?;
        Ok(self.0.pool())
    }
}
