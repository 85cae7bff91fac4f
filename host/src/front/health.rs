//! `/health`, `/health/live` and `/health/ready`: what load balancers and
//! orchestrators ask. They need no credential, and say nothing that a stranger
//! should not know.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;

use super::Front;
use crate::broker::sql::Readiness;
use crate::dispatch::Body;
use crate::registry::Generation;

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    modules: Vec<ModuleReport<'a>>,
}

#[derive(Serialize)]
struct ModuleReport<'a> {
    name: &'a str,
    database: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<&'static str>,
}

/// The answer when the request is for one of the three; none for all others.
pub(super) fn answer<B>(request: &Request<B>, front: &Front) -> Option<Response<Body>> {
    let path = request.uri().path();
    if !path.starts_with("/health") || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let generation = front.registry.current();
    let ready = !front.draining.load(Ordering::Relaxed) && generation.as_ref().is_some_and(|g| is_ready(g));
    match path {
        // The process answers: that is all that "live" means.
        "/health/live" => Some(json(StatusCode::OK, &report("alive", None))),
        "/health/ready" if ready => Some(json(StatusCode::OK, &report("ready", None))),
        "/health/ready" => Some(json(StatusCode::SERVICE_UNAVAILABLE, &report("not ready", generation.as_deref()))),
        "/health" if ready => Some(json(StatusCode::OK, &report("healthy", generation.as_deref()))),
        "/health" => Some(json(StatusCode::SERVICE_UNAVAILABLE, &report("unhealthy", generation.as_deref()))),
        _ => None,
    }
}

/// Whether every module of a generation can reach its database.
fn is_ready(generation: &Generation) -> bool {
    generation.guests().all(|guest| guest.profile.sql.as_ref().is_none_or(|sql| sql.readiness() == Readiness::Up))
}

fn report<'a>(status: &'static str, generation: Option<&'a Generation>) -> Report<'a> {
    let modules = generation.map(|generation| generation.guests().map(|guest| module(guest)).collect());
    Report { status, version: crate::VERSION, modules: modules.unwrap_or_default() }
}

fn module(guest: &crate::instance::Guest) -> ModuleReport<'_> {
    let sql = guest.profile.sql.as_ref();
    let database = match sql.map(|sql| sql.readiness()) {
        None => "none",
        Some(Readiness::Up) => "up",
        // Why it is down is for the log: it can name hosts.
        Some(Readiness::Down(_)) => "down",
    };
    ModuleReport { name: &guest.profile.name, database, isolation: sql.map(|sql| sql.isolation()) }
}

fn json(status: StatusCode, report: &Report<'_>) -> Response<Body> {
    // Plain strings in a plain struct always serialise.
    let body = serde_json::to_vec(report).unwrap_or_default();
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
