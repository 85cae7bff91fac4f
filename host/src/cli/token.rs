//! `innkeeper token`: signs what this host accepts, for people who try it out.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::CliError;
use crate::broker::identity::{NewToken, mint};
use crate::config::Config;

/// What `innkeeper token` is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The user's id (`sub`)
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    user: String,
    /// The display name
    #[arg(long)]
    name: Option<String>,
    /// The e-mail address
    #[arg(long)]
    email: Option<String>,
    /// How long the token is valid, in seconds
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
}

/// Signs a token and prints it.
///
/// # Errors
/// When there is no secret to sign with.
pub(super) fn print(config: &Config, args: &Args) -> Result<(), CliError> {
    let lifetime = Duration::from_secs(args.seconds);
    let token = sign(config, &args.user, args.name.as_deref(), args.email.as_deref(), lifetime)?;
    super::print::line(format_args!("{token}"));
    Ok(())
}

/// A token of a user of whom nothing but the id is known.
///
/// # Errors
/// When there is no secret to sign with.
pub(super) fn of(config: &Config, user: &str, lifetime: Duration) -> Result<String, CliError> {
    sign(config, user, None, None, lifetime)
}

fn sign(
    config: &Config,
    user: &str,
    name: Option<&str>,
    email: Option<&str>,
    lifetime: Duration,
) -> Result<String, CliError> {
    let no_secret = "no secret to sign with; set BETTER_AUTH_SECRET, or INNKEEPER_DEV=1 for this machine's own";
    let secret = config.auth.secret.as_ref().ok_or_else(|| CliError::Other(no_secret.to_owned()))?;
    let new = NewToken {
        subject: user,
        name,
        email,
        issuer: config.auth.issuers.first().map(String::as_str),
        audience: config.auth.audience.as_deref(),
        lifetime,
        session: None,
    };
    mint(secret.expose_secret().as_bytes(), &new).map_err(|error| CliError::Other(format!("cannot sign: {error}")))
}
