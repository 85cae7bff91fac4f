//! Calls that have to ask: state that comes back changed, late, or from somebody
//! else, and answers that answer nothing.

use serde_json::{Value, json};

use super::client::{Session, Stream, call, message, meta, post, text, tool};
use super::{conformance, probe};
use crate::harness::{As, TestHost, token};

const ASK: &str = "test_input_required_result_request_state";

/// The state that a first round leaves with the client.
async fn state(host: &TestHost, user: &str, name: &str) -> String {
    let asked = message("tools/call", json!({"name": name, "arguments": {}}));
    let told = super::client::answer(post(host, &asked).by(user)).await.1;
    assert_eq!(told["result"]["resultType"], "input_required", "{told}");
    told["result"]["requestState"].as_str().expect("a state").to_owned()
}

async fn retry(host: &TestHost, user: Option<&str>, name: &str, state: &str, arguments: Value) -> Value {
    let answers = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
    let again = message(
        "tools/call",
        json!({"name": name, "arguments": arguments, "requestState": state, "inputResponses": answers}),
    );
    let request = post(host, &again);
    let request = match user {
        Some(user) => request.by(user),
        None => request,
    };
    super::client::answer(request).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_for_its_caller_and_the_same_call_alone() {
    let host = conformance().await;
    let kept = state(&host, "ada", ASK).await;
    // The guest's own words are not to be read from it.
    assert!(!kept.contains("request-state"));
    assert_eq!(text(&retry(&host, Some("ada"), ASK, &kept, json!({})).await), "state-ok");
    let invalid = |told: Value| assert_eq!(told["error"]["code"], -32602, "{told}");
    invalid(retry(&host, Some("bob"), ASK, &kept, json!({})).await);
    invalid(retry(&host, None, ASK, &kept, json!({})).await);
    invalid(retry(&host, Some("ada"), "test_input_required_result_tampered_state", &kept, json!({})).await);
    invalid(retry(&host, Some("ada"), ASK, &kept, json!({"other": "arguments"})).await);
    for at in [0, kept.len() / 2, kept.len() - 1] {
        let mut bytes = kept.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        invalid(retry(&host, Some("ada"), ASK, &String::from_utf8(bytes).expect("ASCII"), json!({})).await);
    }
    for garbage in ["", "x", "request-state", &kept[..kept.len() - 4], &"A".repeat(200_000)] {
        invalid(retry(&host, Some("ada"), ASK, garbage, json!({})).await);
    }
    let stranger = conformance_with_another_secret().await;
    invalid(retry(&stranger, None, ASK, &kept, json!({})).await);
}

async fn conformance_with_another_secret() -> TestHost {
    crate::harness::Setup::guest("conformance").env("BETTER_AUTH_SECRET", "another-secret").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_held_to_what_was_asked() {
    let host = conformance().await;
    let kept = state(&host, "ada", ASK).await;
    let with = async |answers: Value| {
        let again = message(
            "tools/call",
            json!({"name": ASK, "arguments": {}, "requestState": kept, "inputResponses": answers}),
        );
        super::client::answer(post(&host, &again).by("ada")).await.1
    };
    for bad in [
        json!({"confirm": 1}),
        json!({"confirm": {"action": "maybe"}}),
        json!({"confirm": {"action": "accept"}}),
        json!({"confirm": {"action": "accept", "content": {"ok": "yes"}}}),
        json!({"confirm": {"action": "accept", "content": {}}}),
    ] {
        let told = with(bad.clone()).await;
        assert_eq!(told["error"]["code"], -32602, "{bad}: {told}");
    }
    for nothing in [json!({}), json!({"other": {"action": "accept"}}), json!({"confirm": {"action": "decline"}})] {
        assert_eq!(with(nothing.clone()).await["result"]["resultType"], "input_required", "{nothing}: asked again");
    }
    // Answers without a state answer nothing.
    let answers = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
    let told = call(&host, "tools/call", json!({"name": ASK, "inputResponses": answers})).await.1;
    assert_eq!(told["result"]["resultType"], "input_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_what_he_cannot_do_nor_for_ever() {
    let host = probe().await;
    let mut nothing = meta();
    nothing["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let (status, told) = call(&host, "tools/call", json!({"name": "ask", "_meta": nothing})).await;
    assert_eq!((status, &told["error"]["code"]), (400, &json!(-32021)), "{told}");
    assert!(told["error"]["data"]["requiredCapabilities"]["elicitation"].is_object(), "{told}");
    let mut last = tool(&host, "ask_forever", json!({})).await.1;
    let mut rounds = 1;
    while let Some(kept) = last["result"]["requestState"].as_str() {
        assert!(rounds < 20, "no end");
        let answers = json!({"again": {"action": "accept", "content": {"name": "Ada"}}});
        last = call(
            &host,
            "tools/call",
            json!({"name": "ask_forever", "arguments": {}, "requestState": kept, "inputResponses": answers}),
        )
        .await
        .1;
        rounds += 1;
    }
    assert_eq!((rounds, &last["error"]["code"]), (9, &json!(-32603)), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_older_protocol_is_asked_on_the_stream_of_its_request() {
    let host = conformance().await;
    let session = Session::begin(&host, Some(token("ada"))).await;
    let called = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "test_input_required_result_multi_round"}});
    let mut stream = Stream::new(session.post(&called).send().await.expect("an answer"));
    for content in [json!({"name": "Ada"}), json!({"color": "blue"})] {
        let asked = stream.next().await.expect("a question");
        assert_eq!(asked["method"], "elicitation/create");
        let reply = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": content}});
        // Somebody else's answer is none.
        let stolen = Session { host: &host, id: session.id.clone(), token: Some(token("bob")) };
        assert_eq!(stolen.post(&reply).send().await.expect("an answer").status(), 404);
        assert_eq!(session.post(&reply).send().await.expect("an answer").status(), 202);
    }
    let done = stream.next().await.expect("an answer");
    assert_eq!((text(&done), &done["id"]), ("Ada likes blue", &json!(5)));
    assert!(done["result"].get("resultType").is_none(), "{done}");
    // One that cannot be asked is told so.
    let told = session.call("tools/call", json!({"name": "test_sampling", "arguments": {"prompt": "?"}})).await;
    assert_eq!((told.0, &told.1["error"]["code"]), (200, &json!(-32602)), "{told:?}");
}
