//! Postgres: one schema and one pool per module, one round trip per statement.

use std::str::FromStr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::{
    Arguments, AssertSqlSafe, Column as _, ConnectOptions, Connection, Either, Executor, Row, SqlSafeStr,
    Statement as _, TypeInfo,
};

use super::super::migration::{Migration, MigrationError, pending};
use super::super::policy::Vetted;
use super::super::pool::{Lease, Open, Pool};
use super::super::value::{Column, Kind, Rows, Signature};
use super::super::{ConstraintKind, SqlError};
use super::postgres_value::{coerce, kind, read};
use super::{Backend, Caps, Step, check_size, schema};

/// Prepared statements per connection: more than a module may declare.
const STATEMENTS: usize = 512;
/// The advisory lock of all migrations: "INNK" in ASCII.
const LOCK: i64 = 0x494e_4e4b;
/// Time for one migration statement, and for the wait for another replica's.
const MIGRATION_TIME: &str = "SET LOCAL statement_timeout = '50s'; SET LOCAL lock_timeout = '20s'";

pub(super) struct Postgres {
    pool: Pool<PgOpen>,
    schema: String,
    module: String,
}

struct PgOpen {
    options: PgConnectOptions,
    statement_time: Duration,
}

#[async_trait]
impl Open for PgOpen {
    type Connection = PgConnection;
    type Options = PgConnectOptions;

    fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// sqlx knows no cancel: what runs too long is ended by the server itself,
    /// and what lost its client is noticed by the server (Postgres 14 and later).
    /// Prints are qualified, so the path is the system's alone: a function that
    /// somebody left in `public` must not fit a call better than the real one.
    async fn set_up(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let millis = self.statement_time.as_millis();
        let settings = format!(
            "SET statement_timeout = {millis}; SET lock_timeout = {millis}; \
             SET idle_in_transaction_session_timeout = {millis}; SET client_connection_check_interval = '500ms'; \
             SET TIME ZONE 'UTC'; SET search_path = pg_catalog, pg_temp"
        );
        connection.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await?;
        Ok(())
    }
}

impl Postgres {
    pub(super) fn new(url: &str, module: &str, connections: u32, caps: &Caps) -> Result<Self, SqlError> {
        // The URL may hold a password, so the driver's message is not repeated.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| SqlError::Invalid("DATABASE_URL is not one that the Postgres driver takes".to_owned()))?
            .application_name(&format!("{}:{module}", crate::NAME))
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        let pool = Pool::new(PgOpen { options, statement_time: caps.time }, connections);
        Ok(Self { pool, schema: schema(module), module: module.to_owned() })
    }

    async fn lease(&self, time: Duration) -> Result<Lease<PgOpen>, SqlError> {
        self.pool.lease(Instant::now() + time).await
    }

    async fn attempt(&self, steps: &[Step], caps: &Caps, until: Instant) -> Result<Vec<Rows>, SqlError> {
        let mut lease = self.pool.lease(until).await?;
        let work = run_all(lease.work(), steps, caps);
        let result = tokio::time::timeout_at(until.into(), work).await.unwrap_or(Err(SqlError::Timeout));
        if result.as_ref().err().is_none_or(SqlError::leaves_connection_usable) {
            lease.clean();
        }
        result
    }
}

