//! Every answer: JSON, or a failure in FastAPI's shape.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use innkeeper_guest::{accounts, llm, sql};
use serde::Serialize;

use crate::chat::trouble::Trouble;
use crate::check::Issues;

/// What a handler gives.
pub type Answer = Result<Response, Failure>;

/// A JSON answer.
///
/// # Errors
/// When the value does not serialise, which is a mistake of ours.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    serde_json::to_vec(value).map(|body| of(status, body)).map_err(Failure::broken)
}

/// An answer with the content type JSON, which FastAPI sends even with a 204.
pub fn of(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.into()).into_response()
}

/// Why there is no good answer.
#[derive(Debug)]
pub enum Failure {
    /// The body cannot be read as JSON at all: not UTF-8, or nested too deeply.
    UnreadableBody,
    /// The body is larger than this module reads.
    BodyTooLarge,
    /// Nobody is signed in.
    NotAuthenticated,
    /// The request breaks rules; all of them.
    Invalid(Issues),
    /// The path names another user.
    WrongUser,
    /// There is no such task, or it is somebody else's.
    NoTask,
    /// There is no such conversation, or it is somebody else's.
    NoConversation,
    /// The conversation has no such call.
    NoCall,
    /// The call was decided before.
    Decided,
    /// Another request went on with the same turn.
    Overtaken,
    /// The model did not answer.
    Model(llm::Error),
    /// The same, in a conversation that has the message by now.
    Unanswered(Box<Self>, i64),
    /// What is asked for is not to be had; a sentence.
    Unsupported(&'static str),
    /// There is no such path.
    NoRoute,
    /// The path has other methods; these.
    MethodNotAllowed(&'static str),
    /// The address has an account; the status that says so.
    EmailTaken(StatusCode),
    /// Nobody was signed in.
    Account(accounts::Error),
    /// The database did not do it.
    Database(sql::Error),
    /// A mistake of the operator or of ours; a sentence for the log.
    Broken(String),
}

impl Failure {
    /// A mistake that no client can do anything about.
    pub fn broken(why: impl ToString) -> Self {
        Self::Broken(why.to_string())
    }

    /// Tells the log what the client must not see. Once: an answer is made once.
    pub(crate) fn log(&self) {
        match self {
            Self::Unanswered(failure, _) => failure.log(),
            Self::Model(error) => Trouble::log(error),
            Self::Database(error) => eprintln!("the database did not answer: {error}"),
            Self::Broken(why) => eprintln!("{why}"),
            _ => {}
        }
    }
}

impl From<Issues> for Failure {
    fn from(issues: Issues) -> Self {
        Self::Invalid(issues)
    }
}

impl From<accounts::Error> for Failure {
    fn from(error: accounts::Error) -> Self {
        Self::Account(error)
    }
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Self {
        Self::Database(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        use StatusCode as S;
        self.log();
        match self {
            Self::UnreadableBody => detail(S::BAD_REQUEST, "There was an error parsing the body"),
            Self::BodyTooLarge => detail(S::PAYLOAD_TOO_LARGE, "Request body too large"),
            Self::NotAuthenticated => innkeeper_guest::NotAuthenticated.into_response(),
            Self::Invalid(issues) => detail(S::UNPROCESSABLE_ENTITY, issues),
            Self::WrongUser => detail(S::FORBIDDEN, "Access denied: user ID mismatch"),
            Self::NoTask => detail(S::NOT_FOUND, "Task not found"),
            Self::NoConversation => detail(S::NOT_FOUND, "Conversation not found"),
            Self::NoCall => detail(S::NOT_FOUND, "Tool call not found"),
            Self::Decided => detail(S::CONFLICT, "This tool call was decided before"),
            Self::Overtaken => detail(S::CONFLICT, "Another request went on with this conversation"),
            Self::Model(error) => Trouble::of_model(&error).into_response(),
            Self::Unanswered(failure, conversation) => {
                Trouble::of(&failure).in_conversation(conversation).into_response()
            }
            Self::Unsupported(why) => detail(S::BAD_REQUEST, why),
            Self::NoRoute => detail(S::NOT_FOUND, "Not Found"),
            Self::MethodNotAllowed(allow) => {
                with(detail(S::METHOD_NOT_ALLOWED, "Method Not Allowed"), header::ALLOW, allow)
            }
            Self::EmailTaken(status) => detail(status, "Email already registered"),
            Self::Account(error) => account(error),
            Self::Database(error) if error.is_transient() => busy(),
            Self::Database(_) | Self::Broken(_) => detail(S::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
    }
}

/// Why nobody was signed in.
fn account(error: accounts::Error) -> Response {
    use accounts::Error as E;
    match error {
        E::WrongCredentials => {
            with(detail(StatusCode::UNAUTHORIZED, "Incorrect email or password"), header::WWW_AUTHENTICATE, "Bearer")
        }
        E::TooMany(seconds) => {
            let mut response = detail(StatusCode::TOO_MANY_REQUESTS, "Too many attempts, try again later");
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
        E::Invalid(why) => detail(StatusCode::BAD_REQUEST, why),
        E::Taken => detail(StatusCode::BAD_REQUEST, "Email already registered"),
        E::Disabled => detail(StatusCode::NOT_FOUND, "Not Found"),
        E::Unavailable => busy(),
    }
}

fn busy() -> Response {
    with(detail(StatusCode::SERVICE_UNAVAILABLE, "Service temporarily unavailable"), header::RETRY_AFTER, "1")
}

/// `{"detail": …}`.
fn detail(status: StatusCode, detail: impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Body<T> {
        detail: T,
    }
    // Only a map with keys that are not strings fails, and there is none here.
    of(status, serde_json::to_vec(&Body { detail }).unwrap_or_default())
}

fn with(mut response: Response, name: header::HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
