//! Why the chat has no answer, in words for whoever asked.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use innkeeper_guest::llm::{Error, LimitInfo, Scope};
use serde::Serialize;

use crate::reply::{self, Failure};

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// A sentence.
    detail: String,
    /// Of the answer; in the middle of a stream, what it would have been.
    #[serde(serialize_with = "number")]
    status: StatusCode,
    /// Seconds after which it may work.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// Where the message is kept that has no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<i64>,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Trouble {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), status, retry_after: None, conversation_id: None }
    }

    fn after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Says where the message is kept.
    #[must_use]
    pub fn in_conversation(self, id: i64) -> Self {
        Self { conversation_id: Some(id), ..self }
    }

    /// The sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the same may work later.
    pub fn is_passing(&self) -> bool {
        self.status != StatusCode::INTERNAL_SERVER_ERROR && self.status != StatusCode::BAD_REQUEST
    }

    /// What ended a run.
    pub fn of(failure: &Failure) -> Self {
        use StatusCode as S;
        match failure {
            Failure::Model(error) => Self::of_model(error),
            Failure::Unanswered(failure, conversation) => Self::of(failure).in_conversation(*conversation),
            Failure::NoConversation => Self::new(S::NOT_FOUND, "Conversation not found"),
            Failure::Overtaken => Self::new(S::CONFLICT, "Another request went on with this conversation"),
            Failure::Database(error) if error.is_transient() => {
                Self::new(S::SERVICE_UNAVAILABLE, "Service temporarily unavailable").after(1)
            }
            _ => Self::new(S::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
    }

    /// Why the model has no answer.
    pub fn of_model(error: &Error) -> Self {
        use StatusCode as S;
        match error {
            Error::NotConfigured(why) => Self::new(S::SERVICE_UNAVAILABLE, why.clone()),
            Error::BudgetExceeded(limit) => limited(S::TOO_MANY_REQUESTS, limit.detail.clone(), limit),
            Error::RateLimited(limit) => {
                limited(S::SERVICE_UNAVAILABLE, "The language model is busy. Please try again in a moment.", limit)
            }
            Error::ContextTooLong => Self::new(
                S::BAD_REQUEST,
                "This conversation is too long for the language model. Please start a new one.",
            ),
            Error::ContentFiltered => Self::new(S::BAD_REQUEST, "The language model may not answer that."),
            Error::TimedOut(_) => Self::new(S::GATEWAY_TIMEOUT, "The language model took too long. Please try again."),
            Error::Interrupted(_) => Self::new(S::BAD_GATEWAY, "The answer broke off. Please try again."),
            Error::Upstream(upstream) if upstream.retryable => {
                let detail = "The language model is not available at the moment. Please try again.";
                Self::new(S::SERVICE_UNAVAILABLE, detail).after(1)
            }
            Error::Upstream(_) => Self::new(S::BAD_GATEWAY, "The language model cannot be used at the moment."),
            Error::Unavailable => Self::new(S::SERVICE_UNAVAILABLE, "Service temporarily unavailable").after(1),
            Error::ModelNotAllowed(_) | Error::FeatureNotAllowed(_) | Error::InvalidRequest(_) => {
                Self::new(S::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        }
    }

    /// Tells the log what only the operator can mend.
    pub fn log(error: &Error) {
        match error {
            Error::ModelNotAllowed(alias) => eprintln!("the module was not granted the model {alias:?}"),
            Error::FeatureNotAllowed(why) => eprintln!("the model cannot do what the chat needs: {why}"),
            Error::InvalidRequest(why) => eprintln!("the chat's request was refused: {why}"),
            _ => {}
        }
    }
}

fn limited(status: StatusCode, detail: impl Into<String>, limit: &LimitInfo) -> Trouble {
    let trouble = Trouble::new(status, detail);
    match limit.retry_after_ms {
        Some(wait) => trouble.after(wait.div_ceil(1000).max(1)),
        // A limit of this run is none for the next one.
        None if limit.scope == Scope::Run => trouble.after(1),
        None => trouble,
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            detail: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            conversation_id: Option<i64>,
        }
        let Self { detail, status, retry_after, conversation_id } = self;
        // Only a map with keys that are not strings fails, and there is none here.
        let body = serde_json::to_vec(&Body { detail, conversation_id }).unwrap_or_default();
        let mut response = reply::of(status, body);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
