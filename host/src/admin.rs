//! The operator's port: `/metrics`, `/modules`, and changes of modules. On the loopback interface
//! unless configured otherwise, because it answers whoever can reach it.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tower::{Service, service_fn};

use crate::broker::sql::Readiness;
use crate::front::Front;
use crate::instance::Guest;
use crate::swap::{Cause, NotPublished, Swapper};

type Answer = Response<Full<Bytes>>;

/// The admin port as a service.
pub fn service<B: Send + 'static>(
    front: Arc<Front>,
    swapper: Arc<Swapper>,
    metrics: Option<PrometheusHandle>,
) -> impl Service<Request<B>, Response = Answer, Error = Infallible, Future: Send> + Clone + Send + 'static {
    service_fn(move |request: Request<B>| {
        let (front, swapper, metrics) = (Arc::clone(&front), Arc::clone(&swapper), metrics.clone());
        async move {
            Ok(match *request.method() {
                Method::POST => change(request.headers(), request.uri().path(), &swapper).await,
                _ => answer(&request, &front, &swapper, metrics.as_ref()),
            })
        }
    })
}

fn answer<B>(request: &Request<B>, front: &Front, swapper: &Swapper, metrics: Option<&PrometheusHandle>) -> Answer {
    match (request.method(), request.uri().path(), metrics) {
        (&Method::GET, "/metrics", Some(metrics)) => {
            #[expect(clippy::cast_precision_loss, reason = "at most a few thousand")]
            metrics::gauge!(crate::telemetry::IN_FLIGHT).set(front.admission.in_flight() as f64);
            text(StatusCode::OK, "text/plain; version=0.0.4", metrics.render())
        }
        (&Method::GET, "/modules", _) => text(StatusCode::OK, "application/json", modules(front, swapper)),
        _ => not_found(),
    }
}

/// `POST /modules`, `/modules/{name}` and `/modules/{name}/rollback`.
async fn change(headers: &HeaderMap, path: &str, swapper: &Arc<Swapper>) -> Answer {
    // Browsers say where a page is from, and pages have no business here: this port
    // asks for no credential, and a page of anywhere can have a browser post to it.
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return json(StatusCode::FORBIDDEN, &json!({ "detail": "Not for browsers" }));
    }
    let named = path.strip_prefix("/modules").map(|rest| rest.trim_start_matches('/').to_owned());
    let Some(named) = named.filter(|_| path == "/modules" || path.starts_with("/modules/")) else {
        return not_found();
    };
    let own = Arc::clone(swapper);
    // A task of its own: an operator who does not wait for the answer has not changed
    // her mind.
    let changed = swapper.apart(async move {
        match named.strip_suffix("/rollback") {
            Some(module) => own.roll_back(module).await,
            None if named.is_empty() => own.reload(Cause::Operator).await,
            None => own.renew(&named).await,
        }
    });
    match changed.await {
        Ok(Some(Ok(done))) => json(StatusCode::OK, &json!({ "generation": done.generation, "changed": done.changed })),
        Ok(Some(Err(refused))) => {
            let why = crate::fault::chain(&refused);
            json(status(&refused), &json!({ "detail": why.trim_end() }))
        }
        Ok(None) => json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "detail": "The host is stopping" })),
        Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "detail": "The host panicked; see its log" })),
    }
}

/// Nobody but operators reads it: clients of modules never see such a failure.
fn status(refused: &NotPublished) -> StatusCode {
    match refused {
        NotPublished::Unknown(_) => StatusCode::NOT_FOUND,
        NotPublished::NothingBefore(_) => StatusCode::CONFLICT,
        _ if refused.may_pass() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn modules(front: &Front, swapper: &Swapper) -> String {
    let Some(generation) = front.registry.current() else {
        return json!({ "generation": null, "modules": [] }).to_string();
    };
    let modules: Vec<_> = generation.guests().map(|guest| module(generation.route(guest), guest, swapper)).collect();
    let (refused, retired) = (swapper.refused(), swapper.retired());
    json!({ "generation": generation.id, "modules": modules, "refused": refused, "retired": retired }).to_string()
}

fn module(route: Option<&str>, guest: &Guest, swapper: &Swapper) -> Value {
    let profile = &guest.profile;
    let told = swapper.told(&profile.name);
    let database = profile.sql.as_ref().map(|sql| match sql.readiness() {
        Readiness::Up => json!({ "state": "up", "isolation": sql.isolation() }),
        Readiness::Down(why) => json!({ "state": "down", "isolation": sql.isolation(), "why": *why }),
    });
    json!({
        "name": *profile.name,
        "route": route,
        "source": told.source,
        "manifest": told.manifest,
        "sha256": guest.digest,
        "since": told.since,
        "database": database,
        "running": guest.running(),
        "concurrency": profile.limits.concurrency,
        "previous": told.previous,
        "refused": told.refused,
        "rolled_back": told.rolled_back,
    })
}

fn not_found() -> Answer {
    json(StatusCode::NOT_FOUND, &json!({ "detail": "Not Found" }))
}

fn json(status: StatusCode, body: &Value) -> Answer {
    text(status, "application/json", body.to_string())
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
