//! The broker of `wasi:keyvalue`: small things by name, in the configured database.
//!
//! A bucket belongs to a module, and in it to one caller or to all. Which one is the
//! host's to say: a guest names a kind of bucket, and never an owner. Keys of others are
//! not to be had by any name.

pub mod host;
mod policy;
mod postgres;
mod sqlite;

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::call::Call;
use crate::config::DatabaseKind;

/// Keys that one answer lists.
const PAGE: usize = 1_000;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum KeyvalueError {
    /// No bucket has this name.
    #[error("there are the buckets `default`, of the caller, and `module`, of all of them")]
    NoSuchBucket,
    /// It is the caller's, and nobody is calling.
    #[error("the bucket `default` is the caller's, and nobody is calling")]
    Nobody,
    /// The key or the value cannot be kept.
    #[error("{0}")]
    Refused(&'static str),
    /// The database does not answer.
    #[error("the database does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl KeyvalueError {
    fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What is kept for all modules.
pub struct Store(Kind);

enum Kind {
    Postgres(postgres::Table),
    Sqlite(sqlite::Table),
}

/// One module's bucket, as one caller has it.
pub struct Bucket {
    store: Arc<Store>,
    place: Place,
}

/// Whose keys.
#[derive(Clone)]
struct Place {
    module: Arc<str>,
    /// The caller's subject; empty for those of all callers, as no subject is.
    owner: Arc<str>,
}

/// Some keys, and where to go on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// In the order in which they were first set.
    pub keys: Vec<String>,
    /// For the next ones, where there may be more.
    pub cursor: Option<u64>,
}

impl Store {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL holds something that the driver does not know.
    pub fn new(database: &DatabaseKind) -> Result<Self, &'static str> {
        Ok(Self(match database {
            DatabaseKind::Postgres(config) => Kind::Postgres(postgres::Table::new(config.url.expose_secret())?),
            DatabaseKind::Sqlite(file) => Kind::Sqlite(sqlite::Table::new(file)),
        }))
    }
}

impl Bucket {
    /// A module's bucket of this name, for a call.
    ///
    /// # Errors
    /// There is none of this name, or not for this call.
    pub fn open(store: &Arc<Store>, module: &Arc<str>, name: &str, call: &Call) -> Result<Self, KeyvalueError> {
        let owner: Arc<str> = match name {
            "" | "default" => call.caller.as_ref().ok_or(KeyvalueError::Nobody)?.subject.as_str().into(),
            "module" => "".into(),
            _ => return Err(KeyvalueError::NoSuchBucket),
        };
        Ok(Self { store: Arc::clone(store), place: Place { module: Arc::clone(module), owner } })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// See [`KeyvalueError`].
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyvalueError> {
        policy::check_key(key)?;
        match &self.store.0 {
            Kind::Postgres(table) => table.get(&self.place, key).await,
            Kind::Sqlite(table) => table.get(&self.place, key).await,
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    /// See [`KeyvalueError`].
    pub async fn set(&self, key: &str, value: &[u8]) -> Result<(), KeyvalueError> {
        policy::check_key(key)?;
        policy::check_value(value)?;
        let is_set = match &self.store.0 {
            Kind::Postgres(table) => table.set(&self.place, key, value).await?,
            Kind::Sqlite(table) => table.set(&self.place, key, value).await?,
        };
        if is_set { Ok(()) } else { Err(policy::FULL) }
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// See [`KeyvalueError`].
    pub async fn delete(&self, key: &str) -> Result<(), KeyvalueError> {
        policy::check_key(key)?;
        match &self.store.0 {
            Kind::Postgres(table) => table.delete(&self.place, key).await,
            Kind::Sqlite(table) => table.delete(&self.place, key).await,
        }
    }

    /// Whether there is a key.
    ///
    /// # Errors
    /// See [`KeyvalueError`].
    pub async fn exists(&self, key: &str) -> Result<bool, KeyvalueError> {
        policy::check_key(key)?;
        match &self.store.0 {
            Kind::Postgres(table) => table.exists(&self.place, key).await,
            Kind::Sqlite(table) => table.exists(&self.place, key).await,
        }
    }

    /// Keys after a cursor.
    ///
    /// # Errors
    /// See [`KeyvalueError`].
    pub async fn keys(&self, cursor: Option<u64>) -> Result<Keys, KeyvalueError> {
        let after = i64::try_from(cursor.unwrap_or_default()).unwrap_or(i64::MAX);
        let found = match &self.store.0 {
            Kind::Postgres(table) => table.keys(&self.place, after).await?,
            Kind::Sqlite(table) => table.keys(&self.place, after).await?,
        };
        let last = found.last().and_then(|(id, _)| u64::try_from(*id).ok());
        let cursor = last.filter(|_| found.len() == PAGE);
        Ok(Keys { keys: found.into_iter().map(|(_, key)| key).collect(), cursor })
    }
}
