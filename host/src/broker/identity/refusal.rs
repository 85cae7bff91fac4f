//! Why there is no caller, and what a client reads of it.

/// Why a credential was refused. What a client reads of it is in [`Self::public`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The `Authorization` header holds no Bearer token, or there are several.
    #[error("the Authorization header is not one Bearer token")]
    Scheme,
    /// No way of verifying this kind of credential is configured.
    #[error(
        "nothing is configured that could verify this credential; set BETTER_AUTH_SECRET, BETTER_AUTH_URL or AUTH_JWKS_URL"
    )]
    NotConfigured,
    /// A session token, and no tables to look it up in.
    #[error("the database has no tables of Better Auth to look a session up in")]
    NoSessions,
    /// Not of the right shape, of another kind, or not signed by whom it should be.
    #[error("the credential is not one that was made for this host")]
    Invalid,
    /// Nobody's session, or one that was revoked or has ended.
    #[error("there is no such session")]
    NoSession,
    /// `exp` has passed, or `nbf` has not.
    #[error("the token has expired, or is not valid yet")]
    Expired,
    /// `iss` or `aud` are not the configured ones.
    #[error("the token was issued by or for somebody else")]
    Audience,
    /// Nothing in the token says who the user is.
    #[error("the token names no user")]
    NoSubject,
    /// A cookie came along with a request of a page that is not one of ours.
    #[error("the page that sent the cookie is neither in CORS_ORIGINS nor at BETTER_AUTH_URL")]
    Origin,
}

impl Rejected {
    /// What a client reads: the strings that frontends of the replaced backends know.
    pub fn public(self) -> &'static str {
        match self {
            Self::Scheme => "Not authenticated",
            Self::Expired => "Token has expired",
            Self::Origin => "Origin not allowed",
            Self::NotConfigured
            | Self::NoSessions
            | Self::Invalid
            | Self::NoSession
            | Self::Audience
            | Self::NoSubject => "Could not validate credentials",
        }
    }
}

/// Why nobody can say whether a credential is good.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// More look-ups at once than the host makes.
    #[error("too many sessions are being looked up")]
    Busy,
    /// The database.
    #[error("a session cannot be looked up")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The issuer.
    #[error("the issuer's public keys cannot be read")]
    Keys,
}

/// Why there is no caller.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The caller's fault.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The host's.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
