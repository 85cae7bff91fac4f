//! Browsers: the configured origins and no others, exactly as they are.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};

use crate::harness::{As, Setup, TestHost};

const ALLOWED: [&str; 2] = ["http://localhost:3000", "https://todo.example.com"];
const STRANGERS: [&str; 9] = [
    "https://evil.example",
    "null",
    "https://todo.example.com.evil.example",
    "https://eviltodo.example.com",
    "https://todo.example.com:8443",
    "http://todo.example.com",
    "http://localhost:3001",
    "https://todo.example.com/",
    "HTTPS://TODO.EXAMPLE.COM",
];

async fn headers(request: RequestBuilder) -> (u16, HeaderMap) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.headers().clone())
}

fn preflight(host: &TestHost, origin: &str) -> RequestBuilder {
    host.request(Method::OPTIONS, "/api/ada/tasks")
        .header("origin", origin)
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,content-type,x-custom")
}

fn cors(headers: &HeaderMap) -> Vec<&str> {
    headers.keys().map(reqwest::header::HeaderName::as_str).filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_origin_is_named_back_exactly_and_may_send_credentials() {
    let host = Setup::guest("todo").env("CORS_ORIGINS", &ALLOWED.join(", ")).start().await;
    for origin in ALLOWED {
        // Errors too: a browser that may not read a 401 cannot sign its user in.
        for (request, status) in [
            (host.get("/api/ada/tasks").by("ada"), 200),
            (host.get("/api/ada/tasks").bearer_auth("garbage"), 401),
            (host.get("/api/bob/tasks").by("ada"), 403),
            (host.request(Method::POST, "/api/ada/tasks").body(vec![b' '; 2 << 20]), 413),
            (host.get("/nowhere"), 404),
            (host.get("/health"), 200),
        ] {
            let (got, headers) = headers(request.header("origin", origin)).await;
            assert_eq!(got, status);
            assert_eq!(headers["access-control-allow-origin"], origin, "{status}");
            assert_eq!(headers["access-control-allow-credentials"], "true", "{status}");
            assert!(
                headers.get_all("vary").iter().any(|vary| vary.to_str().unwrap().to_lowercase().contains("origin")),
                "{status}"
            );
        }
        let (status, headers) = headers(preflight(&host, origin)).await;
        assert_eq!(status, 200);
        assert_eq!(headers["access-control-allow-origin"], origin);
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert_eq!(headers["access-control-allow-headers"], "authorization,content-type,x-custom");
        for method in ["DELETE", "GET", "PATCH", "POST", "PUT"] {
            assert!(headers["access-control-allow-methods"].to_str().unwrap().contains(method), "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_origin_is_allowed_anything() {
    let host = Setup::guest("todo").env("CORS_ORIGINS", &ALLOWED.join(",")).start().await;
    for origin in STRANGERS {
        for request in [host.get("/api/ada/tasks").by("ada").header("origin", origin), preflight(&host, origin)] {
            let (_, headers) = headers(request).await;
            assert!(!headers.contains_key("access-control-allow-origin"), "{origin}");
        }
    }
    let (status, headers) = headers(host.get("/api/ada/tasks").by("ada")).await;
    assert!(status == 200 && !headers.contains_key("access-control-allow-origin"), "no origin was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_configured_origins_there_is_no_cors_at_all() {
    let host = Setup::guest("todo").start().await;
    for request in [host.get("/api/ada/tasks").by("ada").header("origin", ALLOWED[0]), preflight(&host, ALLOWED[0])] {
        let (_, headers) = headers(request).await;
        assert!(cors(&headers).is_empty(), "{:?}", cors(&headers));
    }
}
