//! What went wrong, whose fault it is, and what a client may hear of it.
//!
//! Two readers, two messages: `public` is written for a stranger and is all
//! that leaves the host; `source` is for the log. There is no `Display` that
//! joins them, so that internals cannot reach a body by accident.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use serde_json::Value;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client: the request cannot be served as it is.
    Caller,
    /// The module: it broke its contract or its limits.
    Guest,
    /// This process, its configuration or its dependencies.
    Host,
}

impl Blame {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Guest => "guest",
            Self::Host => "host",
        }
    }
}

/// What kind of failure it is. The only place that maps failures to HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is not one that can be passed on.
    BadRequest,
    /// A credential was sent and is not valid.
    Unauthorized,
    /// The credential is valid, and not for this request.
    Forbidden,
    /// No module answers this path.
    NotFound,
    /// The path is served, by other methods.
    MethodNotAllowed,
    /// The client takes no answer of the kind that there is.
    NotAcceptable,
    /// The body is of another kind than is read here.
    UnsupportedMediaType,
    /// The body is well formed, and its values are not what is asked for.
    Unprocessable,
    /// The request cannot be completed as things are.
    Conflict,
    /// Hosts ask each other in a circle (RFC 5842 section 7.2).
    LoopDetected,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The request target is longer than the limit.
    TargetTooLong,
    /// The header fields are larger than the limit.
    FieldsTooLarge,
    /// The guest trapped, or ended without an answer.
    GuestFailed,
    /// The guest's answer is not one that can be passed on.
    GuestAnswer,
    /// The guest used up its time.
    GuestTimeout,
    /// More requests than the host or the module takes at once.
    Overloaded,
    /// Something that the host needs for an answer does not answer.
    Unavailable,
    /// Not serving: starting, or stopping.
    NotServing,
    /// A bug in the host.
    Internal,
}

impl Code {
    /// The word for spans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unprocessable => "unprocessable",
            Self::Conflict => "conflict",
            Self::LoopDetected => "loop_detected",
            Self::RequestTimeout => "request_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::TargetTooLong => "target_too_long",
            Self::FieldsTooLarge => "fields_too_large",
            Self::GuestFailed => "guest_failed",
            Self::GuestAnswer => "guest_answer",
            Self::GuestTimeout => "guest_timeout",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::NotServing => "not_serving",
            Self::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict => StatusCode::CONFLICT,
            Self::LoopDetected => StatusCode::LOOP_DETECTED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            // What an unhandled exception is in the backends that guests replace.
            Self::GuestFailed | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::GuestAnswer => StatusCode::BAD_GATEWAY,
            Self::GuestTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Overloaded | Self::Unavailable | Self::NotServing => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A request that was not served.
#[derive(Debug)]
pub struct Fault {
    /// Who has to act.
    pub blame: Blame,
    /// What kind of failure it is.
    pub code: Code,
    /// What the client reads, in `{"detail": …}`.
    pub public: Cow<'static, str>,
    /// What else it reads beside `detail`, for programs: a key and its value.
    pub beside: Option<Box<(&'static str, Value)>>,
    /// What the log reads.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
    /// How to get a credential that would do, as `WWW-Authenticate` says it.
    pub challenge: Option<Box<HeaderValue>>,
}

impl Fault {
    /// A failure without a cause beyond itself.
    pub fn new(blame: Blame, code: Code, public: impl Into<Cow<'static, str>>) -> Self {
        Self { blame, code, public: public.into(), beside: None, source: None, challenge: None }
    }

    /// The same with its cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with something for programs to read.
    #[must_use]
    pub fn beside(mut self, key: &'static str, value: Value) -> Self {
        self.beside = Some(Box::new((key, value)));
        self
    }

    /// The same with a word on how to get a credential that would do.
    #[must_use]
    pub fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.challenge = Some(Box::new(challenge));
        self
    }

    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// When the client may try again, for failures that pass by themselves.
    pub fn retry_after(&self) -> Option<Duration> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1))
    }

    /// The whole chain of causes in one line, for the log.
    pub fn chain(&self) -> String {
        match &self.source {
            Some(source) => chain(source.as_ref()),
            None => self.public.to_string(),
        }
    }
}

/// An error and its causes, joined by `: `.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Some libraries repeat their cause in their own message.
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
