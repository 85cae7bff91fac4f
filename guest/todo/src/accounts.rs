//! Registering and signing in, in the forms that clients of the FastAPI backends
//! use. The host keeps the accounts; where it has none, there are no such routes.
//!
//! Tokens are handed out in bodies alone. No cookie is set, so nothing is sent
//! along by a browser that its page did not mean to send.

pub mod body;
pub mod openapi;

use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use innkeeper_guest::accounts::{self, Error, Session};
use innkeeper_guest::{Caller, Timestamp};
use serde::Serialize;

use crate::app::only;
use crate::check::datetime;
use crate::reply::{self, Answer, Failure};
use crate::settings;
use body::{Login, Registration};

/// Where the routes are.
const PREFIXES: [&str; 2] = ["/api/auth/", "/auth/"];

#[derive(Clone, Copy)]
enum Route {
    Register,
    Login,
    SignOut,
    Session,
    Me,
}

/// What clients call them.
const ROUTES: [(&str, Route); 9] = [
    ("register", Route::Register),
    ("signup", Route::Register),
    ("login", Route::Login),
    ("signin", Route::Login),
    ("logout", Route::SignOut),
    ("signout", Route::SignOut),
    ("sign-out", Route::SignOut),
    ("session", Route::Session),
    ("me", Route::Me),
];

/// Adds the route that the path names, if it is one of these.
pub fn mount(router: Router, path: &str) -> Router {
    let Some((prefix, name, route)) = find(path) else { return router };
    let methods = match route {
        Route::Register => only("POST", post(register)),
        Route::Login => only("POST", post(login)),
        Route::SignOut => only("POST", post(sign_out)),
        Route::Session => only("GET", get(session)),
        Route::Me => only("GET", get(me)),
    };
    router.route(&format!("{prefix}{name}"), methods)
}

/// Whether the path is one of these.
pub fn has(path: &str) -> bool {
    find(path).is_some()
}

fn find(path: &str) -> Option<(&'static str, &'static str, Route)> {
    let prefix = PREFIXES.into_iter().find(|prefix| path.starts_with(prefix))?;
    let (name, route) = ROUTES.into_iter().find(|(name, _)| *name == &path[prefix.len()..])?;
    Some((prefix, name, route))
}

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    email: Option<&'a str>,
    name: Option<&'a str>,
}

/// What every client reads of it under one name or another.
#[derive(Serialize)]
struct Token<'a> {
    access_token: &'a str,
    token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    user: User<'a>,
}

async fn register(headers: HeaderMap, body: Bytes) -> Answer {
    let (status, taken) = (settings::register_status()?, settings::duplicate_status()?);
    let Registration { email, password, name } = Registration::read(&headers, &body)?;
    match accounts::register(&email, &password, &name) {
        Ok(session) => token(status, &session),
        Err(Error::Taken) => Err(Failure::EmailTaken(taken)),
        Err(error) => Err(error.into()),
    }
}

async fn login(headers: HeaderMap, body: Bytes) -> Answer {
    let Login { email, password } = Login::read(&headers, &body)?;
    match accounts::login(&email, &password) {
        Ok(session) => token(StatusCode::OK, &session),
        // It cannot be anybody's.
        Err(Error::Invalid(_)) => Err(Failure::Account(Error::WrongCredentials)),
        Err(error) => Err(error.into()),
    }
}

/// Whoever has nothing to sign out of is signed out.
async fn sign_out() -> Answer {
    accounts::sign_out()?;
    Ok(reply::of(StatusCode::OK, r#"{"message":"Successfully logged out"}"#))
}

async fn me() -> Answer {
    let caller = Caller::current().ok_or(Failure::NotAuthenticated)?;
    reply::json(StatusCode::OK, &User::of(&caller))
}

#[derive(Serialize)]
struct Current<'a> {
    user: User<'a>,
    session: Ends<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ends<'a> {
    user_id: &'a str,
    #[serde(serialize_with = "datetime::write")]
    expires_at: Timestamp,
}

/// The shape that Better Auth's client knows; `null` for nobody.
async fn session() -> Answer {
    let Some(caller) = Caller::current() else { return Ok(reply::of(StatusCode::OK, "null")) };
    let micros = caller.expires_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
    let expires_at = Timestamp(i64::try_from(micros).map_err(Failure::broken)?);
    let session = Ends { user_id: &caller.subject, expires_at };
    Ok(unstored(reply::json(StatusCode::OK, &Current { user: User::of(&caller), session })?))
}

impl<'a> User<'a> {
    fn of(caller: &'a Caller) -> Self {
        Self { id: &caller.subject, email: caller.email.as_deref(), name: caller.name.as_deref() }
    }
}

fn token(status: StatusCode, session: &Session) -> Answer {
    let Session { token, expires_at, user } = session;
    let left = expires_at.duration_since(SystemTime::now()).unwrap_or_default();
    let user = User { id: &user.id, email: Some(&user.email), name: Some(&user.name) };
    let token = Token { access_token: token, token, token_type: "bearer", expires_in: left.as_secs(), user };
    Ok(unstored(reply::json(status, &token)?))
}

/// RFC 6749 section 5.1: no cache keeps a token.
fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
