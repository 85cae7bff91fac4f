//! Local accounts: users who register and sign in with a password, where the
//! operator has switched that on (`AUTH_LOCAL=1`) and granted it to this module
//! (`accounts = true`).
//!
//! The host hashes, stores, signs and limits. A guest passes on what its caller
//! typed and hands the caller the token; from then on requests with it have a
//! [`Caller`](crate::Caller).
//!
//! ```ignore
//! match accounts::login(&form.email, &form.password) {
//!     Ok(session) => Json(json!({ "access_token": session.token, "token_type": "bearer" })).into_response(),
//!     Err(Error::WrongCredentials) => StatusCode::UNAUTHORIZED.into_response(),
//!     Err(Error::TooMany(seconds)) => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)]).into_response(),
//!     Err(Error::Disabled) => StatusCode::NOT_FOUND.into_response(),
//!     Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
//! }
//! ```

use std::time::{Duration, SystemTime};

use crate::bindings::innkeeper::backend::accounts as wit;

pub use wit::{Error, User};

/// Somebody who has just signed in.
#[derive(Clone)]
pub struct Session {
    /// A Bearer token, for the caller's eyes alone.
    pub token: String,
    /// When it ends, unless its user signs out before.
    pub expires_at: SystemTime,
    /// Whom it stands for.
    pub user: User,
}

/// Without the token, which is as good as a password.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("expires_at", &self.expires_at)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl From<wit::Session> for Session {
    fn from(wit::Session { token, expires_at, user }: wit::Session) -> Self {
        Self { token, expires_at: SystemTime::UNIX_EPOCH + Duration::from_secs(expires_at), user }
    }
}

/// Whether this module has local accounts. When it has not, the other functions
/// answer [`Error::Disabled`].
pub fn enabled() -> bool {
    wit::enabled()
}

/// Makes an account and signs in to it. The password has 8 to 128 characters,
/// the name 1 to 100.
///
/// # Errors
/// See [`Error`].
pub fn register(email: &str, password: &str, name: &str) -> Result<Session, Error> {
    wit::register(email, password, name).map(Session::from)
}

/// Signs in.
///
/// # Errors
/// See [`Error`].
pub fn login(email: &str, password: &str) -> Result<Session, Error> {
    wit::login(email, password).map(Session::from)
}

/// Ends the session that the caller came with. Nobody's, and one that this host
/// cannot end, is no error.
///
/// # Errors
/// See [`Error`].
pub fn sign_out() -> Result<(), Error> {
    wit::sign_out()
}
