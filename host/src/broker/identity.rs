//! Who is calling: from a request's headers to a verified [`Caller`].
//!
//! Verified once, before any guest runs; the credential never reaches one. What
//! the credential looks like decides how it is verified, and each way has a
//! type of its own:
//!
//! | credential | verified by |
//! |---|---|
//! | JWT, `HS256` | the shared secret |
//! | JWT, `EdDSA`, `ES256`, `RS256` | the issuer's public keys |
//! | session token, raw or signed, as Bearer | its signature, if any, then Better Auth's tables |
//! | JWT of our own, for a local account | the shared secret, then the tables |
//! | session cookie | its signature and the page it came from, then the tables |
//!
//! A bad credential is refused without a guest, and without a database unless
//! only the database can tell. A request without one is anonymous, and the guest
//! decides. A source that is away is not the caller's fault: 503.

pub mod accounts;
mod claims;
mod foreign;
pub mod host;
mod hs256;
mod id;
mod jwt;
mod keys;
pub mod policy;
mod public_key;
mod refusal;
mod session_token;
mod sessions;
mod tables;
#[cfg(test)]
mod tests;
mod verified;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use secrecy::ExposeSecret;
use tokio_util::task::TaskTracker;

use self::accounts::{AccountError, Accounts};
use self::hs256::Hs256;
use self::id::Id;
use self::jwt::{Rules, Signer, Unverified};
use self::keys::{Keys, Source};
use self::policy::Credential;
use self::session_token::{SessionToken, Signatures};
use self::sessions::Sessions;
use self::tables::{Lookup, Tables};
use self::verified::{By, Digest, Verified};
use crate::call::Caller;
use crate::config::{Config, DatabaseKind};

pub use foreign::Foreign;
pub use hs256::{NewToken, mint};
pub use refusal::{Refusal, Rejected, Unavailable};

/// The ways of verifying that are configured.
pub struct Identity {
    rules: Rules,
    hs256: Option<Hs256>,
    signatures: Option<Signatures>,
    keys: Option<Arc<Keys>>,
    sessions: Option<Sessions>,
    accounts: Option<Arc<Accounts>>,
    verified: Verified,
    /// Whether cookies are looked at. Only Better Auth hands them out.
    cookies: bool,
    origins: Vec<HeaderValue>,
}

