//! A database for one test, gone with it.

use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};

use super::proxy::target;
use super::wire::Wire;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// A database of a test's own, gone with the last one that uses it.
#[derive(Clone)]
pub struct TestDatabase {
    url: String,
    kind: Arc<Kind>,
}

enum Kind {
    Sqlite(tempfile::TempDir),
    Postgres { name: String },
}

/// The server that `cargo xtask test` provides.
fn server() -> String {
    std::env::var("INNKEEPER_TEST_DATABASE_URL").expect(
        "INNKEEPER_TEST_DATABASE_URL names a Postgres server; run the tests by `cargo xtask test`, which starts one",
    )
}

fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let scheme_end = base.find("://").expect("a URL") + 3;
    let authority = base[scheme_end..].find('/').map_or(base, |slash| &base[..scheme_end + slash]);
    format!("{authority}/{name}{}", query.map(|query| format!("?{query}")).unwrap_or_default())
}

impl TestDatabase {
    pub async fn create(database: Database) -> Self {
        match database {
            Database::Sqlite => {
                let dir = tempfile::tempdir().expect("a temporary directory");
                Self {
                    url: format!("sqlite://{}", dir.path().join("test.db").display()),
                    kind: Arc::new(Kind::Sqlite(dir)),
                }
            }
            Database::Postgres => {
                let name = format!("innkeeper_{}", uuid::Uuid::new_v4().simple());
                admin(&format!("CREATE DATABASE {name}")).await;
                Self { url: with_database(&server(), &name), kind: Arc::new(Kind::Postgres { name }) }
            }
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of a SQLite database.
    pub fn dir(&self) -> Option<&Path> {
        match &*self.kind {
            Kind::Sqlite(dir) => Some(dir.path()),
            Kind::Postgres { .. } => None,
        }
    }

    /// Runs a statement past the host, in a module's schema or file, and says
    /// how many rows it gave.
    pub async fn meddle(&self, module: &str, statement: &str) -> usize {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        let rows = match self.dir() {
            Some(dir) => {
                let options = SqliteConnectOptions::new().filename(dir.join(format!("test.{module}.db")));
                let mut file = options.connect().await.expect("the module's file");
                statement.fetch_all(&mut file).await.map(|rows| rows.len())
            }
            None => {
                let mut connection = PgConnection::connect(&self.url).await.expect("a connection");
                let path = format!("SET search_path = {}, innkeeper", module.replace('-', "_"));
                sqlx::raw_sql(AssertSqlSafe(path)).execute(&mut connection).await.expect("a schema");
                statement.fetch_all(&mut connection).await.map(|rows| rows.len())
            }
        };
        rows.expect("a statement that works")
    }

    /// A session past the host, as the administrator.
    pub async fn admin(&self) -> Wire {
        let url = Url::parse(&self.url).expect("a URL");
        self.login(url.username(), url.password().unwrap_or_default()).await.expect("the administrator logs in")
    }

    /// A session past the host, as any role.
    pub async fn login(&self, role: &str, password: &str) -> std::io::Result<Wire> {
        let url = Url::parse(&self.url).expect("a URL");
        Wire::connect(&target(&self.url), url.path().trim_start_matches('/'), role, password).await
    }

    /// A connection past the host, to look and to meddle.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect(&self.url).await.expect("a connection")
    }
}

async fn admin(statement: &str) {
    let mut connection = PgConnection::connect(&server()).await.expect("the test server answers");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("an administrator's right");
}

/// Drops a database, and the modules' roles with it: they are the server's, and
/// are named after the database's number.
async fn remove(name: &str) {
    let mut connection = PgConnection::connect(&server()).await.expect("the test server answers");
    let roles = format!(
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE \
         (SELECT 'innkeeper\\_' || oid || '\\_%' FROM pg_database WHERE datname = '{name}')"
    );
    let roles = sqlx::raw_sql(AssertSqlSafe(roles)).fetch_all(&mut connection).await.expect("roles");
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.expect("an administrator's right");
    for role in roles {
        let drop = format!("DROP ROLE \"{}\"", role.get::<String, _>(0));
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.expect("nothing depends on it");
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        let Self::Postgres { name } = self else { return };
        let name = name.clone();
        // A runtime of its own, because this may run while another one ends.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(remove(&name));
        });
        let _ = dropped.join();
    }
}
