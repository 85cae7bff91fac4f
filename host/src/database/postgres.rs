//! A few connections for short reads, and for the few writes.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Connections. A look-up takes a millisecond, so that four do thousands a
/// second. More: connections that the modules lack.
const CONNECTIONS: usize = 4;
/// The wait for one of them.
const WAIT: Duration = Duration::from_secs(1);
/// Time for opening one: a sleeping Neon takes up to a second or two.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Time for one read, the server's own limit and the way included.
const READ_TIME: Duration = Duration::from_secs(2);
/// Time for one transaction of a handful of statements.
const WRITE_TIME: Duration = Duration::from_secs(4);
/// A connection that was not used for so long is asked whether it still is one.
const TRUST: Duration = Duration::from_secs(3);
/// Connections are renewed after so long, for load balancers.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("all {CONNECTIONS} connections for look-ups are busy")]
    Busy,
    #[error("it did not answer in time")]
    Late,
    #[error(transparent)]
    Connection(sqlx::Error),
    #[error(transparent)]
    Answer(sqlx::Error),
}

impl ReadError {
    /// A schema, table or column that is not there.
    pub(super) fn is_about_names(&self) -> bool {
        let Self::Answer(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("3F000" | "42P01" | "42703"))
    }

    /// A literal that is not of its column's type.
    pub(super) fn is_about_values(&self) -> bool {
        let Self::Answer(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("22P02" | "22003"))
    }
}

struct Manager(PgConnectOptions);

impl managed::Manager for Manager {
    type Type = PgConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<PgConnection, sqlx::Error> {
        self.0.connect().await
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

pub(super) struct Pool(managed::Pool<Manager>);

impl Pool {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        let pool = managed::Pool::builder(Manager(options))
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CONNECT_TIME))
            .recycle_timeout(Some(WAIT))
            .build();
        // Building fails only for timeouts without a runtime.
        Self(pool.expect("a pool with a runtime"))
    }

    /// Runs a read of one message. It is repeated once on a fresh connection:
    /// a database that restarts takes idle connections with it.
    pub(super) async fn ask(&self, text: AssertSqlSafe<&str>) -> Result<Vec<PgRow>, ReadError> {
        let first = self.attempt(text.0).await;
        let Err(ReadError::Connection(_)) = first else { return first };
        self.0.retain(|_, _| false);
        self.attempt(text.0).await
    }

    /// Runs a transaction that begins with this text. It is not repeated: what
    /// became of it may be unknown.
    pub(super) async fn write<T>(
        &self,
        begin: AssertSqlSafe<String>,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, ReadError> {
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
        let done = written.await.map_err(|_| ReadError::Late)?;
        lease.settle(done)
    }

    async fn lease(&self) -> Result<Lease, ReadError> {
        let object = self.0.get().await.map_err(|error| match error {
            PoolError::Timeout(managed::TimeoutType::Wait) => ReadError::Busy,
            PoolError::Backend(error) => ReadError::Connection(error),
            _ => ReadError::Late,
        })?;
        Ok(Lease(Some(object)))
    }

    async fn attempt(&self, text: &str) -> Result<Vec<PgRow>, ReadError> {
        let mut lease = self.lease().await?;
        let read = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(lease.connection());
        let rows = tokio::time::timeout(READ_TIME, read).await.map_err(|_| ReadError::Late)?;
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
    fn settle<T>(mut self, done: Result<T, sqlx::Error>) -> Result<T, ReadError> {
        if matches!(done, Ok(_) | Err(sqlx::Error::Database(_))) {
            self.0 = None;
        }
        done.map_err(|error| match error {
            sqlx::Error::Database(_) => ReadError::Answer(error),
            other => ReadError::Connection(other),
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
