//! Which database there is, and how it is used.

use std::path::PathBuf;

use secrecy::SecretString;

/// Which database the modules with an `sql` grant use.
#[derive(Clone, Debug)]
pub struct Database {
    /// Postgres or SQLite, with the URL. Secret, for it may hold a password.
    pub kind: DatabaseKind,
    /// Connections per module.
    pub connections: u32,
}

/// The drivers there are.
#[derive(Clone, Debug)]
pub enum DatabaseKind {
    /// `postgres://…`
    Postgres(PostgresConfig),
    /// The file that the module's own file is named after.
    Sqlite(PathBuf),
}

/// How Postgres is used.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// The URL. Secret, for it may hold a password.
    pub url: SecretString,
    /// Whether the database keeps callers apart.
    pub isolation: Isolation,
    /// A pooler in transaction mode stands between (PgBouncer, Neon's `-pooler`
    /// hosts): nothing of a session is relied upon, for more round trips.
    pub pooled: bool,
}

/// Whether the database keeps callers apart, on Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each module has its own login role, and rows that have owners are seen by
    /// them alone, whatever a module asks for.
    #[default]
    Enforced,
    /// Modules run as the database user; their own statements keep callers apart.
    Trusted,
}
