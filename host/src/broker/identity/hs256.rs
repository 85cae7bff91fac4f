//! Tokens signed with the shared secret: made by a frontend's own route, by a
//! backend of the kind that this host replaces, by Better Auth as the cache of a
//! session, or by this host for an account of its own. The last kind names its
//! session, and counts for as long as the session is there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;

use super::Rejected;
use super::claims::Names;
use super::jwt::{Purpose, Rules, Unverified};
use crate::call::Caller;

/// Verifies with the secret, and with nothing else.
pub(super) struct Hs256 {
    key: DecodingKey,
    validation: Validation,
}

impl Hs256 {
    /// The secret's bytes are used as they are, as Better Auth does; they are
    /// never base64-decoded.
    pub(super) fn new(secret: &[u8], rules: &Rules) -> Self {
        let validation = rules.validation(Algorithm::HS256, Purpose::Access);
        Self { key: DecodingKey::from_secret(secret), validation }
    }

    pub(super) fn verify(&self, token: &Unverified<'_>) -> Result<Caller, Rejected> {
        token.verify(&self.key, &self.validation)?.into_caller(Names::InTheField)
    }
}

/// A token to be made, for development and for operators' scripts.
pub struct NewToken<'a> {
    /// `sub`
    pub subject: &'a str,
    /// `name`
    pub name: Option<&'a str>,
    /// `email`
    pub email: Option<&'a str>,
    /// `iss`
    pub issuer: Option<&'a str>,
    /// `aud`
    pub audience: Option<&'a str>,
    /// How long it is valid.
    pub lifetime: Duration,
    /// The session that it stands for, in the tables; none for a token that
    /// nothing ends before its time.
    pub session: Option<&'a str>,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    iat: u64,
    exp: u64,
    /// A name that no other issuer has: `sid` alone is also somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    innkeeper_session: Option<&'a str>,
}

/// Signs a token with the shared secret.
///
/// # Errors
/// When the claims cannot be encoded.
pub fn mint(secret: &[u8], token: &NewToken<'_>) -> Result<String, jsonwebtoken::errors::Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = NewClaims {
        sub: token.subject,
        name: token.name,
        email: token.email,
        iss: token.issuer,
        aud: token.audience,
        iat: now,
        exp: now + token.lifetime.as_secs(),
        innkeeper_session: token.session,
    };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret))
}
