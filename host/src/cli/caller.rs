//! Whose word a command of this process is.

use secrecy::ExposeSecret;

use super::{CliError, DEV_TOKEN_TIME, token};
use crate::config::{Config, Env, Problems};

/// The token of `--as`, else of INNKEEPER_TOKEN; none for nobody.
///
/// # Errors
/// `--as` outside of development: whoever may run the host would be everybody.
pub(super) fn token(config: &Config, user: Option<&str>, env: &Env) -> Result<Option<String>, CliError> {
    match user {
        Some(user) if config.dev => token::of(config, user, DEV_TOKEN_TIME).map(Some),
        Some(_) => {
            let why = "`--as` is for development; set INNKEEPER_DEV=1, or INNKEEPER_TOKEN to a token of the user's";
            Err(CliError::Other(why.to_owned()))
        }
        None => {
            let token = env.secret("INNKEEPER_TOKEN", &mut Problems::default());
            Ok(token.map(|token| token.expose_secret().to_owned()))
        }
    }
}
