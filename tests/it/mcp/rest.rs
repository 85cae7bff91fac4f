//! Tools by plain HTTP: the same tools, callers and limits, in the words of HTTP.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::client::{call, tool};
use super::{conformance, probe};
use crate::harness::{As, Setup, TestHost, module, scoped};

/// Status and body of an answer.
async fn told(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/json");
    (status, answer.json().await.expect("JSON"))
}

async fn rest(host: &TestHost, name: &str, arguments: Value) -> (u16, Value) {
    told(host.post(&format!("/api/tools/{name}"), &arguments)).await
}

fn detail(text: &str) -> Value {
    json!({ "detail": text })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_what_a_client_of_the_protocol_gets() {
    let host = conformance().await;
    for name in ["test_simple_text", "test_multiple_content_types", "test_error_handling"] {
        let (status, answer) = rest(&host, name, json!({})).await;
        let expected = tool(&host, name, json!({})).await.1["result"].clone();
        assert_eq!((status, answer), (200, expected), "{name}");
    }
    let host = probe().await;
    assert_eq!(rest(&host, "structured", json!({})).await.1["structuredContent"], json!({"n": 7}));
    let bob = told(host.post("/api/tools/whoami", &json!({})).by("bob")).await.1;
    assert_eq!(bob["content"][0]["text"], "bob []");
    let context = rest(&host, "context", json!({})).await.1["content"][0]["text"].clone();
    assert!(context.as_str().is_some_and(|text| text.contains("\"version\":\"rest\"")), "{context}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_has_the_status_that_says_so() {
    let host = probe().await;
    for name in ["nothing", "", "a/b", "who%61mi", "whoami/"] {
        assert_eq!(rest(&host, name, json!({})).await, (404, detail("There is no such tool")), "{name}");
    }
    assert_eq!(rest(&host, "strict", json!({"n": 1, "deep": [[1]]})).await.0, 200);
    let (status, answer) = rest(&host, "strict", json!({"n": 0})).await;
    assert!(status == 422 && answer["detail"].as_str().is_some_and(|why| why.contains("/n")), "{answer}");
    assert_eq!(rest(&host, "refuse", json!({})).await, (422, detail("Invalid arguments: not these")));
    for (name, status, public) in [
        ("trap", 500, "Internal Server Error"),
        ("secret_error", 500, "Internal Server Error"),
        ("structured_wrong", 502, "Bad Gateway"),
        ("huge", 500, "Internal Server Error"),
    ] {
        assert_eq!(rest(&host, name, json!({})).await, (status, detail(public)), "{name}");
    }
    let (status, asks) = rest(&host, "ask", json!({})).await;
    assert_eq!(status, 409);
    let question = &asks["inputRequests"]["name"];
    assert_eq!((&question["method"], &question["params"]["message"]), (&json!("elicitation/create"), &json!("Who?")));
    // The body, before anything is made of it.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
    for bad in ["", "[]", "null", "{", "{} {}", &deep] {
        let request = host.request(Method::POST, "/api/tools/whoami").header("content-type", "application/json");
        let (status, answer) = told(request.body(bad.to_owned())).await;
        assert!(status == 400 && answer["detail"].as_str().is_some_and(|why| why.contains("JSON object")), "{bad}");
    }
    let form = host.request(Method::POST, "/api/tools/whoami").header("content-type", "text/plain").body("{}");
    assert_eq!(told(form).await, (415, detail("Content-Type must be application/json")));
    let large = host.post("/api/tools/whoami", &json!({"a": "x".repeat(2 << 20)}));
    assert_eq!(told(large).await.0, 413);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = host.request(method.clone(), "/api/tools/whoami").send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().expect("a value")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_and_credentials_are_asked_for() {
    let host = probe().await;
    let post = || host.post("/api/tools/scoped", &json!({}));
    for (request, status) in [
        (post(), 401),
        (post().bearer_auth("no-token"), 401),
        (post().by("ada"), 403),
        (post().bearer_auth(scoped("probe:write", None)), 200),
    ] {
        assert_eq!(told(request).await.0, status);
    }
    let refused = post().by("ada").send().await.expect("an answer");
    assert_eq!(refused.headers()["www-authenticate"], "Bearer error=\"insufficient_scope\", scope=\"probe:write\"");
    let closed = Setup::modules(&module("probe", "probe", "")).env("INNKEEPER_MCP_REQUIRE_AUTH", "1").start().await;
    assert_eq!(rest(&closed, "whoami", json!({})).await, (401, detail("Not authenticated")));
    assert_eq!(told(closed.get("/api/tools")).await.0, 401);
    assert_eq!(told(closed.post("/api/tools/whoami", &json!({})).by("bob")).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tools_are_listed_and_described() {
    let host = probe().await;
    let (status, listed) = told(host.get("/api/tools")).await;
    let by_protocol = call(&host, "tools/list", json!({})).await.1["result"]["tools"].clone();
    let listed = listed["tools"].as_array().expect("tools").clone();
    assert_eq!((status, listed.len()), (200, by_protocol.as_array().expect("tools").len()));
    for (tool, same) in listed.iter().zip(by_protocol.as_array().expect("tools")) {
        for key in ["name", "description", "inputSchema", "outputSchema"] {
            assert_eq!(tool[key], same[key]);
        }
        assert_eq!(tool["module"], "probe");
    }
    let needs = listed.iter().find(|tool| tool["name"] == "scoped").expect("there");
    assert_eq!(needs["requiredScopes"], json!(["probe:write"]));
    // A host whose modules leave the usual place free has the document there, too.
    let (status, document) = told(host.get("/openapi.json")).await;
    assert_eq!((status, &document), (200, &told(host.get("/api/tools/openapi.json")).await.1));
    assert_eq!(document["paths"].as_object().expect("paths").len(), listed.len());
    let strict = &document["paths"]["/api/tools/strict"]["post"];
    let schema = strict["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().expect("a reference");
    let schema = document.pointer(schema.trim_start_matches('#')).expect("it leads somewhere");
    assert_eq!(schema["properties"]["n"]["minimum"], 1);
    let scoped = &document["paths"]["/api/tools/scoped"]["post"]["security"];
    assert_eq!(scoped, &json!([{ "bearer": ["probe:write"] }]));
    assert_eq!(host.request(Method::HEAD, "/api/tools").send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_keeps_its_paths_where_nobody_has_tools() {
    let host = Setup::guest("hello").start().await;
    assert_eq!(host.get("/api/tools").send().await.expect("an answer").status(), 404);
    // And its own document where somebody has.
    let host = Setup::guest("todo").start().await;
    let document: Value = told(host.get("/openapi.json")).await.1;
    assert!(document["paths"]["/api/tasks"].is_object(), "{document}");
    let tools: Value = told(host.get("/api/tools/openapi.json")).await.1;
    assert!(tools["paths"]["/api/tools/add_task"]["post"].is_object(), "{tools}");
    let added = told(host.post("/api/tools/add_task", &json!({"title": "Buy milk"})).by("alice")).await;
    assert_eq!((added.0, &added.1["structuredContent"]["title"]), (200, &json!("Buy milk")));
    let listed = told(host.get("/api/alice/tasks").by("alice")).await.1;
    assert!(listed.to_string().contains("Buy milk"), "{listed}");
}
