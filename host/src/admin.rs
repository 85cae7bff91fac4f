//! The operator's port: `/metrics` and `/modules`. On the loopback interface
//! unless configured otherwise, because it answers whoever can reach it.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tower::{Service, service_fn};

use crate::broker::sql::Readiness;
use crate::front::Front;
use crate::instance::Guest;

type Answer = Response<Full<Bytes>>;

/// The admin port as a service.
pub fn service<B: Send + 'static>(
    front: Arc<Front>,
    metrics: Option<PrometheusHandle>,
) -> impl Service<Request<B>, Response = Answer, Error = Infallible, Future: Send> + Clone + Send + 'static {
    service_fn(move |request: Request<B>| {
        let answer = answer(&request, &front, metrics.as_ref());
        async move { Ok(answer) }
    })
}

fn answer<B>(request: &Request<B>, front: &Front, metrics: Option<&PrometheusHandle>) -> Answer {
    match (request.method(), request.uri().path(), metrics) {
        (&Method::GET, "/metrics", Some(metrics)) => {
            #[expect(clippy::cast_precision_loss, reason = "at most a few thousand")]
            metrics::gauge!(crate::telemetry::IN_FLIGHT).set(front.admission.in_flight() as f64);
            text(StatusCode::OK, "text/plain; version=0.0.4", metrics.render())
        }
        (&Method::GET, "/modules", _) => text(StatusCode::OK, "application/json", modules(front)),
        _ => text(StatusCode::NOT_FOUND, "application/json", json!({ "detail": "Not Found" }).to_string()),
    }
}

fn modules(front: &Front) -> String {
    let Some(generation) = front.registry.current() else {
        return json!({ "generation": null, "modules": [] }).to_string();
    };
    let modules: Vec<_> = generation.guests().map(|guest| module(generation.route(guest), guest)).collect();
    json!({ "generation": generation.id, "modules": modules }).to_string()
}

fn module(route: Option<&str>, guest: &Guest) -> serde_json::Value {
    let profile = &guest.profile;
    let database = profile.sql.as_ref().map(|sql| match sql.readiness() {
        Readiness::Up => json!({ "state": "up", "isolation": sql.isolation() }),
        Readiness::Down(why) => json!({ "state": "down", "isolation": sql.isolation(), "why": *why }),
    });
    json!({
        "name": *profile.name,
        "route": route,
        "sha256": guest.digest,
        "database": database,
        "running": profile.limits.concurrency as usize - guest.permits.available_permits(),
        "concurrency": profile.limits.concurrency,
    })
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
