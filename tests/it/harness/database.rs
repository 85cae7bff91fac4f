//! A database for one test, gone with it.

use std::path::Path;

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// A database of a test's own.
pub struct TestDatabase {
    url: String,
    kind: Kind,
}

enum Kind {
    Sqlite(tempfile::TempDir),
    Postgres { name: String },
}

/// The server that `cargo xtask test` provides.
fn server() -> String {
    std::env::var("INNKEEPER_TEST_DATABASE_URL")
        .expect("INNKEEPER_TEST_DATABASE_URL names a Postgres server; run the tests by `cargo xtask test`, which starts one")
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
                Self { url: format!("sqlite://{}", dir.path().join("test.db").display()), kind: Kind::Sqlite(dir) }
            }
            Database::Postgres => {
                let name = format!("innkeeper_{}", uuid::Uuid::new_v4().simple());
                admin(&format!("CREATE DATABASE {name}")).await;
                Self { url: with_database(&server(), &name), kind: Kind::Postgres { name } }
            }
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of a SQLite database.
    pub fn dir(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Sqlite(dir) => Some(dir.path()),
            Kind::Postgres { .. } => None,
        }
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

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Kind::Postgres { name } = &self.kind else { return };
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // A runtime of its own, because this may run while another one ends.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(admin(&statement));
        });
        let _ = dropped.join();
    }
}
