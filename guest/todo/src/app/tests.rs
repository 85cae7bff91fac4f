use std::task::{Context, Poll, Waker};

use axum::body::Body;

use super::*;

/// Runs what never waits: no route that needs the host is asked here.
fn ask(method: &str, uri: &str) -> Response {
    let path = uri.split('?').next().unwrap_or(uri);
    let request = Request::builder().method(method).uri(uri).header("host", "todo.test:8000");
    let request = request.body(Body::empty()).expect("it is a request");
    let answer = std::pin::pin!(async { router(path, || true).call(request).await });
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("{method} {uri} waits"),
    }
}

/// The methods of a path, as its 405 lists them.
pub(crate) fn allowed(path: &str) -> String {
    let response = ask("OPTIONS", path);
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    response.headers()[header::ALLOW].to_str().expect("text").to_owned()
}

#[track_caller]
fn check(method: &str, uri: &str, status: u16, header: Option<(&str, &str)>) {
    let response = ask(method, uri);
    assert_eq!(response.status().as_u16(), status, "{method} {uri}");
    if let Some((name, value)) = header {
        assert_eq!(response.headers().get(name).and_then(|value| value.to_str().ok()), Some(value), "{method} {uri}");
    }
}

#[test]
fn unknown_paths_are_404() {
    for uri in [
        "/nope",
        "/nope/",
        "/api",
        "/api//tasks",
        "/api//tasks/",
        "/api/a%2Fb/tasks",
        "/api/tasks/1%2F2",
        "/api/ada/tasks/1/x",
        "/api/ada/chat/5",
        "/api/conversations/5/x",
        "/chat",
    ] {
        check("GET", uri, 404, Some(("content-type", "application/json")));
    }
}

#[test]
fn other_methods_are_405_and_told_which_there_are() {
    check("DELETE", "/api/ada/tasks", 405, Some(("allow", "GET, POST")));
    check("HEAD", "/api/ada/tasks", 405, Some(("allow", "GET, POST")));
    check("OPTIONS", "/api/tasks", 405, Some(("allow", "GET, POST")));
    check("POST", "/api/tasks/1", 405, Some(("allow", "GET, PUT, PATCH, DELETE")));
    check("PUT", "/api/tasks/1/complete", 405, Some(("allow", "POST, PATCH")));
    check("GET", "/api/chat", 405, Some(("allow", "POST")));
    check("GET", "/api/ada/chat", 405, Some(("allow", "POST")));
    check("POST", "/api/chat/conversations", 405, Some(("allow", "GET")));
    check("POST", "/api/ada/conversations/5", 405, Some(("allow", "GET, PUT, PATCH, DELETE")));
    check("GET", "/api/conversations/5/approvals", 405, Some(("allow", "POST")));
    check("GET", "/chatkit", 405, Some(("allow", "POST")));
    check("NONSENSE", "/api/tasks", 405, None);
    check("HEAD", "/", 405, Some(("allow", "GET")));
    check("HEAD", "/docs", 200, None);
    check("POST", "/openapi.json", 405, Some(("allow", "GET, HEAD")));
}

#[test]
fn a_slash_too_many_is_redirected_whatever_the_method() {
    let to = |location| Some(("location", location));
    check("GET", "/api/tasks/", 307, to("http://todo.test:8000/api/tasks"));
    check("POST", "/api/ada/tasks/?a=b%20c", 307, to("http://todo.test:8000/api/ada/tasks?a=b%20c"));
    check("POST", "/api/ada/chat/", 307, to("http://todo.test:8000/api/ada/chat"));
    check("GET", "/api/conversations/5/messages/", 307, to("http://todo.test:8000/api/conversations/5/messages"));
    check("POST", "/api/chatkit/", 307, to("http://todo.test:8000/api/chatkit"));
    check("NONSENSE", "/docs///", 307, to("http://todo.test:8000/docs"));
    check("GET", "https://todo.test:8000/docs/", 307, to("https://todo.test:8000/docs"));
    check("GET", "/api/tasks/5/", 307, to("http://todo.test:8000/api/tasks/5"));
}

#[test]
fn the_pages_need_nobody_to_be_signed_in() {
    check("GET", "/", 200, Some(("content-type", "application/json")));
    check("GET", "/docs", 200, Some(("content-type", "text/html; charset=utf-8")));
}
