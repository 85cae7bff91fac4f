//! Whether the scripted server sees what is wrong: what it lets through is what
//! the other tests prove.

use innkeeper::broker::llm::upstream::Upstream;
use innkeeper::config::Dialect;
use serde_json::{Value, json};

use super::upstream::{ask, collect, model};
use crate::harness::{KEY, OpenAi, Turn, report};

async fn post(openai: &OpenAi, path: &str, key: &str, field: Option<&'static str>, body: &Value) -> u16 {
    // The host's client brings its own; this one, which is built with its
    // features, asks the process.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new().post(format!("{}{path}", openai.url())).bearer_auth(key).json(body);
    let request = field.into_iter().fold(request, |request, name| request.header(name, "x"));
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn wrong_requests_are_faults() {
    let openai = OpenAi::start(Vec::new()).await;
    let good = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let with = |field: &str, value: Value| {
        let mut request = good.clone();
        request[field] = value;
        request
    };
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let called = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
    let half = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}});
    let cases = [
        ("/chat/completions", "no-key", None, good.clone(), "the key"),
        ("/chat/completions", KEY, Some("x-user"), good.clone(), "nobody's business"),
        ("/chat/completion", KEY, None, good.clone(), "there is no"),
        ("/chat/completions", KEY, None, with("stream", json!(false)), "stream"),
        ("/chat/completions", KEY, None, with("messages", json!([])), "schema"),
        ("/chat/completions", KEY, None, with("messages", json!([{"role": "tool", "content": "x"}])), "schema"),
        ("/chat/completions", KEY, None, with("temperature", json!(3)), "schema"),
        ("/chat/completions", KEY, None, with("stop", json!(["a", "b", "c", "d", "e"])), "schema"),
        ("/chat/completions", KEY, None, with("tools", json!([{"type": "web_search"}])), "schema"),
        ("/chat/completions", KEY, None, with("user", json!("ada")), "unknown key"),
        (
            "/chat/completions",
            KEY,
            None,
            with("messages", json!([{"role": "user", "content": "x", "name": "ada"}])),
            "unknown key",
        ),
        ("/chat/completions", KEY, None, with("messages", json!([called])), "not answered"),
        (
            "/chat/completions",
            KEY,
            None,
            with("messages", json!([called, {"role": "user", "content": "x"}, tool("a")])),
            "not answered",
        ),
        ("/chat/completions", KEY, None, with("messages", json!([called, tool("b")])), "nobody asked"),
        ("/chat/completions", KEY, None, with("messages", json!([called, tool("a"), tool("a")])), "nobody asked"),
        (
            "/chat/completions",
            KEY,
            None,
            with("messages", json!([{"role": "assistant", "tool_calls": [half]}, tool("a")])),
            "no object",
        ),
        ("/responses", KEY, None, json!({"stream": true, "input": []}), "store"),
        (
            "/responses",
            KEY,
            None,
            json!({"stream": true, "store": false, "input": [{"type": "item_reference", "id": "x"}]}),
            "item_reference",
        ),
        ("/chat/completions", KEY, None, good.clone(), "beyond the script"),
    ];
    for (path, key, field, body, expected) in cases {
        assert_eq!(post(&openai, path, key, field, &body).await, 400, "{expected}");
        let faults = openai.faults();
        assert!(faults.len() == 1 && faults[0].contains(expected), "{expected}: {faults:?}");
    }
    openai.then([Turn::text("hi")]);
    assert_eq!(post(&openai, "/chat/completions", KEY, None, &good).await, 200);
    openai.finish();
}

#[tokio::test]
#[should_panic(expected = "1 turns of the script were not asked for")]
async fn a_script_that_is_not_used_up_fails_the_test() {
    OpenAi::start(vec![Turn::text("hi")]).await.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_answers_at_once_are_all_whole() {
    const ANSWERS: usize = 200;
    let openai = OpenAi::answering(|request| {
        let text = request["messages"][0]["content"].as_str().expect("a text").to_owned();
        let turn = Turn::pieces(text.split_inclusive(' ')).and_call("a", "echo", "{\"a\":[]}");
        turn.after(std::time::Duration::from_millis(5)).every(std::time::Duration::from_millis(10))
    })
    .await;
    let mut patient = model(&openai.url(), Dialect::Chat);
    patient.timeouts.idle = std::time::Duration::from_secs(5);
    patient.timeouts.total = std::time::Duration::from_secs(30);
    patient.timeouts.first_event = std::time::Duration::from_secs(10);
    let upstream = Upstream::new(&patient).expect("an upstream");
    let one = async |number: usize| {
        let text = format!("{number} one two three four five six seven eight nine ten");
        let mut answer = upstream.open(&ask(&text)).await.expect("an answer");
        let (events, error) = collect(&mut answer).await;
        let said = format!("{:?}", events.last());
        assert!(error.is_none() && said.contains(&format!("{text:?}")) && said.contains("{\\\"a\\\":[]}"), "{said}");
    };
    let began = std::time::Instant::now();
    futures_util::future::join_all((0..ANSWERS).map(one)).await;
    report(&format!("{ANSWERS} answers of 17 events took {:?} at 10 ms an event", began.elapsed()));
    assert_eq!((openai.requests().len(), openai.cancelled()), (ANSWERS, 0));
    openai.finish();
}
