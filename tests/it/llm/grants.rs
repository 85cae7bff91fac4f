//! Which models a module may ask, and what it may ask them.

use serde_json::{Value, json};

use super::probe::{ask, says, setup, with, with_model};
use crate::harness::{Database, OpenAi, Setup, TestDatabase, Turn, guest};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_asks_models_needs_a_grant() {
    let probe = guest("llm-probe").display().to_string();
    let modules = format!("[[module]]\nname = \"probe\"\nsource = \"{probe}\"\n");
    let database = TestDatabase::create(Database::Sqlite).await;
    let refused = Setup::modules(&modules).start_with(database).await.err().expect("refused").to_string();
    for part in ["module `probe`", "innkeeper:backend/llm", "add `grants = { llm = [\"default\"] }`"] {
        assert!(refused.contains(part), "`{part}` is not in `{refused}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_whole_and_in_pieces() {
    let words = "one two three four five ".repeat(40);
    let long = Turn::text(&words).usage(9, 200);
    let tools = json!([{ "name": "add_task", "description": "Adds", "strict": false,
        "parameters": "{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\"}}}" }]);
    for database in Database::BOTH {
        let calls = Turn::calls([("add_task", json!({ "title": "milk" })), ("add_task", json!({ "title": "eggs" }))]);
        let model = OpenAi::start(vec![Turn::text("Hello there.").usage(12, 3), long.clone(), calls]).await;
        let host = setup(&model, "", "").on(database).start().await;
        let whole = &ask(&host, "/complete", Some("ada"), &says("Hi")).await["ok"];
        assert_eq!((&whole["turn"]["text"], &whole["model"]), (&json!("Hello there."), &json!("default")));
        assert_eq!(
            whole["usage"],
            json!({ "input": 12, "cached_input": 0, "output": 3, "reasoning": 0, "estimated": false })
        );

        let pieces = ask(&host, "/open", Some("ada"), &says("Count")).await;
        let events = pieces["events"].as_array().expect("events");
        let text: String = events.iter().filter_map(|event| event["TextDelta"].as_str()).collect();
        assert_eq!(text, words);
        assert_eq!(events.last().expect("the end")["Done"]["turn"]["text"], json!(words));
        let batches: Vec<u64> = pieces["batches"].as_array().expect("sizes").iter().filter_map(Value::as_u64).collect();
        assert!(batches.iter().all(|size| *size <= 32) && batches.len() < events.len(), "{batches:?}");
        assert_eq!(pieces["over"], true, "there is more after the end");

        let request = with(says("Add milk and eggs"), json!({ "tools": tools, "temperature": 0.5 }));
        let whole = &ask(&host, "/complete", Some("ada"), &request).await["ok"];
        assert_eq!(whole["turn"]["tool_calls"][1]["arguments"], json!("{\"title\":\"eggs\"}"));
        // What the guest left open is the alias's, and the real name is the host's.
        assert_eq!((&model.last()["model"], &model.last()["max_tokens"]), (&json!("gpt-4.1-mini"), &json!(4_096)));
        host.stop().await;
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_granted_aliases_are_asked_and_the_first_when_none_is_named() {
    let model = OpenAi::start(vec![Turn::text("small"), Turn::text("default")]).await;
    let named = |alias: &str| {
        let (url, key) = (model.url(), "key = \"env:OPENAI_API_KEY\"");
        format!(
            "[llm.models.{alias}]\nmodel = \"{alias}-1\"\nbase_url = \"{url}\"\n{key}\nquirks = {{ images = false }}\n"
        )
    };
    let module = "[[module]]\nname = \"p\"\nsource = \"replaced\"\ngrants = { llm = [\"small\", \"default\"] }\n";
    let setup = Setup::guest("llm-probe").file(&named("small")).file(&named("large")).file(module);
    let host = with_model(setup, &model).start().await;
    let all: Value = host.get("/models").send().await.expect("an answer").json().await.expect("JSON");
    let aliases: Vec<&Value> = all.as_array().expect("a list").iter().map(|model| &model["alias"]).collect();
    assert_eq!(aliases, ["small", "default"]);
    assert_eq!((&all[0]["images"], &all[1]["images"]), (&json!(false), &json!(true)));

    let refused = ask(&host, "/complete", None, &with(says("Hi"), json!({ "model": "large" }))).await;
    assert_eq!(refused["error"]["ModelNotAllowed"], "large");
    let refused = ask(&host, "/complete", None, &with(says("Hi"), json!({ "model": "small-1" }))).await;
    assert_eq!(refused["error"]["ModelNotAllowed"], "small-1");
    assert_eq!(ask(&host, "/complete", None, &says("Hi")).await["ok"]["model"], "small");
    assert_eq!(model.last()["model"], "small-1");
    let named = ask(&host, "/complete", None, &with(says("Hi"), json!({ "model": "default" }))).await;
    assert_eq!(named["ok"]["model"], "default");
    host.stop().await;
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_a_module_is_served_and_told_which_variable_is_missing() {
    for (grant, said) in [("[\"default\"]", "set OPENAI_API_KEY"), ("[]", "add llm = [\"default\"] to its grants")] {
        let module = format!("[[module]]\nname = \"p\"\nsource = \"replaced\"\ngrants = {{ llm = {grant} }}\n");
        let host = Setup::guest("llm-probe").file(&module).start().await;
        let models = host.get("/models").send().await.expect("an answer").json::<Value>().await.expect("JSON");
        assert_eq!(models, json!([]));
        for path in ["/complete", "/open"] {
            let refused = ask(&host, path, None, &says("Hi")).await;
            let what = refused["error"]["NotConfigured"].as_str().unwrap_or_else(|| panic!("not {refused}"));
            assert!(what.contains(said), "{what}");
        }
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_no_server_takes_is_not_sent_and_not_counted() {
    let model = OpenAi::start(vec![]).await;
    let host = setup(&model, "", "").start().await;
    let unanswered = json!({ "Assistant": { "text": null, "refusal": null, "continuation": null, "tool_calls":
        [{ "id": "call_1", "name": "add", "arguments": "{}", "arguments_valid": true }] } });
    let cases = [
        (json!({ "messages": [] }), "0 messages"),
        (json!({ "messages": [unanswered] }), "the call `call_1` has no answer"),
        (json!({ "messages": [{ "Tool": { "call_id": "x", "content": "y" } }] }), "is not open there"),
        (json!({ "tool_choice": "Required" }), "there is none"),
        (json!({ "temperature": 3.0 }), "temperature"),
        (json!({ "max_output_tokens": 0 }), "max-output-tokens"),
    ];
    for (fields, expected) in cases {
        let refused = ask(&host, "/complete", Some("ada"), &with(says("Hi"), fields)).await;
        let what = refused["error"]["InvalidRequest"].as_str().unwrap_or_else(|| panic!("not {refused}"));
        assert!(what.contains(expected), "{what}");
    }
    let refused = ask(&host, "/complete", Some("ada"), &with(says("Hi"), json!({ "effort": "High" }))).await;
    assert!(refused["error"]["FeatureNotAllowed"].is_string(), "{refused}");
    assert_eq!(super::probe::used(&host, Some("ada"), "Caller", "Requests").await, 0);
    host.stop().await;
    assert_eq!(model.requests().len(), 0);
    model.finish();
}
