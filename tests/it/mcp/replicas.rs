//! Two hosts that share a secret: requests of the newer protocol go to either, and
//! sessions of the older move.

use serde_json::json;

use super::client::{Session, answer, call, message, post, text};
use super::conformance;
use crate::harness::{As, token};

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_one_host_began_another_ends() {
    let hosts = [conformance().await, conformance().await];
    let name = "test_input_required_result_multi_round";
    let mut params = json!({"name": name, "arguments": {}});
    for (round, reply) in [
        json!({"step1": {"action": "accept", "content": {"name": "Ada"}}}),
        json!({"step2": {"action": "accept", "content": {"color": "blue"}}}),
    ]
    .into_iter()
    .enumerate()
    {
        let told = answer(post(&hosts[round % 2], &message("tools/call", params)).by("ada")).await.1;
        params = json!({"name": name, "arguments": {}, "requestState": told["result"]["requestState"], "inputResponses": reply});
    }
    let told = answer(post(&hosts[0], &message("tools/call", params)).by("ada")).await.1;
    assert_eq!(text(&told), "Ada likes blue");
    for host in &hosts {
        assert_eq!(call(host, "tools/list", json!({})).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_at_another_host_and_stays_its_callers() {
    let (here, there) = (conformance().await, conformance().await);
    let session = Session::begin(&here, Some(token("ada"))).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_simple_text"}});
    for host in [&there, &here, &there] {
        let (status, told) = answer(session.at(host, &list)).await;
        assert_eq!((status, text(&told)), (200, "This is a simple text response for testing."));
    }
    let stolen = Session { host: &there, id: session.id.clone(), token: Some(token("bob")) };
    assert_eq!(stolen.call("tools/list", json!({})).await.0, 404);
    // What the client can be asked has moved along.
    let asked = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "test_elicitation", "arguments": {"message": "Who?"}}});
    let mut stream = super::client::Stream::new(session.at(&there, &asked).send().await.expect("an answer"));
    let question = stream.next().await.expect("a question");
    assert_eq!(question["method"], "elicitation/create");
    let reply = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    assert_eq!(session.at(&there, &reply).send().await.expect("an answer").status(), 202);
    assert_eq!(text(&stream.next().await.expect("an answer")), "User response: action=decline, content=null");
}