#[async_trait]
impl Backend for Postgres {
    fn system(&self) -> &'static str {
        "postgresql"
    }

    fn isolation(&self) -> &'static str {
        "module-schema"
    }

    async fn migrate(&self, migrations: &[Migration]) -> Result<(), MigrationError> {
        let mut lease = self.lease(Duration::from_secs(10)).await.map_err(MigrationError::Unreachable)?;
        let connection = lease.work();
        let mut transaction = connection.begin().await.map_err(unreachable)?;
        let applied = prepare_ledger(&mut transaction, &self.schema, &self.module).await?;
        for migration in pending(migrations, &applied)? {
            apply(&mut transaction, &self.module, migration).await?;
        }
        transaction.commit().await.map_err(unreachable)?;
        lease.clean();
        Ok(())
    }

    async fn prepare(&self, statement: &Vetted) -> Result<Signature, SqlError> {
        let mut lease = self.lease(Duration::from_secs(10)).await?;
        let text = AssertSqlSafe(statement.sql()).into_sql_str();
        let prepared = lease.work().prepare(text).await.map_err(|error| sql_error(error).while_preparing())?;
        lease.clean();
        let params = match prepared.parameters() {
            Some(Either::Left(types)) => {
                types.iter().enumerate().map(|(i, ty)| parameter(i, ty)).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        let columns = prepared.columns().iter().map(column).collect::<Result<_, _>>()?;
        Ok(Signature { params, columns })
    }

    async fn run(&self, steps: &[Step], caps: &Caps, until: Instant) -> Result<Vec<Rows>, SqlError> {
        let result = self.attempt(steps, caps, until).await;
        let Err(SqlError::Unavailable(Some(_))) = result else { return result };
        self.pool.forget_idle();
        // The database restarted and took an idle connection with it. A read may be
        // repeated; a write may have happened.
        let reads_only = !steps.iter().any(|step| step.statement.vetted.writes());
        if reads_only && Instant::now() < until { self.attempt(steps, caps, until).await } else { result }
    }

    async fn ping(&self) -> Result<(), SqlError> {
        let mut lease = self.lease(Duration::from_secs(2)).await?;
        lease.work().ping().await.map_err(sql_error)?;
        lease.clean();
        Ok(())
    }
}

fn parameter(index: usize, ty: &sqlx::postgres::PgTypeInfo) -> Result<Kind, SqlError> {
    ty.oid().and_then(|oid| kind(oid.0)).ok_or_else(|| {
        let name = ty.name();
        SqlError::Invalid(format!(
            "${} is of type {name}, which the broker does not carry; cast it, as in CAST(${} AS text)",
            index + 1,
            index + 1
        ))
    })
}

fn column(column: &sqlx::postgres::PgColumn) -> Result<Column, SqlError> {
    let kind = column.type_info().oid().and_then(|oid| kind(oid.0)).ok_or_else(|| {
        let (name, ty) = (column.name(), column.type_info().name());
        SqlError::Invalid(format!(
            "column `{name}` is of type {ty}, which the broker does not carry; cast it, as in CAST({name} AS text)"
        ))
    })?;
    Ok(Column { name: column.name().to_owned(), kind: Some(kind) })
}

async fn run_all(connection: &mut PgConnection, steps: &[Step], caps: &Caps) -> Result<Vec<Rows>, SqlError> {
    if let [step] = steps {
        return Ok(vec![run_one(connection, step, caps).await?]);
    }
    let mut transaction = connection.begin().await.map_err(sql_error)?;
    let mut all = Vec::with_capacity(steps.len());
    let mut left = caps.clone();
    for step in steps {
        match run_one(&mut transaction, step, &left).await {
            Ok(rows) => {
                left = left.less(&rows);
                all.push(rows);
            }
            Err(error) => {
                // Explicit, because dropping it would only roll back with the
                // connection's next use.
                transaction.rollback().await.map_err(sql_error)?;
                return Err(error);
            }
        }
    }
    transaction.commit().await.map_err(sql_error)?;
    Ok(all)
}

async fn run_one(connection: &mut PgConnection, step: &Step, caps: &Caps) -> Result<Rows, SqlError> {
    let (signature, arguments) = bind(step)?;
    let mut rows = signature.rows();
    let mut count = 0;
    // The text is the print of a vetted syntax tree.
    let query = sqlx::query_with(AssertSqlSafe(step.statement.text.clone()), arguments);
    let mut stream = connection.fetch_many(query);
    while let Some(item) = stream.try_next().await.map_err(sql_error)? {
        match item {
            Either::Left(done) => rows.affected = done.rows_affected(),
            Either::Right(row) => {
                read_row(&signature.columns, &row, &mut rows)?;
                count += 1;
                check_size(&rows, count, caps)?;
            }
        }
    }
    Ok(rows)
}

fn bind(step: &Step) -> Result<(&Signature, PgArguments), SqlError> {
    // `Store::execute` lets only prepared statements through.
    let signature = step.statement.signature().ok_or(SqlError::Unavailable(None))?;
    let mut arguments = PgArguments::default();
    for (index, (kind, value)) in signature.params.iter().zip(&step.params).enumerate() {
        let invalid = |why: String| SqlError::Invalid(format!("${} of `{}` {why}", index + 1, step.statement.name));
        let param = coerce(*kind, value).map_err(invalid)?;
        arguments.add(param).map_err(|error| invalid(error.to_string()))?;
    }
    Ok((signature, arguments))
}

fn read_row(columns: &[Column], row: &PgRow, rows: &mut Rows) -> Result<(), SqlError> {
    for (index, column) in columns.iter().enumerate() {
        let value = row.try_get_raw(index).map_err(sql_error)?;
        // A prepared statement's columns have a kind, or it was refused.
        let cell = read(column.kind.unwrap_or(Kind::Text), value, rows).map_err(SqlError::Broken)?;
        rows.cells.push(cell);
    }
    Ok(())
}

/// Takes the lock, makes what the host needs, and reads what was applied.
async fn prepare_ledger(
    connection: &mut PgConnection,
    schema: &str,
    module: &str,
) -> Result<Vec<(u32, String)>, MigrationError> {
    connection.execute(sqlx::raw_sql(MIGRATION_TIME)).await.map_err(unreachable)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *connection).await.map_err(unreachable)?;
    for name in [crate::NAME, schema] {
        // Asked first, because IF NOT EXISTS needs the right to create even
        // where there is nothing to create.
        let there = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(name);
        if there.fetch_optional(&mut *connection).await.map_err(unreachable)?.is_none() {
            let create = format!("CREATE SCHEMA \"{name}\"");
            host_statement(connection, &create, &format!("cannot make the schema `{name}`")).await?;
        }
    }
    let there =
        sqlx::query("SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations'").bind(crate::NAME);
    if there.fetch_optional(&mut *connection).await.map_err(unreachable)?.is_none() {
        let create = "CREATE TABLE innkeeper.migrations (module text NOT NULL, version int NOT NULL, name text NOT NULL, \
                      checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (module, version))";
        host_statement(connection, create, "cannot make the table of migrations").await?;
    }
    let rows = sqlx::query("SELECT version, checksum FROM innkeeper.migrations WHERE module = $1 ORDER BY version")
        .bind(module);
    let rows = rows.fetch_all(&mut *connection).await.map_err(unreachable)?;
    let read = |row: &PgRow| Ok((u32::try_from(row.try_get::<i32, _>(0)?).unwrap_or(0), row.try_get(1)?));
    rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(unreachable)
}

