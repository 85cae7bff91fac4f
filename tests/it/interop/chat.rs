//! The chat of the todo guest before a model's server that others wrote, and its
//! ChatKit events before the types that others read them with.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::aimock::Aimock;
use crate::harness::{As, Database, Setup, TestHost};

async fn host(model: &Aimock, database: Database, dialect: &str) -> TestHost {
    let setup = Setup::guest("todo").on(database).env("OPENAI_BASE_URL", &model.url());
    setup.env("OPENAI_API_KEY", "sk-interop").env("INNKEEPER_LLM_DIALECT", dialect).start().await
}

async fn say(host: &TestHost, conversation: &Value, message: &str) -> (u16, Value) {
    let body = json!({ "message": message, "conversation_id": conversation });
    let answer = host.post("/api/ada/chat", &body).by("ada").send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// The names and data of an answer's events.
async fn events(host: &TestHost, message: &str) -> Vec<(String, Value)> {
    let request = host.post("/api/chat", &json!({ "message": message })).by("ada");
    let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
    let text = answer.text().await.expect("text");
    let blocks = text.split("\n\n").filter_map(|block| block.strip_prefix("event: ")?.split_once("\ndata: "));
    blocks.map(|(name, data)| (name.to_owned(), serde_json::from_str(data).expect("JSON"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_added_listed_and_deleted_in_words() {
    let model = Aimock::start().await;
    for database in Database::BOTH {
        for dialect in ["chat", "responses"] {
            let host = host(&model, database, dialect).await;
            let (status, added) = say(&host, &Value::Null, "add milk and eggs").await;
            assert_eq!(status, 200, "{dialect}: {added}");
            assert_eq!(added["response"], "Added milk and eggs: 牛乳と卵.");
            let titles: Vec<&Value> =
                added["tool_calls"].as_array().expect("a list").iter().map(|call| &call["args"]["title"]).collect();
            assert_eq!(titles, ["milk", "eggs"]);
            let (_, left) = say(&host, &added["conversation_id"], "what is left?").await;
            assert_eq!(left["tool_calls"][0]["result"]["tasks"].as_array().map(Vec::len), Some(2), "{left}");
            let gone = events(&host, "delete the milk").await;
            let (name, done) = gone.last().expect("an end");
            assert_eq!((name.as_str(), &done["response"]), ("done", &json!("Milk is gone.")), "{gone:?}");
            let tasks = host.get("/api/ada/tasks").by("ada").send().await.expect("an answer");
            let tasks: Value = tasks.json().await.expect("JSON");
            assert_eq!((tasks.as_array().map(Vec::len), &tasks[0]["title"]), (Some(1), &json!("eggs")));
        }
    }
    assert!(model.requests().await.len() >= 24, "every turn was asked of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_refusals_and_cuts_are_told_as_what_they_are() {
    let model = Aimock::start().await;
    let host = host(&model, Database::Sqlite, "chat").await;
    let body = json!({ "message": "rate me" });
    let limited = host.post("/api/chat", &body).by("ada").send().await.expect("an answer");
    // The provider is busy, which is not the caller's doing.
    assert_eq!(limited.status(), 503);
    assert!(limited.headers()["retry-after"].to_str().expect("ASCII").parse::<u32>().expect("seconds") > 0);
    let cut = events(&host, "cut me").await;
    let names: Vec<&str> = cut.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"delta") && names.last() == Some(&"error"), "{cut:?}");
}

/// Reads what was sent with ChatKit's own types, and tells what it was.
async fn read_by_chatkit(lines: &[Value]) -> Value {
    let folder = std::env::var("INNKEEPER_TEST_INTEROP").expect("run this by `cargo xtask interop`");
    let mut python = Command::new(format!("{folder}/python/bin/python"))
        .arg("read_chatkit.py")
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut stdin = python.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).await.expect("written");
    drop(stdin);
    let read = python.wait_with_output().await.expect("it ends");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).expect("JSON")
}

async fn stream(host: &TestHost, kind: &str, params: Value) -> Vec<Value> {
    let answer = host.post("/chatkit", &json!({ "type": kind, "params": params })).by("ada").send().await;
    let text = answer.expect("an answer").text().await.expect("text");
    let data = text.split("\n\n").filter_map(|block| block.strip_prefix("data: "));
    data.map(|event| json!({ "kind": "event", "value": serde_json::from_str::<Value>(event).expect("JSON") })).collect()
}

async fn one(host: &TestHost, kind: &str, params: Value, is: &str) -> Value {
    let answer = host.post("/chatkit", &json!({ "type": kind, "params": params })).by("ada").send().await;
    json!({ "kind": is, "value": answer.expect("an answer").json::<Value>().await.expect("JSON") })
}

fn input(text: &str) -> Value {
    json!({ "content": [{ "type": "input_text", "text": text }], "quoted_text": "", "attachments": [], "inference_options": {} })
}

#[tokio::test(flavor = "multi_thread")]
async fn chatkit_reads_every_event_and_every_page() {
    let model = Aimock::start().await;
    let host = host(&model, Database::Postgres, "chat").await;
    let mut sent = stream(&host, "threads.create", json!({ "input": input("add milk and eggs") })).await;
    sent.extend(
        stream(&host, "threads.add_user_message", json!({ "thread_id": "thr_1", "input": input("what is left?") }))
            .await,
    );
    // Broken off in the middle, which is an event of its own.
    sent.extend(
        stream(&host, "threads.add_user_message", json!({ "thread_id": "thr_1", "input": input("cut me") })).await,
    );
    sent.push(one(&host, "threads.get_by_id", json!({ "thread_id": "thr_1" }), "thread").await);
    sent.push(one(&host, "threads.update", json!({ "thread_id": "thr_1", "title": "Shopping" }), "thread").await);
    sent.push(one(&host, "threads.list", json!({}), "threads").await);
    sent.push(one(&host, "items.list", json!({ "thread_id": "thr_1", "limit": 2 }), "items").await);
    let read = read_by_chatkit(&sent).await;
    println!("    ChatKit read {} lines: {read}", sent.len());
    for kind in
        ["thread.created", "thread.item.added", "thread.item.updated", "thread.item.done", "thread.updated", "error"]
    {
        assert!(read[kind].as_u64() > Some(0), "no {kind} in {read}");
    }
}
