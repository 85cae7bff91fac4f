//! SQLite: a file per module, readers beside one writer.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Connection, Either, Executor, Row, SqlSafeStr, Statement as _, TypeInfo,
};
use tokio::sync::Semaphore;

use super::super::migration::{Migration, MigrationError, pending};
use super::super::policy::Vetted;
use super::super::pool::{Lease, Open, Pool};
use super::super::value::{Column, Rows, Signature};
use super::super::{ConstraintKind, Schema, SqlError};
use super::sqlite_value::{bind, kind, read};
use super::{Backend, Caps, Request, Step, check_size};

/// Other processes on the same file get so long to finish a write.
const BUSY_TIME: Duration = Duration::from_secs(2);
/// Instructions of SQLite's machine between two looks at the deadline: about a
/// tenth of a millisecond.
const PROGRESS_STEPS: i32 = 10_000;

pub(super) struct Sqlite {
    pool: Pool<LiteOpen>,
    /// SQLite has one writer. Waiting for it here costs no connection and keeps
    /// to the deadline, which waiting inside SQLite does not.
    writer: Semaphore,
}

struct LiteOpen(SqliteConnectOptions);

#[async_trait]
impl Open for LiteOpen {
    type Session = SqliteConnection;

    async fn open(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.0.connect().await
    }

    async fn ping(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        connection.ping().await
    }
}

impl Sqlite {
    pub(super) fn new(file: &Path, connections: u32) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged write survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIME)
            // Views and triggers of a file that somebody else wrote get no functions.
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        Self { pool: Pool::new(LiteOpen(options), connections), writer: Semaphore::new(1) }
    }

    async fn lease(&self) -> Result<Lease<LiteOpen>, SqlError> {
        self.pool.lease(Instant::now() + Duration::from_secs(10)).await
    }
}

#[async_trait]
impl Backend for Sqlite {
    fn system(&self) -> &'static str {
        "sqlite"
    }

    /// SQLite has no roles: what keeps callers apart is the module's own `WHERE`.
    fn isolation(&self, _: &Schema) -> &'static str {
        "module-file"
    }

    async fn migrate(&self, schema: &Schema) -> Result<(), MigrationError> {
        let mut lease = self.lease().await.map_err(MigrationError::Unreachable)?;
        let mut transaction = lease.work().begin_with("BEGIN IMMEDIATE").await.map_err(unreachable)?;
        let applied = prepare_ledger(&mut transaction).await?;
        for migration in pending(&schema.migrations, &applied)? {
            apply(&mut transaction, migration).await?;
        }
        transaction.commit().await.map_err(unreachable)?;
        lease.clean();
        Ok(())
    }

    async fn prepare(&self, statement: &Vetted) -> Result<Signature, SqlError> {
        let mut lease = self.lease().await?;
        let text = AssertSqlSafe(statement.sql()).into_sql_str();
        let prepared = lease.work().prepare(text).await.map_err(|error| sql_error(error).while_preparing())?;
        lease.clean();
        let column = |column: &sqlx::sqlite::SqliteColumn| Column {
            name: column.name().to_owned(),
            kind: kind(column.type_info().name()),
        };
        Ok(Signature { params: Vec::new(), columns: prepared.columns().iter().map(column).collect() })
    }

    async fn run(&self, request: &Request<'_>, caps: &Caps) -> Result<Vec<Rows>, SqlError> {
        let Request { caller: _, steps, until } = *request;
        let writes = steps.iter().any(|step| step.statement.vetted.writes());
        let turn = tokio::time::timeout_at(until.into(), self.writer.acquire());
        // Never closed, so an error is the deadline.
        let _turn = if writes { Some(turn.await.map_err(|_| SqlError::Busy)?) } else { None };
        let mut lease = self.pool.lease(until).await?;
        let work = run_all(lease.work(), steps, caps, until, writes);
        let result = tokio::time::timeout_at(until.into(), work).await.unwrap_or(Err(SqlError::Timeout));
        if result.as_ref().err().is_none_or(SqlError::leaves_connection_usable) {
            lease.clean();
        }
        result
    }

    async fn ping(&self, until: Instant) -> Result<(), SqlError> {
        let mut lease = self.pool.lease(until).await?;
        lease.work().ping().await.map_err(sql_error)?;
        lease.clean();
        Ok(())
    }

    fn rest(&self) {
        self.pool.forget_idle();
    }
}

