//! Accounts of this host's own: users who register and sign in with a password.
//!
//! They are Better Auth's users, in its tables and with its hashes, so that a
//! team can put Better Auth in front later and keep them. What is handed out is a
//! JSON Web Token that names a session in the tables: it is good for as long as
//! the session is there.
//!
//! Limits: hashes at once ([`hashing`]), tries per account and per address
//! ([`limits`]), sessions per user ([`super::tables`]). When the database is away
//! or there is no room for one more hash, nobody is registered or signed in, and
//! tokens that are out there are looked up as ever.

mod hashing;
mod limits;
mod password;
mod policy;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use secrecy::{ExposeSecret, SecretString};

use self::hashing::Hashing;
use self::limits::Limits;
use super::hs256::{NewToken, mint};
use super::tables::{Begun, Known, NewAccount, Registered, SESSION_SECONDS, TableError, Tables};
use crate::call::Client;
use crate::config::Auth;

/// Somebody with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id of the row.
    pub id: String,
    /// In lower case.
    pub email: String,
    /// As it was registered.
    pub name: String,
}

/// Somebody who has just signed in.
#[derive(Debug)]
pub struct Session {
    /// What the caller shows from now on.
    pub token: SecretString,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// Whom it stands for.
    pub user: User,
}

/// Why nobody was registered or signed in.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Local accounts are off, or not for this module.
    #[error("there are no local accounts here")]
    Disabled,
    /// The address has an account.
    #[error("the address has an account")]
    Taken,
    /// No such account, or another password.
    #[error("there is no account with this address and this password")]
    WrongCredentials,
    /// It cannot be an address, a password or a name.
    #[error("{0}")]
    Invalid(&'static str),
    /// Too many tries.
    #[error("too many tries; the next one in {}", .0.as_secs())]
    TooMany(Duration),
    /// More hashes than the host makes at once.
    #[error("too many passwords are being hashed")]
    Busy,
    /// The database, or what is in it.
    #[error("accounts cannot be read or written")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The accounts of a host.
pub struct Accounts {
    tables: Arc<Tables>,
    hashing: Hashing,
    limits: Limits,
    secret: SecretString,
    issuer: Option<String>,
    audience: Option<String>,
}

impl Accounts {
    /// Accounts in these tables, with tokens signed by this secret; nothing is
    /// connected yet.
    pub(super) fn new(tables: Arc<Tables>, secret: SecretString, auth: &Auth) -> Self {
        let (issuer, audience) = (auth.issuers.first().cloned(), auth.audience.clone());
        Self { tables, hashing: Hashing::new(), limits: Limits::default(), secret, issuer, audience }
    }

    /// Makes the tables when they are missing, so that an operator hears at once
    /// what would keep users from registering. It is looked at again when somebody
    /// does; nothing else depends on it.
    pub(super) async fn prepare(&self) {
        if let Err(error) = self.tables.prepare().await {
            let why = crate::fault::chain(&error);
            tracing::warn!("nobody can register or sign in here for now: {why}");
        }
    }

    /// Makes an account, and signs in to it.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn register(
        &self,
        client: Option<Client>,
        email: &str,
        password: SecretString,
        name: &str,
    ) -> Result<Session, AccountError> {
        let email = policy::email(email)?;
        policy::new_password(&password)?;
        let name = policy::name(name)?;
        let place = self.hashing.enter()?;
        self.limits.register(client, Instant::now())?;
        let hash = place.run(move || password::hash(&password)).await?;
        let hash = hash.map_err(|error| AccountError::Unavailable(error.into()))?;
        match self.tables.register(&NewAccount { email: &email, name, hash: &hash }).await? {
            Registered::Taken => Err(AccountError::Taken),
            Registered::New(Begun { id, user }) => self.session(&id, User { id: user, email, name: name.to_owned() }),
        }
    }

    /// Signs in.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn login(
        &self,
        client: Option<Client>,
        email: &str,
        password: SecretString,
    ) -> Result<Session, AccountError> {
        let email = policy::email(email)?;
        policy::password(&password)?;
        // A place first: who has none has tried nothing, and counts for nothing.
        let place = self.hashing.enter()?;
        let attempt = self.limits.login(&email, client, Instant::now())?;
        match self.check(&email, password, place).await {
            Ok(Some(known)) => {
                attempt.succeeded();
                let begun = self.tables.begin(&known.id).await?;
                self.session(&begun.id, User { id: known.id, email: known.email, name: known.name })
            }
            Ok(None) => Err(AccountError::WrongCredentials),
            Err(error) => {
                attempt.void();
                Err(error)
            }
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database is away.
    pub(super) async fn sign_out(&self, session: &str) -> Result<(), AccountError> {
        self.tables.end(session).await.map_err(AccountError::from)
    }

    /// The user whose address and password these are. For one that is not there a
    /// hash is made all the same.
    async fn check(
        &self,
        email: &str,
        password: SecretString,
        place: hashing::Place,
    ) -> Result<Option<Known>, AccountError> {
        let mut known = self.tables.user(email).await?;
        let hash = known.as_mut().and_then(|known| known.hash.take());
        let good = place.run(move || password::verify(&password, hash.as_deref())).await?;
        Ok(known.filter(|_| good))
    }

    fn session(&self, session: &str, user: User) -> Result<Session, AccountError> {
        let lifetime = Duration::from_secs(SESSION_SECONDS.into());
        let token = NewToken {
            subject: &user.id,
            name: Some(&user.name),
            email: Some(&user.email),
            issuer: self.issuer.as_deref(),
            audience: self.audience.as_deref(),
            lifetime,
            session: Some(session),
        };
        let token = mint(self.secret.expose_secret().as_bytes(), &token);
        let token = token.map_err(|error| AccountError::Unavailable(error.into()))?;
        let end = SystemTime::now() + lifetime;
        let expires_at = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Session { token: token.into(), expires_at, user })
    }
}

impl From<TableError> for AccountError {
    fn from(error: TableError) -> Self {
        Self::Unavailable(error.into())
    }
}
