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
        let is_connect = error.is_connect();
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(found) = cause {
            if let Some(unresolved) = found.downcast_ref::<Unresolved>() {
                let is_forbidden = matches!(unresolved, Unresolved::Forbidden { .. });
                return if is_forbidden { Self::Forbidden(error.into()) } else { Self::Unknown(error.into()) };
            }
            if found.is::<TooLarge>() {
                return Self::BodyTooLarge;
            }
            if found.is::<rustls::Error>() {
                return Self::Tls(error.into());
            }
            if let Some(found) = found.downcast_ref::<io::Error>() {
                match found.kind() {
                    io::ErrorKind::ConnectionRefused => return Self::Refused(error.into()),
                    io::ErrorKind::TimedOut => return Self::Late,
                    _ => {}
                }
                // What rustls says is inside, and not the source.
                if found.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                    return Self::Tls(error.into());
                }
            }
            cause = found.source();
        }
        if is_connect { Self::Connect(error.into()) } else { Self::Cut(error.into()) }
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
