//! Why an attempt gave no answer: what a guest may know of it, whether another
//! attempt may help, and what the operator reads. Servers have at least six forms
//! of error bodies, none of which is relied on.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::hints::Hints;
use crate::broker::llm::{LimitInfo, LlmError, Scope, Unit, Wait};

/// What a guest is told to wait when the upstream does not say.
const WAIT_UNSAID: Duration = Duration::from_secs(5);

/// Codes that guests may see: words of the interface, without anything of the
/// request or the account in them.
const KNOWN: [&str; 13] = [
    "invalid_api_key",
    "model_not_found",
    "context_length_exceeded",
    "unsupported_parameter",
    "unsupported_value",
    "invalid_value",
    "missing_required_parameter",
    "string_above_max_length",
    "invalid_json_schema",
    "rate_limit_exceeded",
    "insufficient_quota",
    "content_filter",
    "server_error",
];
/// How servers without codes say that a conversation is too long.
const TOO_LONG: [&str; 8] = [
    "context length",
    "context window",
    "context size",
    "maximum context",
    "context_length",
    "prompt is too long",
    "input is too long",
    "too many tokens",
];
/// The other names of `content_filter`.
const FILTERED: [&str; 3] = ["content_filter", "content_policy_violation", "responsibleaipolicyviolation"];
/// The other names of `insufficient_quota`.
const NO_MONEY: [&str; 3] = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"];

/// Why an attempt gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Failure {
    /// For the guest.
    pub(super) error: LlmError,
    /// For the log: scrubbed, and without anything of the prompt if the upstream
    /// keeps it to itself.
    pub(super) said: String,
    pub(super) retry: Retry,
    /// The upstream was not there, or did not manage.
    pub(super) is_outage: bool,
}

/// Whether another attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    /// After the usual pause.
    Soon,
    /// After as long as the upstream wants.
    After(Duration),
}

/// What an error body says, whatever its form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) code: String,
    pub(super) kind: String,
    pub(super) message: String,
}

impl Envelope {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(value) => Self::read(&value),
            // A gateway's page. Its words say nothing that its status does not.
            Err(_) => Self::default(),
        }
    }

    /// Reads an error that is JSON: an object with `error`, `detail` or `message`,
    /// the inside of one, a list of one, or a text.
    pub(super) fn read(value: &Value) -> Self {
        let text = |name: &str| match value.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        match (value, value.get("error"), value.get("detail")) {
            (Value::String(text), ..) => Self { message: text.clone(), ..Self::default() },
            (Value::Array(list), ..) => list.first().map(Self::read).unwrap_or_default(),
            (_, Some(Value::String(message)), _) => {
                Self { code: text("code"), kind: text("type"), message: message.clone() }
            }
            (_, Some(inner @ Value::Object(_)), _) => Self::read(inner),
            (_, _, Some(Value::String(message))) => Self { message: message.clone(), ..Self::default() },
            _ => {
                // Azure's reason is one further in.
                let inner = value.pointer("/innererror/code").and_then(Value::as_str);
                let code = inner.map_or_else(|| text("code"), str::to_owned);
                Self { code, kind: text("type"), message: text("message") }
            }
        }
    }

    /// The status that an error in a stream stands for, when its code is one.
    fn status(&self) -> Option<StatusCode> {
        let status = self.code.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
        status.filter(|status| status.is_client_error() || status.is_server_error())
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.code.eq_ignore_ascii_case(name) || self.kind.eq_ignore_ascii_case(name))
    }

    fn is_too_long(&self, status: Option<StatusCode>) -> bool {
        if self.is_one_of(&["context_length_exceeded"]) {
            return true;
        }
        let may_be = status.is_none_or(|status| matches!(status.as_u16(), 400 | 413 | 422 | 500));
        let message = self.message.to_ascii_lowercase();
        may_be && TOO_LONG.iter().any(|words| message.contains(words))
    }

    /// A code that a guest may see.
    fn known(&self, status: Option<StatusCode>) -> Option<&'static str> {
        let named = KNOWN.iter().find(|known| self.is_one_of(&[**known])).copied();
        let is_poor = self.is_one_of(&NO_MONEY) || status == Some(StatusCode::PAYMENT_REQUIRED);
        named.or_else(|| is_poor.then_some("insufficient_quota")).or_else(|| {
            let message = self.message.to_ascii_lowercase();
            // A bad key is 400 at one provider, and without a code at others.
            let is_key = message.contains("api key") && ["incorrect", "invalid"].iter().any(|w| message.contains(w));
            (is_key || status == Some(StatusCode::UNAUTHORIZED)).then_some("invalid_api_key")
        })
    }
}

