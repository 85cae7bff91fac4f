//! `innkeeper:backend/accounts`: converts, delegates, converts.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::imports::innkeeper::backend::accounts as wit;
use crate::broker::identity::accounts::{AccountError, Accounts, Session, User};
use crate::instance::State;
use crate::telemetry::ACCOUNT_CALLS;

/// Gives a guest the interface.
///
/// # Errors
/// When it was given before.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

impl wit::Host for State {
    async fn enabled(&mut self) -> wasmtime::Result<bool> {
        self.host_call()?;
        Ok(self.accounts().is_some())
    }

    async fn register(&mut self, email: String, password: String, name: String) -> Answer<wit::Session> {
        self.host_call()?;
        let password = SecretString::from(password);
        let result = match self.accounts() {
            Some(accounts) => accounts.register(self.call.client, &email, password, &name).await,
            None => Err(AccountError::Disabled),
        };
        Ok(self.account_answer("register", result.map(wit::Session::from)))
    }

    async fn login(&mut self, email: String, password: String) -> Answer<wit::Session> {
        self.host_call()?;
        let password = SecretString::from(password);
        let result = match self.accounts() {
            Some(accounts) => accounts.login(self.call.client, &email, password).await,
            None => Err(AccountError::Disabled),
        };
        Ok(self.account_answer("login", result.map(wit::Session::from)))
    }

    async fn sign_out(&mut self) -> Answer<()> {
        self.host_call()?;
        let result = match &self.profile.identity {
            Some(identity) => identity.sign_out(self.call.caller.as_ref()).await,
            None => Err(AccountError::Disabled),
        };
        Ok(self.account_answer("sign-out", result))
    }
}

impl State {
    fn accounts(&self) -> Option<Arc<Accounts>> {
        self.profile.identity.as_ref().and_then(|identity| identity.accounts()).cloned()
    }

    /// Counts an outcome. A guest answers its client in its own words; what the
    /// host knows of a database that is away is in the log.
    fn account_answer<T>(&self, call: &'static str, result: Result<T, AccountError>) -> Result<T, wit::Error> {
        let outcome = result.as_ref().err().map_or("ok", outcome);
        metrics::counter!(ACCOUNT_CALLS, "call" => call, "outcome" => outcome).increment(1);
        if let Err(error @ (AccountError::Unavailable(_) | AccountError::Busy)) = &result {
            let reason = crate::fault::chain(error);
            tracing::warn!(module.name = %self.profile.name, request.id = %self.call.id,
                trace_id = self.call.trace.id(), blame = "host",
                "`{call}` of `{}` did not happen: {reason}", self.profile.name);
        }
        result.map_err(wit::Error::from)
    }
}

/// The word for metrics.
fn outcome(error: &AccountError) -> &'static str {
    match error {
        AccountError::Disabled => "disabled",
        AccountError::Taken => "taken",
        AccountError::WrongCredentials => "wrong_credentials",
        AccountError::Invalid(_) => "invalid",
        AccountError::TooMany(_) => "too_many",
        AccountError::Busy => "busy",
        AccountError::Unavailable(_) => "unavailable",
    }
}

impl From<Session> for wit::Session {
    fn from(Session { token, expires_at, user: User { id, email, name } }: Session) -> Self {
        // Here it leaves the host: it is the caller's.
        Self { token: token.expose_secret().to_owned(), expires_at, user: wit::User { id, email, name } }
    }
}

impl From<AccountError> for wit::Error {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Disabled => Self::Disabled,
            AccountError::Taken => Self::Taken,
            AccountError::WrongCredentials => Self::WrongCredentials,
            AccountError::Invalid(what) => Self::Invalid(what.to_owned()),
            // Rounded up: a client that comes back then is not a moment early.
            AccountError::TooMany(wait) => {
                Self::TooMany(u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX))
            }
            AccountError::Busy | AccountError::Unavailable(_) => Self::Unavailable,
        }
    }
}
