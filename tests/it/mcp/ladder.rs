//! In which order a request is refused, and by which status and code.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ACCEPT, LEGACY, MODERN, answer, call, message, meta, post, raw, tool};
use super::{conformance, probe};

#[track_caller]
fn code(answer: &(u16, Value)) -> (u16, i64) {
    (answer.0, answer.1["error"]["code"].as_i64().unwrap_or_else(|| panic!("no code in {answer:?}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_names_and_pages_are_refused_before_anything_else() {
    let host = conformance().await;
    let list = message("tools/list", json!({}));
    for (name, value, expected) in [
        ("host", "localhost", 200),
        ("host", "evil.example", 403),
        ("host", "127.0.0.1.evil.example", 403),
        ("origin", "http://localhost:6274", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost.evil.example", 403),
    ] {
        let request = post(&host, &list).header(name, value);
        assert_eq!(answer(request).await.0, expected, "{name}: {value}");
    }
    // Before the credential, the method and the body.
    let request = host.request(Method::PUT, "/mcp").header("host", "evil.example").bearer_auth("garbage").body("{");
    assert_eq!(answer(request).await.0, 403);
    // Other paths have no such list.
    assert_ne!(host.get("/").header("host", "evil.example").send().await.expect("an answer").status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_before_methods_and_these_before_kinds_and_these_before_bodies() {
    let host = conformance().await;
    let status = async |request: reqwest::RequestBuilder| request.send().await.expect("an answer").status().as_u16();
    assert_eq!(status(host.request(Method::PUT, "/mcp").bearer_auth("garbage")).await, 401);
    for method in [Method::PUT, Method::PATCH, Method::GET, Method::DELETE] {
        let answer = host.request(method.clone(), "/mcp").send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().unwrap()), "{method}");
    }
    let post = || host.request(Method::POST, "/mcp");
    for accept in ["application/json", "text/event-stream", "*/*", "text/html"] {
        assert_eq!(status(post().header("accept", accept).header("content-type", "text/plain")).await, 406, "{accept}");
    }
    for kind in ["text/plain", "application/jsonp", ""] {
        let request = post().header("accept", ACCEPT).header("content-type", kind).body("{");
        assert_eq!(status(request).await, 415, "{kind}");
    }
    let large = raw(&host, " ".repeat((1 << 20) + 1));
    assert_eq!(status(large).await, 413);
    let parameters = post().header("accept", "text/event-stream;q=0.5, application/json; charset=utf-8");
    let parameters = parameters.header("content-type", "Application/JSON; charset=utf-8").body("{");
    assert_eq!(status(parameters).await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_has_a_code_of_json_rpc() {
    let host = conformance().await;
    for (body, expected) in [
        ("{", -32700),
        ("", -32700),
        ("{} {}", -32700),
        ("[]", -32600),
        ("null", -32600),
        ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"ping\"}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":18446744073709551615,\"method\":\"ping\"}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":[]}", -32600),
    ] {
        let told = answer(raw(&host, body)).await;
        assert_eq!(code(&told), (400, expected), "{body}");
    }
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"a\",\"params\":{}{}}}",
        "[".repeat(500_000),
        "]".repeat(400_000)
    );
    assert_eq!(code(&answer(raw(&host, deep)).await), (400, -32600));
    let told = answer(raw(&host, "{\"jsonrpc\":\"1.0\",\"id\":\"mine\",\"method\":\"ping\"}")).await;
    assert_eq!(told.1["id"], "mine");
    assert_eq!(answer(raw(&host, vec![0xff, 0xfe])).await.1["error"]["code"], -32700);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_the_newer_protocol_says_everything_and_its_headers_say_the_same() {
    let host = conformance().await;
    for missing in ["protocolVersion", "clientCapabilities"] {
        let mut meta = meta();
        meta.as_object_mut().expect("an object").remove(&format!("io.modelcontextprotocol/{missing}"));
        let told = call(&host, "tools/list", json!({"_meta": meta})).await;
        assert_eq!(code(&told), (400, -32602), "{missing}");
    }
    let told = call(&host, "tools/list", json!({"_meta": 7})).await;
    assert_eq!(code(&told), (400, -32602));
    let list = message("tools/list", json!({}));
    let called = message("tools/call", json!({"name": "test_simple_text"}));
    let with = |message: &Value, headers: &[(&str, &str)]| {
        let request = raw(&host, message.to_string());
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let (version, method) = (("mcp-protocol-version", MODERN), ("mcp-method", "tools/list"));
    let (calls, name) = (("mcp-method", "tools/call"), ("mcp-name", "test_simple_text"));
    for (message, headers, expected) in [
        (&list, vec![version, method], None),
        (&list, vec![("mcp-protocol-version", " 2026-07-28 "), method], None),
        (&list, vec![method], Some((400, -32020))),
        (&list, vec![("mcp-protocol-version", LEGACY), method], Some((400, -32020))),
        (&list, vec![version], Some((400, -32020))),
        (&list, vec![version, ("mcp-method", "tools/call")], Some((400, -32020))),
        (&list, vec![version, ("mcp-method", "Tools/List")], Some((400, -32020))),
        (&list, vec![version, method, method], Some((400, -32020))),
        (&called, vec![version, calls, name], None),
        (&called, vec![version, calls, ("mcp-name", "=?base64?dGVzdF9zaW1wbGVfdGV4dA==?=")], None),
        (&called, vec![version, calls], Some((400, -32020))),
        (&called, vec![version, calls, ("mcp-name", "other")], Some((400, -32020))),
        (&called, vec![version, calls, ("mcp-name", "=?base64?!!?=")], Some((400, -32020))),
    ] {
        let told = answer(with(message, &headers)).await;
        match expected {
            None => assert_eq!((told.0, &told.1["error"]), (200, &Value::Null), "{headers:?}"),
            Some(expected) => assert_eq!(code(&told), expected, "{headers:?} {told:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_methods_that_are_not_served() {
    let host = conformance().await;
    let mut meta = meta();
    meta["io.modelcontextprotocol/protocolVersion"] = "2030-01-01".into();
    let list = message("tools/list", json!({"_meta": meta}));
    let request =
        raw(&host, list.to_string()).header("mcp-protocol-version", "2030-01-01").header("mcp-method", "tools/list");
    let told = answer(request).await;
    assert_eq!(code(&told), (400, -32022));
    assert_eq!(told.1["error"]["data"]["requested"], "2030-01-01");
    assert_eq!(told.1["error"]["data"]["supported"], json!(["2025-06-18", "2025-11-25", "2026-07-28"]));
    for method in ["no/such", "initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]
    {
        let told = call(&host, method, json!({"level": "info", "uri": "test://static-text"})).await;
        assert_eq!(code(&told), (404, -32601), "{method}");
    }
    for (method, params) in [
        ("tools/call", json!({})),
        ("tools/call", json!({"name": 7})),
        ("tools/call", json!({"name": "no_such_tool"})),
        ("prompts/get", json!({"name": "no_such_prompt"})),
        ("prompts/get", json!({"name": "test_prompt_with_arguments", "arguments": {"arg1": "a"}})),
        ("prompts/get", json!({"name": "test_prompt_with_arguments", "arguments": {"arg1": "a", "arg2": 2}})),
        ("resources/read", json!({"uri": "test://no/such"})),
        ("resources/read", json!({"uri": "file:///etc/passwd"})),
        ("resources/read", json!({"uri": "not a uri"})),
        ("tools/list", json!({"cursor": "garbage"})),
        ("prompts/list", json!({"cursor": "MTAwMDA"})),
        ("resources/list", json!({"cursor": "garbage"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "none"}, "argument": {"name": "a", "value": ""}}),
        ),
    ] {
        let mut request = post(&host, &message(method, params.clone()));
        if params.get("name").is_some_and(Value::is_number) {
            request = request.header("mcp-name", "7");
        }
        let told = answer(request).await;
        let expected: &[i64] = &[-32602, -32020];
        assert!(expected.contains(&told.1["error"]["code"].as_i64().unwrap_or(0)), "{method} {params} {told:?}");
    }
    let told = call(&host, "resources/read", json!({"uri": "test://no/such"})).await;
    assert_eq!((code(&told).1, &told.1["error"]["data"]["uri"]), (-32602, &json!("test://no/such")));
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_are_repeated_in_headers_are_the_same_there() {
    let host = probe().await;
    let strict = message("tools/call", json!({"name": "strict", "arguments": {"n": 1, "region": "eu"}}));
    for (header, expected) in [
        (Some("eu"), None),
        (Some("=?base64?ZXU=?="), None),
        (Some("us"), Some((400, -32020))),
        (None, Some((400, -32020))),
    ] {
        let mut request = post(&host, &strict);
        if let Some(header) = header {
            request = request.header("mcp-param-region", header);
        }
        let told = answer(request).await;
        match expected {
            None => assert_eq!((told.0, &told.1["error"]), (200, &Value::Null), "{header:?}"),
            Some(expected) => assert_eq!(code(&told), expected, "{header:?}"),
        }
    }
    assert_eq!(tool(&host, "strict", json!({"n": 1})).await.0, 200, "absent in both");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_tools_has_no_such_endpoint() {
    let host = crate::harness::Setup::guest("hello").start().await;
    assert_eq!(call(&host, "tools/list", json!({})).await.0, 404);
    assert_eq!(host.get("/.well-known/oauth-protected-resource").send().await.expect("an answer").status(), 404);
}
