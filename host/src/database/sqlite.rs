//! The host's own file.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, Transaction};
use tokio::sync::OnceCell;

/// The wait for a connection, and for another process that writes.
const WAIT: Duration = Duration::from_secs(1);

/// Which writes survive a power cut. All of them survive the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Each that was acknowledged.
    Full,
    /// All but the last ones; for what can be lost, and is written often.
    Relaxed,
}

/// Connections to the file, and the tables that are made when it is first used.
pub struct File {
    path: PathBuf,
    pool: SqlitePool,
    tables: &'static str,
    made: OnceCell<()>,
}

impl File {
    /// Nothing is opened yet. Each connection is a thread. `tables` are statements
    /// that may run again.
    pub fn new(path: &Path, connections: u32, durability: Durability, tables: &'static str) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::Relaxed => SqliteSynchronous::Normal,
            })
            .foreign_keys(true)
            .busy_timeout(WAIT)
            // Views and triggers of a file that somebody else wrote get no functions.
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        // Without times to look after, the pool needs no task of its own.
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(WAIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false);
        Self { path: path.to_owned(), pool: pool.connect_lazy_with(options), tables, made: OnceCell::new() }
    }

    /// Makes what is missing. Once; after that it is free.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn prepare(&self) -> Result<(), sqlx::Error> {
        let make = || async {
            // SQLite gives its other files the rights of this one.
            self.private()?;
            let mut transaction = self.begin_writing().await?;
            sqlx::raw_sql(self.tables).execute(&mut *transaction).await?;
            transaction.commit().await
        };
        self.made.get_or_try_init(make).await.copied()
    }

    /// For single statements.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Takes the writer's place at once, so that no transaction fails half-way
    /// for having read first.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn begin_writing(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    /// Makes the file, when it is not there, for this user alone: it has hashes of
    /// passwords in it.
    fn private(&self) -> Result<(), sqlx::Error> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        match made {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(sqlx::Error::Io(error)),
            _ => Ok(()),
        }
    }
}
