//! The database's part of the configuration: which one, and how it is used.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::flag;
use crate::config::raw::RawDatabase;
use crate::config::{Database, DatabaseKind, Env, Isolation, PostgresConfig, Problems};

/// The database, from the file and the environment. None: a file in the data
/// directory, or where the host was started.
pub(super) fn build(raw: RawDatabase, data_dir: Option<&Path>, env: &Env, problems: &mut Problems) -> Database {
    let RawDatabase { url, connections, isolation, pooled } = raw;
    let from_env = env.secret("DATABASE_URL", problems).or_else(|| env.secret("NEON_DATABASE_URL", problems));
    let url = from_env.or_else(|| match url.as_deref() {
        // A file path holds no password, so it may be written out.
        Some(url) if url.starts_with("sqlite:") => Some(SecretString::from(url)),
        Some(url) => env.reference("database.url", url, problems),
        None => None,
    });
    let connections = connections.unwrap_or(20);
    if !(1..=200).contains(&connections) {
        problems.push("database.connections", "not from 1 to 200", "leave it out for 20");
    }
    let isolation = build_isolation(isolation.as_deref(), env, problems);
    let pooled = flag(env, "INNKEEPER_DATABASE_POOLED", problems).or(pooled);
    let embedded = || DatabaseKind::Sqlite(data_dir.unwrap_or(Path::new("")).join("innkeeper.db"));
    let mut kind = url.map_or_else(embedded, |url| database_kind(&url, problems));
    if let DatabaseKind::Postgres(postgres) = &mut kind {
        postgres.isolation = isolation;
        postgres.pooled = pooled.unwrap_or(postgres.pooled);
    }
    Database { kind, connections }
}

fn build_isolation(file: Option<&str>, env: &Env, problems: &mut Problems) -> Isolation {
    match env.get("INNKEEPER_ISOLATION").or(file) {
        None | Some("enforced") => Isolation::Enforced,
        Some("trusted") => Isolation::Trusted,
        Some(other) => {
            let what = format!("`{other}` is neither enforced nor trusted");
            problems.push("database.isolation", what, "leave it out: enforced is the default");
            Isolation::Enforced
        }
    }
}

fn database_kind(url: &SecretString, problems: &mut Problems) -> DatabaseKind {
    let text = url.expose_secret();
    // SQLAlchemy's spelling is in the environment of every backend that this
    // host replaces; the driver after the plus means nothing here.
    let normal = match text.split_once("://") {
        Some((scheme, rest)) if scheme.starts_with("postgresql+") || scheme.starts_with("postgres+") => {
            format!("postgres://{rest}")
        }
        _ => text.to_owned(),
    };
    if normal.starts_with("postgres://") || normal.starts_with("postgresql://") {
        DatabaseKind::Postgres(postgres(&normal, problems))
    } else if let Some(path) = normal.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.contains('?') || path.contains(":memory:") || path.is_empty() {
            problems.push(
                "DATABASE_URL",
                "not the path of a file",
                "write it as sqlite://innkeeper.db, without parameters",
            );
        }
        DatabaseKind::Sqlite(path.into())
    } else {
        problems.push("DATABASE_URL", "neither postgres:// nor sqlite://", "Innkeeper speaks Postgres and SQLite");
        DatabaseKind::Sqlite("innkeeper.db".into())
    }
}

/// Parameters of a Postgres URL that the driver knows. It logs the others with
/// their values, and one of them may be a misspelled password.
const URL_KEYS: [&str; 14] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "port",
    "dbname",
    "user",
    "application_name",
    "options",
];

/// The URL with its parameters checked by name, and with spellings of the field
/// made the driver's: `ssl` (asyncpg), `channel_binding` (Neon's console), which
/// this driver negotiates by itself, and `pgbouncer` (Prisma), which says that a
/// pooler stands between. So do the names of Neon's pooled hosts.
fn postgres(text: &str, problems: &mut Problems) -> PostgresConfig {
    let isolation = Isolation::default();
    let Ok(mut url) = url::Url::parse(text) else {
        problems.push("DATABASE_URL", "not a valid URL", "write it as postgres://user:password@host:5432/database");
        return PostgresConfig { url: SecretString::from(text), isolation, pooled: false };
    };
    let host = url.host_str().unwrap_or_default();
    let mut pooled = host.split('.').next().is_some_and(|label| label.ends_with("-pooler"));
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.set_query(None);
    for (key, value) in pairs {
        match key.as_str() {
            "channel_binding" => {}
            "pgbouncer" => pooled = value == "true",
            "ssl" => {
                let mode = if matches!(value.as_str(), "true" | "1") { "require" } else { &value };
                url.query_pairs_mut().append_pair("sslmode", mode);
            }
            known if URL_KEYS.contains(&known) => {
                url.query_pairs_mut().append_pair(known, &value);
            }
            other => problems.push("DATABASE_URL", format!("no such parameter: `{other}`"), "remove it from the URL"),
        }
    }
    PostgresConfig { url: SecretString::from(String::from(url)), isolation, pooled }
}
