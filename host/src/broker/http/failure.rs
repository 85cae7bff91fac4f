//! Why a request was not sent, or not answered.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;

use super::BoxError;
use super::body::TooLarge;
use super::resolve::Unresolved;
use crate::fault::Blame;

/// The reason. Its words are for the log; a guest gets the word of `wasi:http` for it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No grant names the server.
    #[error("the module was granted no such server; add it to `http` of its grants, if that is meant")]
    NotGranted,
    /// The grant does not have the method.
    #[error("the method is not granted")]
    Method,
    /// The path cannot be one.
    #[error("the target is no path")]
    Target,
    /// The path is longer than servers take.
    #[error("the target is longer than 8 KiB")]
    TargetTooLong,
    /// The call has sent as many as `limits.http_requests` allows.
    #[error("the call sent more than limits.http_requests")]
    TooMany,
    /// As many requests of the module as can be are under way.
    #[error("too many requests of the module are under way")]
    Busy,
    /// The name has no address that a connection may go to.
    #[error("its name leads nowhere that it may")]
    Forbidden(#[source] BoxError),
    /// The name has no address.
    #[error("it has no address")]
    Unknown(#[source] BoxError),
    /// Nobody listens.
    #[error("the connection was refused")]
    Refused(#[source] BoxError),
    /// The other end is not who it should be, or speaks another TLS.
    #[error("TLS failed")]
    Tls(#[source] BoxError),
    /// There is no connection, for another reason.
    #[error("no connection")]
    Connect(#[source] BoxError),
    /// Nothing came in time.
    #[error("nothing came in time")]
    Late,
    /// The guest's body is larger than `limits.http_bytes`.
    #[error("the body is larger than limits.http_bytes")]
    BodyTooLarge,
    /// The answer is larger than `limits.http_bytes`.
    #[error("the answer is larger than limits.http_bytes")]
    AnswerTooLarge,
    /// The answer ended too soon.
    #[error("the answer was cut off")]
    Cut(#[source] BoxError),
    /// The answer is none.
    #[error("the answer is not HTTP")]
    Protocol,
    /// The answer holds the secret that the host has put into the request.
    #[error("it answered with the secret that was sent to it; grant no secret for a server that echoes")]
    Echo,
}

impl HttpError {
    pub(super) fn of(error: legacy::Error) -> Self {
        let otherwise = if error.is_connect() { Self::Connect } else { Self::Cut };
        let kind = kind(&error).unwrap_or(otherwise);
        kind(error.into())
    }

    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NotGranted | Self::Method | Self::Target | Self::TargetTooLong | Self::TooMany => Blame::Guest,
            Self::BodyTooLarge => Blame::Guest,
            _ => Blame::Host,
        }
    }

    /// The word for metrics and spans.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotGranted => "not_granted",
            Self::Method => "method",
            Self::Target => "target",
            Self::TargetTooLong => "target_too_long",
            Self::TooMany => "too_many",
            Self::Busy => "busy",
            Self::Forbidden(_) => "forbidden_address",
            Self::Unknown(_) => "no_address",
            Self::Refused(_) => "refused",
            Self::Tls(_) => "tls",
            Self::Connect(_) => "connect",
            Self::Late => "late",
            Self::BodyTooLarge => "body_too_large",
            Self::AnswerTooLarge => "answer_too_large",
            Self::Cut(_) => "cut",
            Self::Protocol => "protocol",
            Self::Echo => "echo",
        }
    }
}

/// What kind of failure it is, where a reason behind it says so.
fn kind(error: &legacy::Error) -> Option<fn(BoxError) -> HttpError> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(unresolved) = error.downcast_ref::<Unresolved>() {
            let is_forbidden = matches!(unresolved, Unresolved::Forbidden { .. });
            return Some(if is_forbidden { HttpError::Forbidden } else { HttpError::Unknown });
        }
        if error.is::<TooLarge>() {
            return Some(|_| HttpError::BodyTooLarge);
        }
        if error.is::<rustls::Error>() {
            return Some(HttpError::Tls);
        }
        let io = error.downcast_ref::<io::Error>();
        match io.map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return Some(HttpError::Refused),
            Some(io::ErrorKind::TimedOut) => return Some(|_| HttpError::Late),
            _ => {}
        }
        // An `io::Error` hides what it was made of: its source is the source of that.
        cause = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