async fn host_statement(connection: &mut PgConnection, text: &str, what: &str) -> Result<(), MigrationError> {
    // Made of our own words and of a module's name, which is `[a-z0-9_]`.
    match connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
            Err(MigrationError::Forbidden {
                what: what.to_owned(),
                reason: error.message().to_owned(),
                remedy: text.to_owned(),
            })
        }
        Err(error) => Err(unreachable(error)),
    }
}

async fn apply(connection: &mut PgConnection, module: &str, migration: &Migration) -> Result<(), MigrationError> {
    for statement in migration.vetted.statements() {
        connection.execute(sqlx::query(AssertSqlSafe(statement))).await.map_err(|error| failed(migration, error))?;
    }
    sqlx::query("INSERT INTO innkeeper.migrations (module, version, name, checksum) VALUES ($1, $2, $3, $4)")
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
        sqlx::Error::Database(error) => MigrationError::Failed {
            version: migration.version,
            name: migration.name.clone(),
            reason: error.message().to_owned(),
        },
        other => unreachable(other),
    }
}

fn unreachable(error: sqlx::Error) -> MigrationError {
    MigrationError::Unreachable(sql_error(error))
}

/// What a driver's error means to a guest. Of a database's message the guest
/// gets the short text alone: DETAIL can hold the values of other rows.
fn sql_error(error: sqlx::Error) -> SqlError {
    let sqlx::Error::Database(database) = error else {
        return SqlError::Unavailable(Some(error.into()));
    };
    let code = database.code().unwrap_or_default().into_owned();
    let constraint = |kind| SqlError::Constraint { kind, name: database.constraint().unwrap_or_default().to_owned() };
    match code.as_str() {
        "23505" => constraint(ConstraintKind::Unique),
        "23503" => constraint(ConstraintKind::ForeignKey),
        "23502" => constraint(ConstraintKind::NotNull),
        "23514" => constraint(ConstraintKind::Check),
        code if code.starts_with("23") => constraint(ConstraintKind::Other),
        "40001" | "40P01" => SqlError::Conflict,
        "55P03" | "53300" => SqlError::Busy,
        "57014" => SqlError::Timeout,
        "42501" => SqlError::Denied(database.message().to_owned()),
        // Data exceptions, cardinality violations, and sizes that the server
        // does not take: what a caller can cause with values alone.
        code if ["21", "22", "54"].contains(&code.get(..2).unwrap_or_default()) => {
            SqlError::Invalid(database.message().to_owned())
        }
        // Another replica migrated: this connection's plans are out of date, and
        // a fresh one's are not.
        "0A000" if database.message().contains("cached plan") => SqlError::Unavailable(Some(database.into())),
        // Shut down, out of space, read-only after a failover, connection lost.
        "25006" => SqlError::Unavailable(Some(database.into())),
        code if ["08", "53", "57", "58"].contains(&code.get(..2).unwrap_or_default()) => {
            SqlError::Unavailable(Some(database.into()))
        }
        _ => SqlError::Broken(database.into()),
    }
}
