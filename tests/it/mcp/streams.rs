//! Notices, changes and cancellation.

use serde_json::{Value, json};

use super::client::{Session, Stream, answer, is_stream, message, messages, meta, post, tool};
use super::{conformance, probe};
use crate::harness::{As, TestHost, token};

/// Everything that a call says on its way.
async fn said(host: &TestHost, name: &str, wishes: Value) -> (bool, Vec<Value>) {
    let mut meta = meta();
    meta.as_object_mut().expect("an object").extend(wishes.as_object().expect("an object").clone());
    let called = message("tools/call", json!({"name": name, "_meta": meta}));
    let answer = post(host, &called).send().await.expect("an answer");
    let streamed = is_stream(&answer);
    let text = answer.text().await.expect("text");
    (streamed, if streamed { messages(&text) } else { vec![serde_json::from_str(&text).expect("JSON")] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_hears_what_it_asked_for_and_nothing_else() {
    let host = probe().await;
    let (streamed, all) = said(&host, "chatter", json!({})).await;
    assert!(!streamed && all.len() == 1, "{all:?}");
    let (_, all) = said(&host, "chatter", json!({"progressToken": "t"})).await;
    let steps: Vec<_> = all.iter().filter_map(|told| told["params"]["progress"].as_f64()).collect();
    assert_eq!(steps, [1.0, 2.0, 3.0], "always more");
    assert!(all.iter().all(|told| told["method"] != "notifications/message"));
    assert!(all[..3].iter().all(|told| told["params"]["progressToken"] == "t"));
    assert!(all[3]["result"].is_object());
    let (_, all) = said(&host, "chatter", json!({"io.modelcontextprotocol/logLevel": "warning"})).await;
    let lines: Vec<_> = all.iter().filter(|told| told["method"] == "notifications/message").collect();
    assert_eq!(lines.len(), 1, "{all:?}");
    assert_eq!(lines[0]["params"], json!({"level": "error", "logger": "probe", "data": {"loud": true}}));
    let (_, all) = said(&host, "chatter", json!({"io.modelcontextprotocol/logLevel": "debug"})).await;
    assert_eq!(all.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_notices_costs_the_guest_its_own_calls_and_nobody_else_anything() {
    let host = probe().await;
    let (_, all) = said(&host, "flood", json!({"progressToken": 1})).await;
    assert!(all.len() <= 10_001, "at most as many as host calls: {}", all.len());
    assert_eq!(all.last().expect("an end")["error"]["code"], -32603);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_hears_of_changes_that_concern_him() {
    let host = probe().await;
    let wish = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["probe://shared", "test://static-text"]}});
    let mut streams = Vec::new();
    for user in ["ada", "bob"] {
        let listen = message("subscriptions/listen", wish.clone());
        let mut stream = Stream::new(post(&host, &listen).by(user).send().await.expect("an answer"));
        let first = stream.next().await.expect("an acknowledgement");
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        // The other address is nobody's.
        assert_eq!(first["params"]["notifications"]["resourceSubscriptions"], json!(["probe://shared"]), "{first}");
        streams.push(stream);
    }
    let call = async |user: &str, name: &str| {
        answer(post(&host, &message("tools/call", json!({"name": name}))).by(user)).await
    };
    assert_eq!(call("ada", "tell_me").await.0, 200);
    assert_eq!(call("bob", "tell_all").await.0, 200);
    for (stream, times) in streams.iter_mut().zip([2, 1]) {
        for _ in 0..times {
            let told = stream.next().await.expect("a notification");
            assert_eq!(
                (&told["method"], &told["params"]["uri"]),
                (&json!("notifications/resources/updated"), &json!("probe://shared"))
            );
            assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        }
    }
    let (stopped, _) = host.stop().await;
    assert_eq!(stopped, innkeeper::server::Drained::Clean, "listeners do not hold a stop up");
    for stream in &mut streams {
        let last = stream.next().await.expect("a last word");
        assert_eq!(last["result"]["resultType"], "complete", "{last}");
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_ends_his_call() {
    let host = probe().await;
    let sleep = message("tools/call", json!({"name": "sleep", "arguments": {"ms": 8_000}}));
    let call = tokio::spawn(post(&host, &sleep).send());
    host.until_running(1).await;
    call.abort();
    host.until_running(0).await;
    let mut meta = meta();
    meta["progressToken"] = 1.into();
    let called = message("tools/call", json!({"name": "test_tool_with_progress", "_meta": meta}));
    let slow = conformance().await;
    let mut stream = Stream::new(post(&slow, &called).send().await.expect("an answer"));
    assert_eq!(stream.next().await.expect("a step")["params"]["progress"], 0.0);
    drop(stream);
    slow.until_running(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_older_protocol_cancels_by_saying_so() {
    let host = probe().await;
    let session = Session::begin(&host, Some(token("ada"))).await;
    let sleep = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "sleep", "arguments": {"ms": 8_000}}});
    let call = tokio::spawn(session.post(&sleep).send());
    host.until_running(1).await;
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}});
    assert_eq!(session.post(&cancelled).send().await.expect("an answer").status(), 202);
    host.until_running(0).await;
    call.abort();
    assert_eq!(tool(&host, "whoami", json!({})).await.0, 200);
}
