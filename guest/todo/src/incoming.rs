//! A request in its parts, taken apart in FastAPI's order: the body is parsed
//! first, then the caller is known, and only then anything is validated.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::{HeaderMap, header, request::Parts};
use innkeeper_guest::Caller;

use crate::check::{Checked, Issues, Rule, Step, scalar};
use crate::json::{self, Value};
use crate::reply::Failure;

/// Who asks for what.
#[derive(Debug)]
pub struct Incoming {
    caller: Caller,
    user_id: Option<String>,
    /// What the path names of the caller's own: `task_id`, `conversation_id`.
    id: Option<(&'static str, String)>,
    /// The parameters after the `?`, in order; never invalid by themselves.
    pub query: Vec<(String, Value)>,
    /// Whether the client asks for server-sent events.
    pub wants_events: bool,
}

/// What a path may name beside a user.
const IDS: [&str; 2] = ["task_id", "conversation_id"];

impl Incoming {
    /// Whose tasks these are: the caller's, always.
    ///
    /// # Errors
    /// When the path names somebody else.
    pub fn owner(&self) -> Result<&str, Failure> {
        match &self.user_id {
            Some(user) if *user != self.caller.subject => Err(Failure::WrongUser),
            _ => Ok(&self.caller.subject),
        }
    }

    /// The task, or whatever else, that the path names.
    ///
    /// # Errors
    /// When it is not an integer.
    pub fn id(&self) -> Checked<i64> {
        let (name, text) = self.id.clone().unwrap_or((IDS[0], String::new()));
        scalar::integer(&Value::Str(text)).map_err(|issues| issues.at(Step::Name(name)).at(Step::Name("path")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Incoming {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Failure::NoRoute)?;
        let find = |name| params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
        let user_id = find("user_id");
        let id = IDS.into_iter().find_map(|name| find(name).map(|value| (name, value)));
        // Starlette decodes the path before it looks for a route, so that `%2F`
        // separates segments and no route has that many. An empty segment is none.
        let is_none = |segment: &String| segment.is_empty() || segment.contains('/');
        if user_id.iter().chain(id.as_ref().map(|(_, id)| id)).any(is_none) {
            return Err(Failure::NoRoute);
        }
        let caller = Caller::current().ok_or(Failure::NotAuthenticated)?;
        let query = pairs(parts.uri.query().unwrap_or_default());
        Ok(Self { caller, user_id, id, query, wants_events: wants_events(&parts.headers) })
    }
}

/// A request of a method that has a body.
#[derive(Debug)]
pub struct Posted {
    /// Everything but the body.
    pub request: Incoming,
    /// The body, if there is one.
    pub body: Option<Value>,
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let body = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(body, state).await.map_err(|_| Failure::BodyTooLarge)?;
        let body = parse(&parts.headers, &bytes)?;
        let request = Incoming::from_request_parts(&mut parts, state).await?;
        Ok(Self { request, body })
    }
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(',')).filter_map(|range| range.split(';').next());
    types.any(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The parameters of a query; no text is an invalid one.
pub(crate) fn pairs(query: &str) -> Vec<(String, Value)> {
    form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), Value::Str(value.into_owned())))
        .collect()
}

/// What FastAPI makes of a body: nothing, JSON, or a plain text, which no model
/// accepts.
pub(crate) fn parse(headers: &HeaderMap, bytes: &[u8]) -> Result<Option<Value>, Failure> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if !is_json(headers) {
        return Ok(Some(Value::Str(String::from_utf8_lossy(bytes).into_owned())));
    }
    let text = str::from_utf8(bytes).map_err(|_| Failure::UnreadableBody)?;
    match json::decode(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        Ok(value) => Ok(Some(value)),
        Err(json::Error::TooDeep) => Err(Failure::UnreadableBody),
        Err(json::Error::Syntax { message, position }) => {
            let issue = Issues::one(Rule::Json(message), &Value::Map(Vec::new()));
            Err(issue.at(Step::Index(position)).at(Step::Name("body")).into())
        }
    }
}

/// `application/json` and `application/*+json`; and no type at all, as the
/// clients of older FastAPI versions may send none.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}
