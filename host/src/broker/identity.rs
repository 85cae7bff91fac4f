//! Who is calling: from a request's headers to a verified [`Caller`].
//!
//! Verified once, before any guest runs; the credential never reaches one. A
//! bad credential is refused here, without a database or a guest; a request
//! without one is anonymous, and the guest decides.

pub mod host;
mod jwt;
pub mod policy;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use secrecy::ExposeSecret;

use crate::call::Caller;
use crate::config::Auth;

pub use jwt::{NewToken, mint};

/// Why a credential was refused. What a client reads of it is in [`Self::public`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The `Authorization` header holds no Bearer token, or there are several.
    #[error("the Authorization header is not one Bearer token")]
    Scheme,
    /// A token, and no way of verifying tokens is configured.
    #[error("no secret is configured that could verify a token; set BETTER_AUTH_SECRET")]
    NotConfigured,
    /// Not three parts, another algorithm than HS256, or a signature that does
    /// not fit.
    #[error("the token is not one that this host's secret signed")]
    Invalid,
    /// `exp` has passed, or `nbf` has not.
    #[error("the token has expired, or is not valid yet")]
    Expired,
    /// `iss` or `aud` are not the configured ones.
    #[error("the token was issued by or for somebody else")]
    Audience,
    /// Nothing in the token says who the user is.
    #[error("the token names no user")]
    NoSubject,
}

impl Rejected {
    /// What a client reads: the strings that frontends of the replaced backends know.
    pub fn public(self) -> &'static str {
        match self {
            Self::Scheme => "Not authenticated",
            Self::Expired => "Token has expired",
            Self::NotConfigured | Self::Invalid | Self::Audience | Self::NoSubject => "Could not validate credentials",
        }
    }
}

/// The ways of verifying that are configured.
pub struct Identity {
    hs256: Option<jwt::Hs256>,
}

impl Identity {
    /// Verifiers for what the configuration names.
    pub fn new(auth: &Auth) -> Self {
        let hs256 = auth.secret.as_ref().map(|secret| {
            jwt::Hs256::new(secret.expose_secret().as_bytes(), auth.issuer.as_deref(), auth.audience.as_deref())
        });
        Self { hs256 }
    }

    /// Whether any credential could be accepted.
    pub fn is_configured(&self) -> bool {
        self.hs256.is_some()
    }

    /// The caller of a request; none for a request without a credential.
    ///
    /// # Errors
    /// A credential was sent and is not valid.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Caller>, Rejected> {
        let Some(token) = policy::bearer(headers)? else { return Ok(None) };
        let hs256 = self.hs256.as_ref().ok_or(Rejected::NotConfigured)?;
        hs256.verify(token).map(Some)
    }
}