impl Identity {
    /// Verifiers for what the configuration names; nothing is connected yet.
    /// `foreign` are the schemas of the database that modules write to.
    ///
    /// # Errors
    /// When a URL is not one that can be connected to.
    pub fn new(config: &Config, foreign: Foreign, tasks: &TaskTracker) -> Result<Self, &'static str> {
        let auth = &config.auth;
        let rules = Rules { issuers: auth.issuers.clone(), audience: auth.audience.clone() };
        let secret = auth.secret.as_ref().map(|secret| secret.expose_secret().as_bytes());
        let tables = match &config.database.kind {
            DatabaseKind::Postgres(postgres) => Some(Tables::postgres(postgres.url.expose_secret(), foreign)?),
            DatabaseKind::Sqlite(file) if auth.local => Some(Tables::sqlite(file)),
            DatabaseKind::Sqlite(_) => None,
        };
        let tables = tables.map(Arc::new);
        let better_auth = tables.clone().filter(|_| matches!(config.database.kind, DatabaseKind::Postgres(_)));
        let cookies = better_auth.is_some();
        let source = match (&auth.jwks, better_auth) {
            (Some(url), _) => Some(Source::url(url)?),
            (None, Some(tables)) => Some(Source::Tables(tables)),
            (None, None) => None,
        };
        let accounts = match (&tables, &auth.secret) {
            (Some(tables), Some(secret)) if auth.local => {
                Some(Arc::new(Accounts::new(Arc::clone(tables), secret.clone(), auth)))
            }
            _ => None,
        };
        let own = auth.url.as_ref().and_then(|url| HeaderValue::from_str(&url.origin().ascii_serialization()).ok());
        Ok(Self {
            hs256: secret.map(|secret| Hs256::new(secret, &rules)),
            signatures: secret.map(Signatures::new),
            keys: source.map(|source| Keys::new(source, tasks.clone())),
            sessions: tables.map(|tables| Sessions::new(tables, auth.session_cache)),
            accounts,
            verified: Verified::new(),
            cookies,
            origins: config.cors_origins.iter().cloned().chain(own).collect(),
            rules,
        })
    }

    /// Whether any credential could be accepted.
    pub fn is_configured(&self) -> bool {
        self.hs256.is_some() || self.keys.is_some() || self.sessions.is_some()
    }

    /// The accounts of this host's own; none where they are off.
    pub fn accounts(&self) -> Option<&Arc<Accounts>> {
        self.accounts.as_ref()
    }

    /// Makes the tables of local accounts, where these are on.
    pub async fn prepare_accounts(&self) {
        if let Some(accounts) = &self.accounts {
            accounts.prepare().await;
        }
    }

    /// Ends the session that a caller came with, if it is one that can be ended.
    ///
    /// # Errors
    /// The database is away.
    pub async fn sign_out(&self, caller: Option<&Caller>) -> Result<(), AccountError> {
        let accounts = self.accounts.as_ref().ok_or(AccountError::Disabled)?;
        let Some(session) = caller.and_then(|caller| caller.session.as_deref()) else { return Ok(()) };
        accounts.sign_out(session).await?;
        if let Some(sessions) = &self.sessions {
            sessions.forget(session);
        }
        Ok(())
    }

    /// The caller of a request; none for a request without a credential.
    ///
    /// # Errors
    /// A credential was sent and is not valid, or nobody can say whether it is.
    pub async fn authenticate(&self, method: &Method, headers: &HeaderMap) -> Result<Option<Caller>, Refusal> {
        let Some(credential) = policy::credential(headers)? else { return Ok(None) };
        let token = match credential {
            Credential::Jwt(token) => return self.jwt(token).await.map(Some),
            Credential::Raw(token) => SessionToken::new(token)?,
            Credential::Signed(value) => self.signatures()?.verify_bearer(value)?,
            // Without Better Auth a cookie is somebody else's: browsers send those
            // of one machine to all of its ports.
            Credential::Cookie(_) if !self.cookies => return Ok(None),
            Credential::Cookie(value) => {
                let token = self.signatures()?.verify_cookie(value)?;
                policy::check_origin(method, headers, &self.origins)?;
                token
            }
        };
        let sessions = self.sessions.as_ref().ok_or(Rejected::NoSessions)?;
        sessions.find(Lookup::Token(&token)).await.map(Some)
    }

    async fn jwt(&self, token: &str) -> Result<Caller, Refusal> {
        let digest = Digest::of(token);
        let known = match digest {
            Some(digest) => self.known(digest).await?,
            None => None,
        };
        let caller = match known {
            Some(caller) => caller,
            None => self.verify(token, digest).await?,
        };
        match &caller.session {
            None => Ok(caller),
            Some(session) => self.of_session(Id::new(session)?, &caller).await,
        }
    }

    /// The caller of a token that was verified before, if that still counts.
    async fn known(&self, token: Digest) -> Result<Option<Caller>, Refusal> {
        let Some((caller, by)) = self.verified.get(token) else { return Ok(None) };
        let By::Key { kid, key } = by else { return Ok(Some(caller)) };
        // A key that was withdrawn, or replaced under its name, vouches for nobody.
        let current = self.keys()?.find(&kid).await?;
        Ok(Arc::ptr_eq(&current, &key).then_some(caller))
    }

    async fn verify(&self, token: &str, digest: Option<Digest>) -> Result<Caller, Refusal> {
        let token = Unverified::read(token)?;
        let (caller, by) = match &token.signer {
            Signer::Secret => (self.hs256.as_ref().ok_or(Rejected::NotConfigured)?.verify(&token)?, By::Secret),
            Signer::Key { algorithm, kid } => {
                let key = self.keys()?.find(kid).await?;
                (key.verify(&token, *algorithm, &self.rules)?, By::Key { kid: kid.as_str().into(), key })
            }
        };
        if let Some(digest) = digest {
            self.verified.put(digest, &caller, by);
        }
        Ok(caller)
    }

    /// The caller of a token of our own: as the tables know him now, and for no
    /// longer than the token says.
    async fn of_session(&self, session: Id, claimed: &Caller) -> Result<Caller, Refusal> {
        let sessions = self.sessions.as_ref().ok_or(Rejected::NoSessions)?;
        let found = sessions.find(Lookup::Id(&session)).await?;
        if found.subject != claimed.subject {
            return Err(Rejected::NoSession.into());
        }
        let expires_at = found.expires_at.min(claimed.expires_at);
        Ok(Caller { expires_at, issuer: claimed.issuer.clone(), scopes: claimed.scopes.clone(), ..found })
    }

    fn keys(&self) -> Result<&Arc<Keys>, Rejected> {
        self.keys.as_ref().ok_or(Rejected::NotConfigured)
    }

    fn signatures(&self) -> Result<&Signatures, Rejected> {
        self.signatures.as_ref().ok_or(Rejected::NotConfigured)
    }
}
