//! Better Auth's tables in Postgres: sessions and keys, wherever on the search
//! path they are. What is written is below.
//!
//! Read as the user of `DATABASE_URL`, one round trip each, in messages of the
//! simple protocol: text, its time limit and its end travel together, and
//! nothing is left on the connection that a pooler in transaction mode could
//! hand to somebody else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use tokio::time::Instant;

use self::accounts::Accounts;
use super::{Lookup, Owner, TableError, unavailable};
use crate::broker::identity::public_key::Jwk;
use crate::call::Caller;
use crate::database::postgres::{AskError, Pool};

mod accounts;
mod layout;

/// Keys that are read: what a published set may hold.
const KEYS: usize = 64;
/// Better Auth publishes a key for so long after it has stopped signing.
const GRACE: &str = "interval '30 days'";
/// The server's own limit; the wait for a lock counts too. Longer: requests pile
/// up behind a table that somebody alters.
const TIME_LIMIT: &str = "SET LOCAL statement_timeout = '1s'";
/// Tables that were not there are looked for again after so long: somebody may
/// install Better Auth beside a host that runs.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Where each table is, in the order of the search path. Catalogues come first
/// in every path, so these names are the system's own.
const FIND: &str = "SELECT n.nspname::text, \
    bool_or(c.relname = 'session') AND bool_or(c.relname = 'user'), bool_or(c.relname = 'jwks') \
    FROM unnest(current_schemas(false)) WITH ORDINALITY AS path(name, place) \
    JOIN pg_namespace n ON n.nspname = path.name JOIN pg_class c ON c.relnamespace = n.oid \
    WHERE c.relname IN ('session', 'user', 'jwks') AND c.relkind IN ('r', 'p', 'v') \
    GROUP BY n.nspname, path.place ORDER BY path.place";

pub(super) struct Tables {
    pool: Pool,
    /// Schemas that modules write to. With `"$user"` in the path one of them
    /// could come first, and a guest could make its own `session` there.
    foreign: Vec<String>,
    places: Mutex<Option<(Places, Instant)>>,
    accounts: Accounts,
}

/// The quoted schema of each table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    sessions: Option<String>,
    keys: Option<String>,
}

impl Tables {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL holds something that the driver does not know.
    pub(super) fn new(url: &str, foreign: Vec<String>) -> Result<Self, &'static str> {
        let pool = Pool::new(url, "identity")?;
        Ok(Self { pool, foreign, places: Mutex::new(None), accounts: Accounts::default() })
    }

    /// See [`super::Tables::session`].
    pub(super) async fn session(&self, lookup: Lookup<'_>) -> Result<Option<Caller>, TableError> {
        let schema = self.places().await?.sessions.ok_or(TableError::Missing)?;
        // Neither kind of name has a character that would end the literal, and a
        // literal is whatever type the column has. Dates of Better Auth 1.3 have
        // no zone and mean UTC, which `epoch` is too.
        let found = match lookup {
            Lookup::Token(token) => format!("s.token = '{}'", token.as_str()),
            Lookup::Id(id) => format!("s.id = '{}'", id.as_str()),
        };
        let text = format!(
            "{TIME_LIMIT}; SELECT s.\"userId\"::text, floor(extract(epoch FROM s.\"expiresAt\"))::bigint, \
             u.name::text, u.email::text, s.id::text \
             FROM {schema}.\"session\" s JOIN {schema}.\"user\" u ON u.id = s.\"userId\" \
             WHERE {found} AND extract(epoch FROM s.\"expiresAt\") > extract(epoch FROM now())"
        );
        let rows = match self.pool.ask(AssertSqlSafe(&text)).await {
            // A name of another kind than this table's: nobody's.
            Err(error) if error.is_about_values() => return Ok(None),
            asked => self.told(asked)?,
        };
        rows.first().map(caller).transpose().map_err(unavailable)
    }

    /// The public keys, the newest first. Columns that a version of Better Auth
    /// does not have are absent from the row's JSON, and null here.
    pub(super) async fn keys(&self) -> Result<Vec<Jwk>, TableError> {
        let schema = self.places().await?.keys.ok_or(TableError::Missing)?;
        let text = format!(
            "{TIME_LIMIT}; SELECT k.id::text, k.\"publicKey\"::text, to_jsonb(k)->>'alg' FROM {schema}.\"jwks\" k \
             WHERE coalesce((to_jsonb(k)->>'expiresAt')::timestamptz + {GRACE} > now(), true) \
             ORDER BY k.\"createdAt\" DESC LIMIT {KEYS}"
        );
        let rows = self.ask(&text).await?;
        let keys = rows.iter().map(key).collect::<Result<Vec<_>, _>>().map_err(unavailable)?;
        Ok(keys.into_iter().flatten().collect())
    }

    async fn places(&self) -> Result<Places, TableError> {
        if let Some((places, looked)) = self.lock().clone()
            && (places.sessions.is_some() && places.keys.is_some() || looked.elapsed() < LOOK_AGAIN)
        {
            return Ok(places);
        }
        let rows = self.ask(&format!("{TIME_LIMIT}; {FIND}")).await?;
        let places = self.choose(&rows).map_err(unavailable)?;
        let before = self.lock().replace((places.clone(), Instant::now()));
        if before.is_none_or(|(before, _)| before != places) {
            places.tell();
        }
        Ok(places)
    }

    fn choose(&self, rows: &[PgRow]) -> Result<Places, sqlx::Error> {
        let mut places = Places::default();
        for row in rows {
            let (schema, sessions, keys): (String, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if self.foreign.contains(&schema) {
                continue;
            }
            let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
            if sessions && places.sessions.is_none() {
                places.sessions = Some(quoted.clone());
            }
            if keys && places.keys.is_none() {
                places.keys = Some(quoted);
            }
        }
        Ok(places)
    }

    async fn ask(&self, text: &str) -> Result<Vec<PgRow>, TableError> {
        // Made of constants, of the catalogue's own quoted names, and of words
        // without a character that means anything to SQL.
        let asked = self.pool.ask(AssertSqlSafe(text)).await;
        self.told(asked)
    }

    fn told<T>(&self, asked: Result<T, AskError>) -> Result<T, TableError> {
        asked.map_err(|error| {
            if error.is_about_names() {
                // Moved or altered since they were found.
                self.forget();
            }
            TableError::Unavailable(error.into())
        })
    }

    /// Looks for the tables again, the next time.
    fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Places, Instant)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Once per change: an operator wonders why nobody can sign in.
    fn tell(&self) {
        match &self.sessions {
            Some(schema) => tracing::info!("Better Auth's sessions are looked up in {schema}.\"session\""),
            None => tracing::warn!(
                "session tokens are refused: no tables \"session\" and \"user\" of Better Auth are on the search path of the database user; \
                 point DATABASE_URL at Better Auth's database, or grant its schema"
            ),
        }
    }
}

fn caller(row: &PgRow) -> Result<Caller, sqlx::Error> {
    let owner = Owner { id: row.try_get(0)?, name: row.try_get(2)?, email: row.try_get(3)? };
    Ok(owner.of_session(row.try_get(4)?, row.try_get(1)?))
}

/// None for a row that holds no key.
fn key(row: &PgRow) -> Result<Option<Jwk>, sqlx::Error> {
    let (id, text, alg): (String, String, Option<String>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(serde_json::from_str::<Jwk>(&text).ok().map(|jwk| jwk.of_row(id, alg)))
}
