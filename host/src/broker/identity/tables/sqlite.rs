//! The same tables in SQLite, in the host's own file: as Better Auth makes them
//! there, with dates as ISO 8601 texts.

use std::path::Path;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};

use super::{
    Begun, Known, Lookup, NewAccount, Owner, Registered, SESSION_SECONDS, SESSIONS, TableError, unavailable, word,
};
use crate::call::Caller;
use crate::database::sqlite::{Durability, File};

/// Connections: a look-up takes a tenth of a millisecond, and each connection is
/// a thread.
const CONNECTIONS: u32 = 4;

/// As Better Auth's migrations write them.
const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS "user" ("id" text NOT NULL PRIMARY KEY, "name" text NOT NULL,
    "email" text NOT NULL UNIQUE, "emailVerified" integer NOT NULL, "image" text,
    "createdAt" date NOT NULL, "updatedAt" date NOT NULL);
CREATE TABLE IF NOT EXISTS "session" ("id" text NOT NULL PRIMARY KEY, "expiresAt" date NOT NULL,
    "token" text NOT NULL UNIQUE, "createdAt" date NOT NULL, "updatedAt" date NOT NULL, "ipAddress" text,
    "userAgent" text, "userId" text NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS "session_userId_idx" ON "session" ("userId");
CREATE TABLE IF NOT EXISTS "account" ("id" text NOT NULL PRIMARY KEY, "accountId" text NOT NULL,
    "providerId" text NOT NULL, "userId" text NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
    "accessToken" text, "refreshToken" text, "idToken" text, "accessTokenExpiresAt" date,
    "refreshTokenExpiresAt" date, "scope" text, "password" text, "createdAt" date NOT NULL, "updatedAt" date NOT NULL);
CREATE INDEX IF NOT EXISTS "account_userId_idx" ON "account" ("userId");
"#;

/// Now, as JavaScript's `toISOString` writes it.
const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

pub(super) struct Tables(File);

impl Tables {
    /// Nothing is opened yet.
    pub(super) fn new(file: &Path) -> Self {
        // An acknowledged registration survives a power cut.
        Self(File::new(file, CONNECTIONS, Durability::Full, TABLES))
    }

    /// See [`super::Tables::prepare`].
    pub(super) async fn prepare(&self) -> Result<(), TableError> {
        self.0.prepare().await.map_err(unavailable)
    }

    /// See [`super::Tables::session`].
    pub(super) async fn session(&self, lookup: Lookup<'_>) -> Result<Option<Caller>, TableError> {
        self.prepare().await?;
        let (column, value) = match lookup {
            Lookup::Token(token) => ("token", token.as_str()),
            Lookup::Id(id) => ("id", id.as_str()),
        };
        let text = format!(
            "SELECT s.\"userId\", unixepoch(s.\"expiresAt\"), u.name, u.email, s.id FROM \"session\" s \
             JOIN \"user\" u ON u.id = s.\"userId\" WHERE s.{column} = ?1 AND unixepoch(s.\"expiresAt\") > unixepoch('now')"
        );
        let row =
            sqlx::query(AssertSqlSafe(text)).bind(value).fetch_optional(self.0.pool()).await.map_err(unavailable)?;
        row.as_ref().map(caller).transpose().map_err(unavailable)
    }

    pub(super) async fn user(&self, email: &str) -> Result<Option<Known>, TableError> {
        self.prepare().await?;
        let text = "SELECT u.id, u.email, u.name, a.password FROM \"user\" u LEFT JOIN \"account\" a \
                    ON a.\"userId\" = u.id AND a.\"providerId\" = 'credential' WHERE u.email = ?1 LIMIT 1";
        let row = sqlx::query(text).bind(email).fetch_optional(self.0.pool()).await.map_err(unavailable)?;
        let Some(row) = row else { return Ok(None) };
        let read =
            || Ok(Known { id: row.try_get(0)?, email: row.try_get(1)?, name: row.try_get(2)?, hash: row.try_get(3)? });
        read().map(Some).map_err(unavailable)
    }

    pub(super) async fn register(&self, account: &NewAccount<'_>) -> Result<Registered, TableError> {
        self.prepare().await?;
        let (user, own) = (word()?, word()?);
        let mut transaction = self.0.begin_writing().await.map_err(unavailable)?;
        let added = sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO \"user\" (id, name, email, \"emailVerified\", \"createdAt\", \"updatedAt\") \
             VALUES (?1, ?2, ?3, 0, {NOW}, {NOW}) ON CONFLICT (email) DO NOTHING"
        )));
        let added = added.bind(&user).bind(account.name).bind(account.email).execute(&mut *transaction).await;
        if added.map_err(unavailable)?.rows_affected() == 0 {
            return Ok(Registered::Taken);
        }
        let kept = sqlx::query(AssertSqlSafe(format!(
            "INSERT INTO \"account\" (id, \"accountId\", \"providerId\", \"userId\", password, \"createdAt\", \"updatedAt\") \
             VALUES (?1, ?2, 'credential', ?2, ?3, {NOW}, {NOW})"
        )));
        kept.bind(&own).bind(&user).bind(account.hash).execute(&mut *transaction).await.map_err(unavailable)?;
        let begun = begin(&mut transaction, &user).await?;
        transaction.commit().await.map_err(unavailable)?;
        Ok(Registered::New(begun))
    }

    pub(super) async fn begin(&self, user: &str) -> Result<Begun, TableError> {
        self.prepare().await?;
        let mut transaction = self.0.begin_writing().await.map_err(unavailable)?;
        let begun = begin(&mut transaction, user).await?;
        transaction.commit().await.map_err(unavailable)?;
        Ok(begun)
    }

    pub(super) async fn end(&self, session: &str) -> Result<(), TableError> {
        self.prepare().await?;
        let ended = sqlx::query("DELETE FROM \"session\" WHERE id = ?1").bind(session);
        ended.execute(self.0.pool()).await.map(|_| ()).map_err(unavailable)
    }
}

async fn begin(connection: &mut SqliteConnection, user: &str) -> Result<Begun, TableError> {
    // Those that have ended, and those beyond the bound.
    let tidy = sqlx::query(AssertSqlSafe(format!(
        "DELETE FROM \"session\" WHERE \"userId\" = ?1 AND (unixepoch(\"expiresAt\") <= unixepoch('now') OR id IN \
         (SELECT id FROM \"session\" WHERE \"userId\" = ?1 ORDER BY \"createdAt\" DESC LIMIT -1 OFFSET {}))",
        SESSIONS - 1
    )));
    tidy.bind(user).execute(&mut *connection).await.map_err(unavailable)?;
    let insert = sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO \"session\" (id, \"expiresAt\", token, \"createdAt\", \"updatedAt\", \"userId\") \
         VALUES (?1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+{SESSION_SECONDS} seconds'), ?2, {NOW}, {NOW}, ?3)"
    )));
    let id = word()?;
    insert.bind(&id).bind(word()?).bind(user).execute(&mut *connection).await.map_err(unavailable)?;
    Ok(Begun { id, user: user.to_owned() })
}

fn caller(row: &SqliteRow) -> Result<Caller, sqlx::Error> {
    let owner = Owner { id: row.try_get(0)?, name: row.try_get(2)?, email: row.try_get(3)? };
    Ok(owner.of_session(row.try_get(4)?, row.try_get(1)?))
}
