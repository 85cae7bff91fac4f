//! The chat of the todo guest, with a model that follows a script: what is said is
//! kept, what is asked for is done once, and nobody reads what is another's.

mod approvals;
mod chatkit;
mod endings;
mod faults;
mod kept;
mod strangers;
mod streams;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::harness::{As, Database, KEY, OpenAi, Setup, TestHost, Turn};

/// A todo host whose model is this one.
fn setup(model: &OpenAi, database: Database) -> Setup {
    configured(model, database, "")
}

/// The same, with lines of the module's `config` and what follows it.
fn configured(model: &OpenAi, database: Database, config: &str) -> Setup {
    let file = format!(
        "[[module]]\nname = \"todo\"\nsource = \"replaced\"\n\
         grants = {{ sql = \"main\", accounts = false, llm = [\"default\"], toolbox = [] }}\n[module.config]\n{config}\n"
    );
    let setup = Setup::guest("todo").file(&file).on(database);
    setup.env("OPENAI_BASE_URL", &model.url()).env("OPENAI_API_KEY", KEY)
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Says something as Ada, and gives a good answer.
async fn say(host: &TestHost, conversation: Option<i64>, message: &str) -> Value {
    let body = json!({ "message": message, "conversation_id": conversation });
    let (status, answer) = answer(host.post("/api/ada/chat", &body).by("ada")).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// What Ada gets from a path.
async fn get(host: &TestHost, path: &str) -> Value {
    let (status, answer) = answer(host.get(path).by("ada")).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// The titles of Ada's tasks, newest first.
async fn titles(host: &TestHost) -> Vec<String> {
    let tasks = get(host, "/api/ada/tasks").await;
    let title = |task: &Value| task["title"].as_str().expect("a title").to_owned();
    tasks.as_array().expect("a list").iter().map(title).collect()
}

/// The events of an answer: their names and what they say.
async fn events(request: RequestBuilder) -> Vec<(String, Value)> {
    let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
    parse(&answer.text().await.expect("a text"))
}

fn parse(stream: &str) -> Vec<(String, Value)> {
    let blocks = stream.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':'));
    let event = |block: &str| {
        let (name, data) = block.split_once('\n').expect("two lines");
        let name = name.strip_prefix("event: ").expect("a name").to_owned();
        (name, serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON"))
    };
    blocks.map(event).collect()
}

/// The name of each event, those in a row told once.
fn names(events: &[(String, Value)]) -> Vec<&str> {
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    names
}

/// All text of the events together.
fn text(events: &[(String, Value)]) -> String {
    let deltas = events.iter().filter(|(name, _)| name == "delta");
    deltas.map(|(_, data)| data["delta"].as_str().expect("a text")).collect()
}

/// What the model read as the result of a call, in its last request.
fn result_for_model(model: &OpenAi) -> Value {
    let request = model.last();
    let messages = request["messages"].as_array().expect("messages");
    let result = messages.iter().rev().find(|message| message["role"] == "tool").expect("a result");
    serde_json::from_str(result["content"].as_str().expect("a text")).expect("JSON")
}

fn add(title: &str) -> Turn {
    Turn::calls([("add_task", json!({ "title": title }))])
}

/// The exchange of the issue, by JSON, with the host stopped after each answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_added_listed_and_deleted_in_words_across_restarts() {
    for database in Database::BOTH {
        let model = OpenAi::start(vec![add("milk"), Turn::text("Added milk.")]).await;
        let host = setup(&model, database).start().await;
        let added = say(&host, None, "add milk").await;
        let id = added["conversation_id"].as_i64().expect("a number");
        assert_eq!((&added["response"], &added["finish_reason"]), (&json!("Added milk."), &json!("stop")));
        let call = &added["tool_calls"][0];
        assert_eq!(call["result"]["task_id"], 1, "{added}");
        for name in ["name", "tool", "tool_name"] {
            assert_eq!(call[name], "add_task");
        }
        for arguments in ["arguments", "args", "parameters"] {
            assert_eq!(call[arguments], json!({ "title": "milk" }));
        }
        assert_eq!(call["function"]["arguments"], r#"{"title":"milk"}"#);
        assert_eq!(titles(&host).await, ["milk"]);
        assert_eq!(added["usage"]["total_tokens"], 190, "two turns of 75 and 20: {added}");

        let (_, kept) = host.stop().await;
        let host = setup(&model, database).start_with(kept).await.expect("it starts again");
        model.then([Turn::calls([("list_tasks", json!({ "status": "pending" }))]), Turn::text("Milk is left.")]);
        let listed = say(&host, Some(id), "what is left?").await;
        let result = &listed["tool_calls"][0]["result"];
        assert_eq!((&result["success"], &result["tasks"][0]["title"]), (&json!(true), &json!("milk")));

        let (_, kept) = host.stop().await;
        let host = setup(&model, database).start_with(kept).await.expect("it starts again");
        model.then([Turn::calls([("delete_task", json!({ "task_id": 1 }))]), Turn::text("Milk is gone.")]);
        let deleted = say(&host, Some(id), "delete it").await;
        assert_eq!(deleted["tool_calls"][0]["result"]["status"], "deleted");
        assert!(titles(&host).await.is_empty());

        // The model was told all of it, and nothing of the host's own.
        let messages = model.last()["messages"].as_array().expect("messages").clone();
        let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().expect("a role")).collect();
        let turn = ["user", "assistant", "tool", "assistant"];
        assert_eq!(roles, [&["system"][..], &turn, &turn, &turn[..3]].concat());
        let kept = get(&host, &format!("/api/ada/conversations/{id}")).await;
        assert_eq!((&kept["title"], &kept["message_count"]), (&json!("add milk"), &json!(6)));
        model.finish();
    }
}

/// The same exchange as events, each turn by another replica.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_go_on_with_each_others_conversations() {
    let model = OpenAi::start(vec![add("milk"), Turn::text("Added milk.")]).await;
    let one = setup(&model, Database::Postgres).start().await;
    let two = setup(&model, Database::Postgres).start_with(one.database.clone()).await.expect("another replica");
    let said = |message: &str, id: &Value| json!({ "message": message, "conversation_id": id });

    let added = events(one.post("/api/chat", &said("add milk", &Value::Null)).by("ada")).await;
    assert_eq!(names(&added), ["start", "tool_call", "tool_result", "delta", "usage", "done"]);
    let id = added[0].1["conversation_id"].clone();
    let call = |name: &str| &added.iter().find(|(known, _)| known == name).expect("there").1;
    assert_eq!(call("tool_call")["id"], call("tool_result")["id"]);
    assert_eq!(call("tool_call").get("result"), None);
    assert_eq!(text(&added), "Added milk.");

    model.then([Turn::calls([("list_tasks", json!({}))]), Turn::text("Milk is left.")]);
    let listed = events(two.post("/api/chat", &said("what is left?", &json!(id.to_string()))).by("ada")).await;
    let done = &listed.last().expect("an end").1;
    assert_eq!(done["tool_calls"][0]["result"]["tasks"][0]["title"], "milk");

    model.then([Turn::calls([("delete_task", json!({ "task_id": 1 }))]), Turn::text("Milk is gone.")]);
    let deleted = events(one.post("/api/ada/chat", &said("delete it", &id)).by("ada")).await;
    assert_eq!(deleted.last().expect("an end").1["response"], "Milk is gone.");
    assert!(titles(&two).await.is_empty());
    model.finish();
}

