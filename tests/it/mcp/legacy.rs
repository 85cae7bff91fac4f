//! Sessions of the older protocols: whose they are, and when they end.

use reqwest::Method;
use serde_json::json;

use super::client::{LEGACY, Session, Stream, answer, initialize, messages, raw, text};
use super::{conformance, probe};
use crate::harness::{As, token};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_its_callers_and_ends_when_he_says_so() {
    let host = conformance().await;
    let session = Session::begin(&host, Some(token("ada"))).await;
    assert!(session.id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
    assert_eq!(session.call("tools/list", json!({})).await.0, 200);
    for other in [Some(token("bob")), None] {
        let stolen = Session { host: &host, id: session.id.clone(), token: other };
        assert_eq!(stolen.call("tools/list", json!({})).await.0, 404);
        let ended = stolen.signed(host.request(Method::DELETE, "/mcp")).send().await.expect("an answer");
        assert_eq!(ended.status(), 404);
        let heard = stolen.signed(host.request(Method::GET, "/mcp")).header("accept", "text/event-stream");
        assert_eq!(heard.send().await.expect("an answer").status(), 404);
    }
    let made_up = Session { host: &host, id: "made-up".into(), token: Some(token("ada")) };
    assert_eq!(made_up.call("tools/list", json!({})).await.0, 404);
    let ended = session.signed(host.request(Method::DELETE, "/mcp")).send().await.expect("an answer");
    assert!(ended.status().is_success());
    assert_eq!(session.call("tools/list", json!({})).await.0, 404, "for good");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_there_is_only_its_beginning() {
    let host = conformance().await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(answer(raw(&host, list.to_string()).header("mcp-protocol-version", LEGACY)).await.0, 400);
    assert_eq!(answer(raw(&host, list.to_string())).await.0, 400);
    for (asked, settled) in [
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", LEGACY),
        ("2026-07-28", LEGACY),
        ("1999-01-01", LEGACY),
        ("2025-03-26", LEGACY),
    ] {
        let mut message = initialize();
        message["params"]["protocolVersion"] = asked.into();
        let begun = raw(&host, message.to_string()).send().await.expect("an answer");
        assert!(begun.headers().contains_key("mcp-session-id"), "{asked}");
        let told = messages(&begun.text().await.expect("text")).remove(0);
        assert_eq!(told["result"]["protocolVersion"], settled, "{asked}");
        assert!(told["result"].get("resultType").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_of_the_older_protocol_are_served_in_a_session() {
    let host = conformance().await;
    let session = Session::begin(&host, None).await;
    assert_eq!(session.call("ping", json!({})).await.1["result"], json!({}));
    assert_eq!(session.call("logging/setLevel", json!({"level": "error"})).await.1["result"], json!({}));
    assert_eq!(session.call("logging/setLevel", json!({"level": "loud"})).await.1["error"]["code"], -32602);
    assert_eq!(
        session.call("resources/subscribe", json!({"uri": "test://watched-resource"})).await.1["result"],
        json!({})
    );
    assert_eq!(session.call("resources/subscribe", json!({"uri": "nobodys://x"})).await.1["error"]["code"], -32002);
    assert_eq!(
        session.call("resources/unsubscribe", json!({"uri": "test://watched-resource"})).await.1["result"],
        json!({})
    );
    assert_eq!(session.call("resources/read", json!({"uri": "test://none"})).await.1["error"]["code"], -32002);
    assert_eq!(session.call("no/such", json!({})).await.1["error"]["code"], -32601);
    assert_eq!(session.call("subscriptions/listen", json!({"notifications": {}})).await.1["error"]["code"], -32601);
    let (_, told) = session.call("tools/call", json!({"name": "test_simple_text"})).await;
    assert_eq!(text(&told), "This is a simple text response for testing.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_told_through_the_session_to_whom_it_concerns() {
    let host = probe().await;
    let ada = Session::begin(&host, Some(token("ada"))).await;
    let bob = Session::begin(&host, Some(token("bob"))).await;
    let mut streams = Vec::new();
    for session in [&ada, &bob] {
        assert_eq!(session.call("resources/subscribe", json!({"uri": "probe://shared"})).await.1["result"], json!({}));
        let request = session.signed(host.request(Method::GET, "/mcp")).header("accept", "text/event-stream");
        streams.push(Stream::new(request.send().await.expect("an answer")));
    }
    assert_eq!(ada.call("tools/call", json!({"name": "tell_me"})).await.0, 200);
    assert_eq!(bob.call("tools/call", json!({"name": "tell_all"})).await.0, 200);
    let updated = json!({"uri": "probe://shared"});
    for (stream, times) in streams.iter_mut().zip([2, 1]) {
        for _ in 0..times {
            let told = stream.next().await.expect("a notification");
            assert_eq!((&told["method"], &told["params"]), (&json!("notifications/resources/updated"), &updated));
        }
    }
    // Nothing else was told, and the streams end with the host.
    let (stopped, _) = host.stop().await;
    assert_eq!(stopped, innkeeper::server::Drained::Clean);
    for stream in &mut streams {
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_so_many_sessions_and_no_more() {
    let host = conformance().await;
    let begin = async |user: &str| {
        let request = raw(&host, initialize().to_string()).by(user);
        request.send().await.expect("an answer").status().as_u16()
    };
    for _ in 0..64 {
        assert_eq!(begin("ada").await, 200);
    }
    assert_eq!(begin("ada").await, 503);
    assert_eq!(begin("bob").await, 200);
}
