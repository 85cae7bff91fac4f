//! The plugins that come with the host, by every way there is to a tool.

mod chat;
mod many;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::{As, Setup, TestHost, module, token};
use crate::mcp::client::{Session, Stream, answer, call, message, meta, post, text, tool};

const PLUGINS: [&str; 3] = ["dates", "text", "bill"];

async fn plugins() -> TestHost {
    let modules: String = PLUGINS.iter().map(|name| module(name, name, "")).collect();
    Setup::modules(&modules).start().await
}

async fn answered(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// The structured result of a call that is good.
async fn result(host: &TestHost, name: &str, arguments: Value) -> Value {
    let told = tool(host, name, arguments).await.1;
    assert!(told["result"].is_object() && told["result"]["isError"] != true, "{told}");
    told["result"]["structuredContent"].clone()
}

/// The words of a call that is refused.
async fn refusal(host: &TestHost, name: &str, arguments: Value) -> String {
    let told = tool(host, name, arguments).await.1;
    assert_eq!(told["result"]["isError"], true, "{told}");
    text(&told).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_give_structured_answers_and_say_of_what_shape() {
    let host = plugins().await;
    let listed = call(&host, "tools/list", json!({})).await.1;
    for name in ["resolve_date", "split_bill", "text_statistics"] {
        let tools = listed["result"]["tools"].as_array().expect("tools");
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name} in {listed}"));
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
    }
    let day = json!({"when": "next friday", "relative_to": "2026-11-18"});
    let friday = json!({"date": "2026-11-27", "weekday": "Friday", "days_away": 9});
    assert_eq!(result(&host, "resolve_date", day).await, friday);
    let word = json!({"text": "Strawberry fields.", "find": "r"});
    assert_eq!(result(&host, "text_statistics", word).await["found"], 3);
    let bill = json!({"total": 10, "people": 3, "tip_percent": 0});
    let shares = json!([{"people": 1, "amount": "3.34"}, {"people": 2, "amount": "3.33"}]);
    assert_eq!(result(&host, "split_bill", bill).await["shares"], shares);
    // Without a day to count from it is today.
    assert_eq!(result(&host, "resolve_date", json!({"when": "tomorrow"})).await["days_away"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_in_words_that_a_model_can_use() {
    let host = plugins().await;
    for (name, arguments, words) in [
        ("resolve_date", json!({"when": "soon"}), "next friday"),
        ("resolve_date", json!({"when": "today", "relative_to": "18.11.2026"}), "2026-11-22"),
        ("resolve_date", json!({"when": "x".repeat(101)}), "when"),
        ("resolve_date", json!({"when": "99999999 years ago"}), "no date"),
        ("text_statistics", json!({}), "text"),
        ("split_bill", json!({"total": 1e300, "people": 1, "tip_percent": 0}), "total"),
        ("split_bill", json!({"total": 10, "people": 0, "tip_percent": 0}), "people"),
        ("split_bill", json!({"total": 10.005, "people": 1, "tip_percent": 0}), "two decimals"),
    ] {
        let told = refusal(&host, name, arguments.clone()).await;
        assert!(told.contains(words), "{name} {arguments}: {told}");
    }
}

/// The next round of a call, with an answer to its question.
async fn resumed(host: &TestHost, asked: &Value, key: &str, reply: Value) -> Value {
    let again = json!({
        "name": "split_bill", "arguments": {"total": 84.5},
        "requestState": asked["result"]["requestState"], "inputResponses": {key: reply},
    });
    answer(post(host, &message("tools/call", again)).by("ada")).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_asks_for_what_is_missing_and_goes_on_with_the_answers() {
    let host = plugins().await;
    let first = message("tools/call", json!({"name": "split_bill", "arguments": {"total": 84.5}}));
    let asked = answer(post(&host, &first).by("ada")).await.1;
    let question = &asked["result"]["inputRequests"]["people"];
    assert_eq!((&question["method"], &question["params"]["mode"]), (&json!("elicitation/create"), &json!("form")));
    let schema = &question["params"]["requestedSchema"];
    assert_eq!(schema["properties"]["people"]["type"], "integer", "{schema}");
    // An answer that does not fit the form does not reach the plugin.
    let wrong = resumed(&host, &asked, "people", json!({"action": "accept", "content": {"people": 0}})).await;
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    let asked = resumed(&host, &asked, "people", json!({"action": "accept", "content": {"people": 3}})).await;
    assert!(asked["result"]["inputRequests"]["tip"].is_object(), "{asked}");
    let done = resumed(&host, &asked, "tip", json!({"action": "accept", "content": {"tip_percent": 10}})).await;
    let shares = json!([{"people": 1, "amount": "30.99"}, {"people": 2, "amount": "30.98"}]);
    assert_eq!(done["result"]["structuredContent"]["shares"], shares, "{done}");
    for action in ["decline", "cancel"] {
        let told = resumed(&host, &asked, "tip", json!({"action": action})).await;
        assert_eq!(text(&told), "The user was asked, and did not want to say.");
        assert_eq!(told["result"]["isError"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_older_protocol_is_asked_the_same() {
    let host = plugins().await;
    let session = Session::begin(&host, Some(token("ada"))).await;
    let called = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call",
        "params": {"name": "split_bill", "arguments": {"total": 84.5}}});
    let mut stream = Stream::new(session.post(&called).send().await.expect("an answer"));
    for content in [json!({"people": 3}), json!({"tip_percent": 10})] {
        let asked = stream.next().await.expect("a question");
        assert_eq!(asked["method"], "elicitation/create", "{asked}");
        let reply = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": content}});
        assert_eq!(session.post(&reply).send().await.expect("an answer").status(), 202);
    }
    let done = stream.next().await.expect("an answer");
    assert_eq!(done["result"]["structuredContent"]["total"], "92.95", "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_asked_the_question_is_the_models() {
    let host = plugins().await;
    let mut nothing = meta();
    nothing["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let params = json!({"name": "split_bill", "arguments": {"total": 84.5}, "_meta": nothing});
    let (status, told) = call(&host, "tools/call", params).await;
    assert_eq!((status, &told["result"]["isError"]), (200, &json!(true)), "{told}");
    assert_eq!(text(&told), "The user has to be asked first: How many people share the bill?");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tools_are_operations_of_plain_http() {
    let host = plugins().await;
    let day = json!({"when": "end of month", "relative_to": "2026-11-18"});
    let (status, told) = answered(host.post("/api/tools/resolve_date", &day)).await;
    assert_eq!((status, &told["structuredContent"]["date"]), (200, &json!("2026-11-30")), "{told}");
    let (status, told) = answered(host.post("/api/tools/resolve_date", &json!({"when": 5}))).await;
    assert_eq!(status, 422, "{told}");
    let (status, told) = answered(host.post("/api/tools/split_bill", &json!({"total": 9}))).await;
    let question = &told["inputRequests"]["people"]["params"];
    assert_eq!((status, &question["message"]), (409, &json!("How many people share the bill?")), "{told}");
    let document = answered(host.get("/openapi.json")).await.1;
    for name in ["resolve_date", "text_statistics", "split_bill"] {
        let operation = &document["paths"][format!("/api/tools/{name}")]["post"];
        assert!(operation["requestBody"].is_object(), "{name}: {document}");
    }
}
