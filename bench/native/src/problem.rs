//! What can go wrong, and the FastAPI-like body that says so.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::WWW_AUTHENTICATE};
use serde_json::json;

/// A refused or failed request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("Could not validate credentials")]
    Unauthorized,
    #[error("Access denied: user ID mismatch")]
    Forbidden,
    #[error("Not Found")]
    NotFound,
    #[error("{0}")]
    Invalid(&'static str),
    #[error("Internal Server Error")]
    Database(#[from] sqlx::Error),
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Database(cause) => {
                eprintln!("database: {cause}");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let body = Json(json!({ "detail": self.to_string() }));
        match status {
            StatusCode::UNAUTHORIZED => (status, [(WWW_AUTHENTICATE, "Bearer")], body).into_response(),
            _ => (status, body).into_response(),
        }
    }
}
