//! Who is calling: `Authorization: Bearer` with an HS256 token whose subject
//! is the user in the path.

use crate::{App, problem::Problem};
use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
};
use http::{header::AUTHORIZATION, request::Parts};
use jsonwebtoken::{Algorithm, Validation, decode};
use serde::Deserialize;
use std::sync::LazyLock;

static RULES: LazyLock<Validation> = LazyLock::new(|| Validation::new(Algorithm::HS256));

/// The user whose todos the path names, and who has proved to be that user.
pub(crate) struct Owner(pub(crate) String);

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl FromRequestParts<App> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = verify(parts, app).ok_or(Problem::Unauthorized)?;
        let Path(user) = parts.extract::<Path<String>>().await.map_err(|_| Problem::NotFound)?;
        if user == caller { Ok(Self(caller)) } else { Err(Problem::Forbidden) }
    }
}

fn verify(parts: &Parts, app: &App) -> Option<String> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let token = header.strip_prefix("Bearer ")?;
    let verified = decode::<Claims>(token, &app.key, &RULES).ok()?;
    Some(verified.claims.sub)
}
