//! Who is calling.

use std::time::{Duration, SystemTime};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::{StatusCode, header, request::Parts};

use crate::bindings::innkeeper::backend::identity;

/// A caller that the host has verified. As an axum extractor it answers 401
/// when there is none; `Option<Caller>` lets anonymous requests through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The stable id of the user; never empty.
    pub subject: String,
    /// The display name, when known.
    pub name: Option<String>,
    /// The e-mail address, when known; as the issuer states it.
    pub email: Option<String>,
    /// OAuth scopes; empty when the credential carries none.
    pub scopes: Vec<String>,
    /// Who vouches for the caller, when stated.
    pub issuer: Option<String>,
    /// When the credential ends.
    pub expires_at: SystemTime,
}

impl Caller {
    /// The caller of this call, or none when it is anonymous.
    pub fn current() -> Option<Self> {
        identity::current().map(|caller| Self {
            subject: caller.subject,
            name: caller.name,
            email: caller.email,
            scopes: caller.scopes,
            issuer: caller.issuer,
            expires_at: SystemTime::UNIX_EPOCH + Duration::from_secs(caller.expires_at),
        })
    }
}

/// The request carried no credential. Answers as FastAPI's `HTTPBearer` does:
/// 401, `{"detail":"Not authenticated"}` and `WWW-Authenticate: Bearer`.
#[derive(Clone, Copy, Debug)]
pub struct NotAuthenticated;

impl IntoResponse for NotAuthenticated {
    fn into_response(self) -> Response {
        (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, "Bearer"), (header::CONTENT_TYPE, "application/json")],
            r#"{"detail":"Not authenticated"}"#,
        )
            .into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = NotAuthenticated;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Self::current().ok_or(NotAuthenticated)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(Self::current())
    }
}