impl Failure {
    /// The upstream answered, and it is no answer.
    pub(super) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8], said: String) -> Self {
        let hints = Hints::read(headers);
        let envelope = Envelope::parse(body);
        Self::judge(Some(status), status.as_u16(), &envelope, hints, said)
    }

    /// An error came where an event should have been.
    pub(super) fn in_stream(envelope: &Envelope, request_id: Option<String>, said: String) -> Self {
        Self::judge(envelope.status(), 0, envelope, Hints { request_id, ..Hints::default() }, said)
    }

    /// `shown` is the status for the guest: 0 in a stream, whose own was 200.
    fn judge(status: Option<StatusCode>, shown: u16, envelope: &Envelope, hints: Hints, said: String) -> Self {
        let code = envelope.known(status);
        let is_limit = status == Some(StatusCode::TOO_MANY_REQUESTS) || code == Some("rate_limit_exceeded");
        let is_poor = code == Some("insufficient_quota");
        let is_broken = status.is_some_and(|status| status.is_server_error()) || code == Some("server_error");
        let may_pass = is_limit || is_broken || status.is_some_and(|status| matches!(status.as_u16(), 408 | 409));
        let retryable = hints.should_retry.unwrap_or(may_pass) && !is_poor;
        let error = if envelope.is_too_long(status) {
            LlmError::ContextTooLong
        } else if envelope.is_one_of(&FILTERED) {
            LlmError::ContentFiltered
        } else if is_limit && !is_poor {
            LlmError::RateLimited(limit(envelope.kind == "tokens", hints.retry_after.unwrap_or(WAIT_UNSAID)))
        } else {
            LlmError::Upstream { status: shown, code, retryable, request_id: hints.request_id }
        };
        let is_about_content = matches!(error, LlmError::ContextTooLong | LlmError::ContentFiltered);
        let retry = match hints.retry_after {
            _ if is_about_content || !retryable => Retry::Never,
            Some(after) => Retry::After(after),
            None => Retry::Soon,
        };
        // Some servers answer 500 to a request that is wrong, and one guest's wrong
        // requests are no reason to leave the others' model alone.
        let is_outage = is_broken && status != Some(StatusCode::INTERNAL_SERVER_ERROR) && !is_about_content;
        Self { error, said, retry, is_outage }
    }

    /// There is no answer: nobody is there, or the connection ended.
    pub(super) fn unreachable(error: &reqwest::Error) -> Self {
        let is_late = error.is_connect() && error.is_timeout();
        let none = LlmError::Upstream { status: 0, code: None, retryable: true, request_id: None };
        let error_for_guest = if is_late { LlmError::TimedOut(Wait::Connect) } else { none };
        Self { error: error_for_guest, said: causes(error), retry: Retry::Soon, is_outage: true }
    }

    /// A wait was too long.
    pub(super) fn late(wait: Wait) -> Self {
        Self { error: LlmError::TimedOut(wait), said: String::new(), retry: Retry::Never, is_outage: true }
    }

    /// The request cannot be made.
    pub(super) fn unsendable(error: LlmError) -> Self {
        Self { error, said: String::new(), retry: Retry::Never, is_outage: false }
    }

    /// The same failure as a limit of the upstream's, because it wants a longer
    /// wait than a caller can be held for.
    pub(super) fn put_off(self, after: Duration) -> Self {
        let error = match self.error {
            LlmError::RateLimited(info) => LlmError::RateLimited(LimitInfo { retry_after: Some(after), ..info }),
            _ => LlmError::RateLimited(limit(false, after)),
        };
        Self { error, ..self }
    }
}

fn limit(is_tokens: bool, after: Duration) -> LimitInfo {
    LimitInfo {
        scope: Scope::Upstream,
        unit: if is_tokens { Unit::InputTokens } else { Unit::Requests },
        retry_after: Some(after),
        detail: "the model's provider takes no more requests at the moment".to_owned(),
    }
}

/// An error with its causes, without the URL: a key may be in its query.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
#[path = "failure/tests.rs"]
mod tests;
