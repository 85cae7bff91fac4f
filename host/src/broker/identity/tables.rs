//! Better Auth's tables, in the configured database: who has a session, who has
//! an account, and which keys are public. The only part of this broker with SQL
//! in it; each database has its own below.

mod postgres;
mod sqlite;

use std::path::Path;

use super::foreign::Foreign;
use super::id::{self, Id};
use super::public_key::Jwk;
use super::session_token::SessionToken;
use crate::call::Caller;

/// How long a session lasts: what Better Auth's own do. Signing out ends it
/// sooner.
pub(super) const SESSION_SECONDS: u32 = 7 * 24 * 60 * 60;
/// Sessions of one user, of those that have not ended; the oldest go first.
/// Without a bound, whoever signs in once a second fills the table.
const SESSIONS: u32 = 100;

/// Why the tables gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    /// They are not there.
    #[error("there are no tables of Better Auth in the database")]
    Missing,
    /// They are there, and not of a shape that accounts can be kept in; says
    /// what is wrong and what to do.
    #[error("{0}")]
    Unfit(String),
    /// The database did not answer, or not in time.
    #[error("the database gives no answer about identities")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a session is looked up by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lookup<'a> {
    /// The opaque token that Better Auth hands out.
    Token(&'a SessionToken),
    /// The name of the session in a token of our own.
    Id(&'a Id),
}

/// A user with an account, as somebody who wants to sign in needs to be known.
pub(super) struct Known {
    pub(super) id: String,
    pub(super) email: String,
    pub(super) name: String,
    /// The stored hash; none for somebody who signs in elsewhere.
    pub(super) hash: Option<String>,
}

/// An account to be made.
pub(super) struct NewAccount<'a> {
    pub(super) email: &'a str,
    pub(super) name: &'a str,
    pub(super) hash: &'a str,
}

/// A session that was begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// The session's row.
    pub(super) id: String,
    /// The user's.
    pub(super) user: String,
}

/// What became of a registration.
#[derive(Debug)]
pub(super) enum Registered {
    /// There is an account, and a session.
    New(Begun),
    /// There was one with this address.
    Taken,
}

/// The tables, in whichever database is configured.
pub(super) struct Tables(Kind);

enum Kind {
    Postgres(postgres::Tables),
    Sqlite(sqlite::Tables),
}

impl Tables {
    /// Nothing is connected yet. `foreign` are the schemas that modules write to.
    ///
    /// # Errors
    /// When the URL holds something that the driver does not know.
    pub(super) fn postgres(url: &str, foreign: Foreign) -> Result<Self, &'static str> {
        postgres::Tables::new(url, foreign).map(|tables| Self(Kind::Postgres(tables)))
    }

    /// The host's own file.
    pub(super) fn sqlite(file: &Path) -> Self {
        Self(Kind::Sqlite(sqlite::Tables::new(file)))
    }

    /// Who owns a session that has not ended. It is not extended: Better Auth
    /// does that itself.
    pub(super) async fn session(&self, lookup: Lookup<'_>) -> Result<Option<Caller>, TableError> {
        metrics::counter!(crate::telemetry::IDENTITY_LOOKUPS, "kind" => "session").increment(1);
        match &self.0 {
            Kind::Postgres(tables) => tables.session(lookup).await,
            Kind::Sqlite(tables) => tables.session(lookup).await,
        }
    }

    /// The public keys, the newest first.
    pub(super) async fn keys(&self) -> Result<Vec<Jwk>, TableError> {
        metrics::counter!(crate::telemetry::IDENTITY_LOOKUPS, "kind" => "keys").increment(1);
        match &self.0 {
            Kind::Postgres(tables) => tables.keys().await,
            Kind::Sqlite(_) => Err(TableError::Missing),
        }
    }

    /// Makes what is missing of the tables that accounts are kept in, and sees
    /// whether what is there will do. Once; after that it is free.
    pub(super) async fn prepare(&self) -> Result<(), TableError> {
        match &self.0 {
            Kind::Postgres(tables) => tables.prepare().await,
            Kind::Sqlite(tables) => tables.prepare().await,
        }
    }

    /// The user with this address, in lower case.
    pub(super) async fn user(&self, email: &str) -> Result<Option<Known>, TableError> {
        match &self.0 {
            Kind::Postgres(tables) => tables.user(email).await,
            Kind::Sqlite(tables) => tables.user(email).await,
        }
    }

    /// Makes a user with an account and a first session, or none of them.
    pub(super) async fn register(&self, account: &NewAccount<'_>) -> Result<Registered, TableError> {
        match &self.0 {
            Kind::Postgres(tables) => tables.register(account).await,
            Kind::Sqlite(tables) => tables.register(account).await,
        }
    }

    /// Begins a session.
    pub(super) async fn begin(&self, user: &str) -> Result<Begun, TableError> {
        match &self.0 {
            Kind::Postgres(tables) => tables.begin(user).await,
            Kind::Sqlite(tables) => tables.begin(user).await,
        }
    }

    /// Ends a session. One that has ended already is no error.
    pub(super) async fn end(&self, session: &str) -> Result<(), TableError> {
        match &self.0 {
            Kind::Postgres(tables) => tables.end(session).await,
            Kind::Sqlite(tables) => tables.end(session).await,
        }
    }
}

/// A word as Better Auth makes them for ids and session tokens.
fn word() -> Result<String, TableError> {
    id::word().map_err(|error| TableError::Unavailable(Box::new(error)))
}

/// Whose session a row is.
struct Owner {
    id: String,
    name: Option<String>,
    email: Option<String>,
}

impl Owner {
    /// The caller that a session stands for; `ends` in seconds since 1970.
    fn of_session(self, session: String, ends: i64) -> Caller {
        Caller {
            subject: self.id,
            name: self.name,
            email: self.email,
            scopes: Vec::new(),
            issuer: None,
            // What has not ended lies after 1970.
            expires_at: u64::try_from(ends).unwrap_or_default(),
            session: Some(session.into()),
        }
    }
}

fn unavailable(error: sqlx::Error) -> TableError {
    TableError::Unavailable(error.into())
}
