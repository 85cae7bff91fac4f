//! The routes, and what FastAPI answers when none fits.

#[cfg(test)]
pub(crate) mod tests;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header, uri::Scheme};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use tower_service::Service;

use crate::reply::Failure;
use crate::{accounts, chat, chatkit, openapi, pages, tasks};

/// The app, as far as it can answer this path. It is made anew for every
/// request, as each runs in an instance of its own, and a route costs more to
/// make than to match. `has_accounts` is asked only for paths that depend on it.
pub fn router(path: &str, has_accounts: fn() -> bool) -> Router {
    let routes = match path {
        "/" | "/docs" | "/openapi.json" => pages(Router::new()),
        _ if accounts::has(path) && has_accounts() => accounts::mount(Router::new(), path),
        _ if chatkit::has(path) => chatkit::mount(Router::new(), path),
        _ if chat::has(path) => chat::mount(Router::new(), path),
        _ => tasks::mount(Router::new(), path),
    };
    routes.fallback(move |request| no_route(request, has_accounts))
}

fn pages(router: Router) -> Router {
    router
        .route("/", only("GET", get(pages::info)))
        .route("/docs", page(get(pages::docs)))
        .route("/openapi.json", page(get(openapi::document)))
}

/// What follows a family's own path, and the methods there.
pub type Below = (&'static str, fn() -> MethodRouter);

/// Adds those routes of a family that are as deep as the path; no other can fit it.
pub fn family<const N: usize>(router: Router, path: &str, own: &str, routes: [Below; N]) -> Router {
    let depth = |path: &str| path.matches('/').count();
    let below = depth(path).checked_sub(depth(own));
    let fitting = routes.into_iter().filter(|(rest, _)| below == Some(depth(rest)));
    fitting.fold(router, |router, (rest, methods)| router.route(&format!("{own}{rest}"), methods()))
}

/// A path that answers these methods. axum answers HEAD wherever it answers
/// GET; FastAPI does not.
pub fn only(allow: &'static str, methods: MethodRouter) -> MethodRouter {
    let refuse = move || async move { Failure::MethodNotAllowed(allow) };
    methods.head(refuse).fallback(refuse)
}

/// A page for browsers: here FastAPI answers HEAD as well.
fn page(methods: MethodRouter) -> MethodRouter {
    methods.fallback(|| async { Failure::MethodNotAllowed("GET, HEAD") })
}

/// 307 to the path with the trailing slash added or removed, if that is one of
/// ours; else 404.
async fn no_route(request: Request, has_accounts: fn() -> bool) -> Response {
    match other_form(request.uri().path()) {
        Some(path) if is_route(&path, has_accounts).await => redirect(&request, &path).into_response(),
        _ => Failure::NoRoute.into_response(),
    }
}

/// Starlette removes all slashes at the end, but adds one.
fn other_form(path: &str) -> Option<String> {
    match path.trim_end_matches('/') {
        "" => None,
        trimmed if trimmed.len() < path.len() => Some(trimmed.to_owned()),
        _ => Some(format!("{path}/")),
    }
}

/// Asks the routes themselves: no route takes OPTIONS, so a known path says 405.
async fn is_route(path: &str, has_accounts: fn() -> bool) -> bool {
    if path.contains("//") {
        return false; // axum lets a parameter be empty, Starlette does not.
    }
    let mut probe = Request::new(axum::body::Body::empty());
    *probe.method_mut() = Method::OPTIONS;
    match path.parse() {
        Ok(uri) => *probe.uri_mut() = uri,
        Err(_) => return false,
    }
    let mut routes = pages(match () {
        () if chatkit::has(path) => chatkit::mount(Router::new(), path),
        () if chat::has(path) => chat::mount(Router::new(), path),
        () => tasks::mount(Router::new(), path),
    });
    if accounts::has(path) && has_accounts() {
        routes = accounts::mount(routes, path);
    }
    let answer = routes.call(probe).await.unwrap_or_else(|never| match never {});
    answer.status() == StatusCode::METHOD_NOT_ALLOWED
}

fn redirect(request: &Request, path: &str) -> Result<Response, Failure> {
    let uri = request.uri();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
    let origin = host.map(|host| format!("{}://{host}", scheme(uri))).unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::from_str(&format!("{origin}{path}{query}")).map_err(|_| Failure::NoRoute)?;
    Ok((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response())
}

/// A proxy's `x-forwarded-proto` is the host's business, who knows whether to
/// trust the proxy.
fn scheme(uri: &Uri) -> &str {
    uri.scheme().map_or("http", Scheme::as_str)
}