/// Every argument that the tools have, and that the task of the REST API is the
/// same one.
#[tokio::test(flavor = "multi_thread")]
async fn tools_do_what_the_rest_api_does() {
    for database in Database::BOTH {
        let whole = json!({"title": "milk", "description": "2 l", "priority": "high", "due_date": "2030-05-01", "tags": ["shop"]});
        let change = json!({"task_id": 1, "title": "oat milk", "description": "", "due_date": "", "completed": null, "priority": null, "tags": null});
        let model = OpenAi::start(vec![
            Turn::calls([("add_task", whole), ("add_task", json!({"title": "eggs", "user_id": "eve"}))]),
            Turn::calls([("update_task", change)]),
            Turn::calls([("complete_tasks", json!({"task_ids": [2, 1, 2, 99]}))]),
            Turn::calls([("complete_task", json!({"task_id": 2, "completed": false}))]),
            Turn::calls([("search_tasks", json!({"query": "MILK"}))]),
            Turn::calls([("list_tasks", json!({"tags": ["shop"], "sort_by": "title", "status": "completed"}))]),
            Turn::text("Done."),
        ])
        .await;
        let host = setup(&model, database).start().await;
        let answer = say(&host, None, "do all of it").await;
        let calls = answer["tool_calls"].as_array().expect("calls");
        assert!(calls.iter().all(|call| call["result"]["success"] == true), "{answer}");
        assert_eq!(calls[3]["result"]["not_found"], json!([99]));
        assert_eq!(calls[4]["result"]["status"], "pending");
        for found in &calls[5..] {
            assert_eq!((&found["result"]["total"], &found["result"]["tasks"][0]["id"]), (&json!(1), &json!(1)));
        }
        let task = get(&host, "/api/ada/tasks/1").await;
        assert_eq!(
            (&task["title"], &task["description"], &task["due_date"], &task["priority"], &task["completed"]),
            (&json!("oat milk"), &Value::Null, &Value::Null, &json!("high"), &json!(true)),
        );
        assert_eq!(get(&host, "/api/ada/tasks/2").await["user_id"], "ada", "whatever the model says");
        model.finish();
    }
}
