//! A module's schema and the record of its migrations. Everything here runs as
//! the database user of `DATABASE_URL`, in one transaction, under one lock that
//! all replicas share.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, postgres::PgRow};

use super::errors::{forbidden, unreachable};
use super::{fetch_optional, fetch_rows};
use crate::broker::sql::migration::{Migration, MigrationError};

/// The advisory lock of everything that the host sets up: "INNK" in ASCII.
const LOCK: i64 = 0x494e_4e4b;
/// Time for one migration statement, and for the wait for another replica's.
/// The database may have defaults that are too short for either.
const TIMES: &str = "SET LOCAL statement_timeout = '50s'; SET LOCAL lock_timeout = '20s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL search_path = pg_catalog, pg_temp; \
                     SET LOCAL client_min_messages = warning";

/// Takes the lock, makes what the ledger needs, and reads what was applied.
pub(super) async fn open(
    connection: &mut PgConnection,
    schema: &str,
    module: &str,
) -> Result<Vec<(u32, String)>, MigrationError> {
    connection.execute(sqlx::raw_sql(TIMES)).await.map_err(unreachable)?;
    let lock = format!("SELECT pg_advisory_xact_lock({LOCK})");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(lock))).await.map_err(unreachable)?;
    for name in [crate::NAME, schema] {
        // Asked first, because IF NOT EXISTS needs the right to create even
        // where there is nothing to create.
        if fetch_optional(connection, "SELECT 1 FROM pg_namespace WHERE nspname = $1", &[name]).await?.is_none() {
            let create = format!("CREATE SCHEMA \"{name}\"");
            host_statement(connection, &create, &format!("cannot make the schema `{name}`")).await?;
        }
    }
    let there = "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations'";
    if fetch_optional(connection, there, &[crate::NAME]).await?.is_none() {
        let create = "CREATE TABLE innkeeper.migrations (module text NOT NULL, version int NOT NULL, name text NOT NULL, \
                      checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (module, version))";
        host_statement(connection, create, "cannot make the table of migrations").await?;
    }
    let applied = "SELECT version, checksum FROM innkeeper.migrations WHERE module = $1 ORDER BY version";
    let read = |row: &PgRow| Ok((u32::try_from(row.try_get::<i32, _>(0)?).unwrap_or(0), row.try_get(1)?));
    let rows = fetch_rows(connection, applied, &[module]).await?;
    rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(unreachable)
}

/// A module that was never here finds its schema empty. Tables that are there
/// already are somebody else's, and CREATE TABLE IF NOT EXISTS would take them
/// over: the module's role is granted what its migrations name.
pub(super) async fn check_empty(connection: &mut PgConnection, schema: &str) -> Result<(), MigrationError> {
    let tables = "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') \
                  AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) ORDER BY relname LIMIT 1";
    match fetch_optional(connection, tables, &[schema]).await? {
        Some(row) => {
            let table = row.try_get(0).map_err(unreachable)?;
            Err(MigrationError::Occupied { schema: schema.to_owned(), table })
        }
        None => Ok(()),
    }
}

/// Runs one statement of the host's own that the database user may not be
/// allowed; the statement itself is then what an administrator has to run.
pub(super) async fn host_statement(
    connection: &mut PgConnection,
    text: &str,
    what: &str,
) -> Result<(), MigrationError> {
    // Made of our own words and of names that are `[a-z0-9_]`.
    match connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await {
        Ok(_) => Ok(()),
        Err(error) => Err(forbidden(error, what, text)),
    }
}

/// Applies one migration and records it.
pub(super) async fn apply(
    connection: &mut PgConnection,
    module: &str,
    migration: &Migration,
) -> Result<(), MigrationError> {
    for statement in migration.vetted.statements() {
        let statement = sqlx::query(AssertSqlSafe(statement)).persistent(false);
        connection.execute(statement).await.map_err(|error| failed(migration, error))?;
    }
    sqlx::query("INSERT INTO innkeeper.migrations (module, version, name, checksum) VALUES ($1, $2, $3, $4)")
        .persistent(false)
        .bind(module)
        .bind(i32::try_from(migration.version).unwrap_or(i32::MAX))
        .bind(&migration.name)
        .bind(&migration.checksum)
        .execute(connection)
        .await
        .map_err(unreachable)?;
    Ok(())
}

fn failed(migration: &Migration, error: sqlx::Error) -> MigrationError {
    match error {
        sqlx::Error::Database(error) => migration.failed(error.message()),
        other => unreachable(other),
    }
}