async fn run_all(
    connection: &mut SqliteConnection,
    steps: &[Step],
    caps: &Caps,
    until: Instant,
    writes: bool,
) -> Result<Vec<Rows>, SqlError> {
    // SQLite runs on a thread of its own and hears nothing of a dropped future.
    let mut handle = connection.lock_handle().await.map_err(sql_error)?;
    handle.set_progress_handler(PROGRESS_STEPS, move || Instant::now() < until);
    drop(handle);
    if let [step] = steps {
        return Ok(vec![run_one(connection, step, caps).await?]);
    }
    let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
    let mut transaction = connection.begin_with(begin).await.map_err(sql_error)?;
    let mut all = Vec::with_capacity(steps.len());
    let mut left = caps.clone();
    for step in steps {
        match run_one(&mut transaction, step, &left).await {
            Ok(rows) => {
                left = left.less(&rows);
                all.push(rows);
            }
            Err(error) => {
                transaction.rollback().await.map_err(sql_error)?;
                return Err(error);
            }
        }
    }
    transaction.commit().await.map_err(sql_error)?;
    Ok(all)
}

async fn run_one(connection: &mut SqliteConnection, step: &Step, caps: &Caps) -> Result<Rows, SqlError> {
    // `Store::execute` lets only prepared statements through.
    let signature = step.statement.signature().ok_or(SqlError::Unavailable(None))?;
    let mut arguments = SqliteArguments::default();
    for value in &step.params {
        bind(&mut arguments, value).map_err(SqlError::Broken)?;
    }
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
    if !step.statement.vetted.writes() {
        // SQLite would tell of the connection's last write instead.
        rows.affected = count as u64;
    }
    Ok(rows)
}

fn read_row(columns: &[Column], row: &SqliteRow, rows: &mut Rows) -> Result<(), SqlError> {
    for (index, column) in columns.iter().enumerate() {
        let value = row.try_get_raw(index).map_err(sql_error)?;
        let cell = read(column.kind, value, rows).map_err(SqlError::Broken)?;
        rows.cells.push(cell);
    }
    Ok(())
}

async fn prepare_ledger(connection: &mut SqliteConnection) -> Result<Vec<(u32, String)>, MigrationError> {
    let create = "CREATE TABLE IF NOT EXISTS innkeeper_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, \
                  checksum TEXT NOT NULL, applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)";
    connection.execute(create).await.map_err(unreachable)?;
    let rows = sqlx::query("SELECT version, checksum FROM innkeeper_migrations ORDER BY version");
    let rows = rows.fetch_all(&mut *connection).await.map_err(unreachable)?;
    let read = |row: &SqliteRow| Ok((u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0), row.try_get(1)?));
    rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(unreachable)
}

async fn apply(connection: &mut SqliteConnection, migration: &Migration) -> Result<(), MigrationError> {
    for statement in migration.vetted.statements() {
        connection.execute(sqlx::query(AssertSqlSafe(statement))).await.map_err(|error| match error {
            sqlx::Error::Database(error) => migration.failed(error.message()),
            other => unreachable(other),
        })?;
    }
    sqlx::query("INSERT INTO innkeeper_migrations (version, name, checksum) VALUES (?1, ?2, ?3)")
        .bind(i64::from(migration.version))
        .bind(&migration.name)
        .bind(&migration.checksum)
        .execute(connection)
        .await
        .map_err(unreachable)?;
    Ok(())
}

fn unreachable(error: sqlx::Error) -> MigrationError {
    MigrationError::Unreachable(sql_error(error))
}

/// What a driver's error means to a guest, by SQLite's (extended) result codes.
fn sql_error(error: sqlx::Error) -> SqlError {
    let sqlx::Error::Database(database) = error else {
        return SqlError::Unavailable(Some(error.into()));
    };
    let code: i32 = database.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    // The text is `UNIQUE constraint failed: tasks.title`; a foreign key has no name.
    let name = || database.message().split_once(": ").map_or_else(String::new, |(_, name)| name.to_owned());
    let constraint = |kind| SqlError::Constraint { kind, name: name() };
    match (code & 0xff, code) {
        (19, 1555 | 2067 | 2579) => constraint(ConstraintKind::Unique),
        (19, 787) => constraint(ConstraintKind::ForeignKey),
        (19, 1299) => constraint(ConstraintKind::NotNull),
        (19, 275) => constraint(ConstraintKind::Check),
        (19, _) => constraint(ConstraintKind::Other),
        // Busy and locked: another process writes.
        (5 | 6, _) => SqlError::Busy,
        (9, _) => SqlError::Timeout,
        // What functions say of their values ("malformed JSON"); too big, mismatch,
        // out of range.
        (1 | 18 | 20 | 25, _) => SqlError::Invalid(database.message().to_owned()),
        // Read-only, disk errors, full, cannot open, not a database.
        (8 | 10 | 13 | 14 | 11 | 26, _) => SqlError::Unavailable(Some(database.into())),
        _ => SqlError::Broken(database.into()),
    }
}
