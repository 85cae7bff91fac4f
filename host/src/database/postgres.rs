//! A few connections for short questions, and for the few transactions.

use std::str::FromStr;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

/// Connections for one purpose. A question takes a millisecond, so that four do
/// thousands a second. More: connections that the modules lack.
const CONNECTIONS: usize = 4;
/// The wait for one of them.
const WAIT: Duration = Duration::from_secs(1);
/// Time for opening one: a sleeping Neon takes up to a second or two.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Time for one question, the server's own limit and the way included.
const ASK_TIME: Duration = Duration::from_secs(2);
/// Time for one transaction of a handful of statements.
const WRITE_TIME: Duration = Duration::from_secs(4);
/// A connection that was not used for so long is asked whether it still is one.
const TRUST: Duration = Duration::from_secs(3);
/// Connections are renewed after so long, for load balancers.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How setting something up begins.
const SET_UP: &str = "BEGIN; SET LOCAL statement_timeout = '3s'; SET LOCAL client_min_messages = warning; \
                      SET LOCAL search_path = pg_catalog, pg_temp; SELECT pg_advisory_xact_lock(1229868619)";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The others have all connections.
    #[error("all {CONNECTIONS} connections are busy")]
    Busy,
    /// The database, or the way to it.
    #[error("it did not answer in time")]
    Late,
    /// The connection was lost, or never made.
    #[error(transparent)]
    Connection(sqlx::Error),
    /// The database said no.
    #[error(transparent)]
    Answer(sqlx::Error),
}

impl AskError {
    /// A schema, table, column or function that is not there.
    pub fn is_about_names(&self) -> bool {
        let Self::Answer(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("3F000" | "42P01" | "42703" | "42883"))
    }

    /// A literal that is not of its column's type.
    pub fn is_about_values(&self) -> bool {
        let Self::Answer(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("22P02" | "22003"))
    }
}

/// Opens connections, and asks idle ones whether they still are.
struct Manager(PgConnectOptions);

impl managed::Manager for Manager {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        connect(&self.0).await
    }

    async fn recycle(&self, connection: &mut PgConnection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > LIFETIME {
            return Err(RecycleError::message("old"));
        }
        if metrics.last_used() > TRUST {
            connection.ping().await.map_err(RecycleError::Backend)?;
        }
        Ok(())
    }
}

/// Opens one. By itself: within a lease it would have its twenty kilobytes on the stack of
/// whoever asks, and a guest's fibre holds what it has once needed until its call ends.
#[inline(never)]
fn connect(options: &PgConnectOptions) -> BoxFuture<'_, Result<PgConnection, sqlx::Error>> {
    Box::pin(options.connect())
}

/// The connections.
pub struct Pool(managed::Pool<Manager>);

impl Pool {
    /// Nothing is connected yet. `purpose` is what the server shows of them.
    ///
    /// # Errors
    /// When the URL holds something that the driver does not know.
    pub fn new(url: &str, purpose: &str) -> Result<Self, &'static str> {
        // The URL may hold a password, so the driver's message is not repeated.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| "DATABASE_URL is not one that the Postgres driver takes")?
            .application_name(&format!("{}:{purpose}", crate::NAME))
            // Poolers do not know it, and no float is read here.
            .extra_float_digits(None)
            .disable_statement_logging();
        let pool = managed::Pool::builder(Manager(options))
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CONNECT_TIME))
            .recycle_timeout(Some(WAIT))
            .build();
        // Building fails only for timeouts without a runtime.
        Ok(Self(pool.expect("a pool with a runtime")))
    }

    /// Asks by one message of the simple protocol: text, its time limit and its end
    /// travel together, and nothing is left on the connection that a pooler could
    /// hand to somebody else. It is repeated once on a fresh connection, because a
    /// database that restarts takes idle connections with it; so it has to be a
    /// question that may be asked twice.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask(&self, text: AssertSqlSafe<&str>) -> Result<Vec<PgRow>, AskError> {
        let first = self.attempt(text.0).await;
        let Err(AskError::Connection(_)) = first else { return first };
        self.0.retain(|_, _| false);
        self.attempt(text.0).await
    }

    /// Runs a transaction that begins with this text. It is not repeated: what
    /// became of it may be unknown.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn write<T>(
        &self,
        begin: AssertSqlSafe<String>,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, AskError> {
        let mut lease = self.lease().await?;
        let written = tokio::time::timeout(WRITE_TIME, async {
            let mut transaction = lease.connection().begin_with(begin).await?;
            let done = work(&mut transaction).await;
            match done {
                Ok(_) => transaction.commit().await?,
                Err(_) => transaction.rollback().await?,
            }
            done
        });
        let done = written.await.map_err(|_| AskError::Late)?;
        lease.settle(done)
    }

    /// Makes something that the host keeps in its schema, and the schema, under the lock of
    /// everything that hosts set up. `is_there` is an expression of SQL that says whether
    /// it is there already, as it should be.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn set_up(&self, is_there: &str, make: &str) -> Result<(), AskError> {
        let look = format!("SELECT to_regnamespace('innkeeper') IS NOT NULL, {is_there}");
        self.write(AssertSqlSafe(SET_UP.to_owned()), async |connection| {
            let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(look))).await?;
            let (schema, is_there): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
            if is_there {
                return Ok(());
            }
            // Asked first, because IF NOT EXISTS needs the right to create even where
            // there is nothing to create.
            let schema = if schema { "" } else { "CREATE SCHEMA innkeeper;" };
            connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("{schema} {make}")))).await.map(|_| ())
        })
        .await
    }

    async fn lease(&self) -> Result<Lease, AskError> {
        let object = self.0.get().await.map_err(|error| match error {
            PoolError::Timeout(managed::TimeoutType::Wait) => AskError::Busy,
            PoolError::Backend(error) => AskError::Connection(error),
            _ => AskError::Late,
        })?;
        Ok(Lease(Some(object)))
    }

    async fn attempt(&self, text: &str) -> Result<Vec<PgRow>, AskError> {
        let mut lease = self.lease().await?;
        let read = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(lease.connection());
        let rows = tokio::time::timeout(ASK_TIME, read).await.map_err(|_| AskError::Late)?;
        lease.settle(rows)
    }
}

/// A connection on loan. One that was not given back is closed: an answer may
/// still be on its way to it.
struct Lease(Option<Object<Manager>>);

impl Lease {
    fn connection(&mut self) -> &mut PgConnection {
        // Taken only by `settle` and `drop`.
        self.0.as_mut().expect("a lease holds its connection")
    }

    /// Gives the connection back when the work on it has come to its end. What the
    /// database answers is one: its error has ended the transaction, too.
    fn settle<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T, AskError> {
        if matches!(done, Ok(_) | Err(sqlx::Error::Database(_))) {
            self.0 = None;
        }
        done.map_err(|error| match error {
            sqlx::Error::Database(_) => AskError::Answer(error),
            other => AskError::Connection(other),
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
