//! ChatKit's protocol: the same conversations in another form.

use super::*;

fn create(text: &str) -> Value {
    json!({"type": "threads.create", "params": {"input": {
        "content": [{"type": "input_text", "text": text}], "quoted_text": "", "attachments": [], "inference_options": {}}}})
}

fn add_message(thread: &str, text: &str) -> Value {
    json!({"type": "threads.add_user_message", "params": {"thread_id": thread, "input": {
        "content": [{"type": "input_text", "text": text}], "attachments": [], "inference_options": {}}}})
}

async fn stream(host: &TestHost, body: &Value) -> Vec<Value> {
    let answer = host.post("/chatkit", body).by("ada").send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
    let text = answer.text().await.expect("a text");
    let frames = text.split("\n\n").filter(|frame| !frame.is_empty() && !frame.starts_with(':'));
    frames.map(|frame| serde_json::from_str(frame.strip_prefix("data: ").expect("data alone")).expect("JSON")).collect()
}

async fn ask(host: &TestHost, kind: &str, params: Value) -> Value {
    let (status, answer) =
        answer(host.post("/api/chatkit", &json!({ "type": kind, "params": params })).by("ada")).await;
    assert_eq!(status, 200, "{kind}: {answer}");
    answer
}

/// What each event is, those in a row told once.
fn kinds(events: &[Value]) -> Vec<String> {
    let kind = |event: &Value| match (event["type"].as_str().expect("a type"), event["update"]["type"].as_str()) {
        ("thread.item.updated", Some(update)) => update.replace("assistant_message.", ""),
        ("thread.item.done", _) => format!("done {}", event["item"]["type"].as_str().expect("a type")),
        (kind, _) => kind.to_owned(),
    };
    let mut kinds: Vec<String> = events.iter().map(kind).collect();
    kinds.dedup();
    kinds
}

fn has_no_null(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().all(has_no_null),
        Value::Object(fields) => fields.values().all(has_no_null),
        _ => true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_begins_in_the_order_of_the_reference_server() {
    for database in Database::BOTH {
        let model = OpenAi::start(vec![Turn::text("Added task."), add("milk"), Turn::text("Added milk.")]).await;
        let host = setup(&model, database).start().await;
        let events = stream(&host, &create("add buy milk")).await;
        assert_eq!(
            kinds(&events),
            [
                "thread.created",
                "done user_message",
                "stream_options",
                "thread.item.added",
                "content_part.added",
                "content_part.text_delta",
                "content_part.done",
                "done assistant_message",
                "thread.updated",
            ],
        );
        assert!(events.iter().all(has_no_null), "{events:?}");
        assert_eq!(events[0]["thread"]["status"], json!({ "type": "active" }));
        assert_eq!(events[0]["thread"].get("title"), None);
        assert_eq!(events.last().expect("an end")["thread"]["title"], "add buy milk");
        let added = events.iter().find(|event| event["type"] == "thread.item.added").expect("there");
        let done = &events[events.len() - 2]["item"];
        assert_eq!((&added["item"]["id"], &added["item"]["created_at"]), (&done["id"], &done["created_at"]));
        assert_eq!(done["content"], json!([{ "annotations": [], "text": "Added task.", "type": "output_text" }]));

        let more = stream(&host, &add_message("thr_1", "and milk")).await;
        assert_eq!(kinds(&more)[..3], ["done user_message", "stream_options", "progress_update"]);
        assert_eq!(kinds(&more).last().expect("an end"), "done assistant_message");
        assert_eq!(titles(&host).await, ["milk"]);
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_show_up_here_and_threads_there() {
    for database in Database::BOTH {
        let model = OpenAi::answering(|_| Turn::text("Hello.")).await;
        let host = setup(&model, database).start().await;
        for message in ["one", "two", "three"] {
            say(&host, None, message).await;
        }
        stream(&host, &add_message("thr_2", "more of two")).await;
        stream(&host, &create("four")).await;
        let kept = get(&host, "/api/conversations/2/messages").await;
        let said: Vec<&Value> = kept.as_array().expect("a list").iter().map(|message| &message["content"]).collect();
        assert_eq!(said, ["two", "Hello.", "more of two", "Hello."]);

        let ids = |page: &Value| -> Vec<String> {
            page["data"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|each| each["id"].as_str().expect("an id").to_owned())
                .collect()
        };
        let threads = ask(&host, "threads.list", json!({})).await;
        assert_eq!(ids(&threads), ["thr_4", "thr_3", "thr_2", "thr_1"]);
        assert_eq!((&threads["has_more"], threads.get("after")), (&json!(false), None));
        let first = ask(&host, "threads.list", json!({"limit": 3, "order": "asc"})).await;
        assert_eq!(
            (ids(&first), &first["after"]),
            (vec!["thr_1".into(), "thr_2".into(), "thr_3".into()], &json!("thr_3"))
        );
        let rest = ask(&host, "threads.list", json!({"limit": 3, "order": "asc", "after": "thr_3"})).await;
        assert_eq!((ids(&rest), &rest["has_more"]), (vec!["thr_4".into()], &json!(false)));

        // Every page, either way, gives each item once.
        let whole = ask(&host, "threads.get_by_id", json!({"thread_id": "thr_2"})).await;
        let ascending = ids(&whole["items"]);
        assert_eq!(ascending.len(), 4);
        for (order, expected) in [("asc", ascending.clone()), ("desc", ascending.iter().rev().cloned().collect())] {
            let (mut after, mut seen) = (Value::Null, Vec::new());
            loop {
                let page =
                    ask(&host, "items.list", json!({"thread_id": "thr_2", "limit": 1, "order": order, "after": after}))
                        .await;
                seen.extend(ids(&page));
                match page.get("after") {
                    Some(next) => after = next.clone(),
                    None => break,
                }
            }
            assert_eq!(seen, expected, "{order}");
        }

        let renamed = ask(&host, "threads.update", json!({"thread_id": "thr_2", "title": "renamed"})).await;
        assert_eq!(renamed["title"], "renamed");
        assert_eq!(get(&host, "/api/conversations/2").await["title"], "renamed");
        assert_eq!(ask(&host, "threads.delete", json!({"thread_id": "thr_2"})).await, json!({}));
        assert_eq!(answer(host.get("/api/conversations/2").by("ada")).await.0, 404);
        assert_eq!(
            ask(&host, "items.feedback", json!({"thread_id": "thr_1", "item_ids": ["msg_1r"], "kind": "negative"}))
                .await,
            json!({})
        );
        assert_eq!(host.database.meddle("todo", "SELECT 1 FROM messages WHERE feedback = 'negative'").await, 1);
    }
}

/// What goes wrong in a turn is an event, and what was said before it stays.
#[tokio::test(flavor = "multi_thread")]
async fn failures_are_events_and_can_be_tried_again() {
    let model = OpenAi::start(vec![add("milk"), Turn::text("Added it, and").cut_after(3)]).await;
    let host = setup(&model, Database::Postgres).start().await;
    let events = stream(&host, &create("add milk")).await;
    let kinds_seen = kinds(&events);
    assert_eq!(kinds_seen[kinds_seen.len() - 3..], ["content_part.done", "done assistant_message", "error"]);
    let error = events.last().expect("an end");
    assert_eq!((&error["code"], &error["allow_retry"]), (&json!("custom"), &json!(true)), "{error}");

    model.then([Turn::text("Added milk.")]);
    let retry = json!({"type": "threads.retry_after_item", "params": {"thread_id": "thr_1", "item_id": "msg_1"}});
    let again = stream(&host, &retry).await;
    assert_eq!(kinds(&again)[..3], ["thread.item.removed", "stream_options", "thread.item.added"]);
    assert_eq!(again.last().expect("an end")["item"]["content"][0]["text"], "Added milk.");
    assert_eq!(titles(&host).await, ["milk"], "its tools are not run again");

    // An end that was good can be had in other words.
    model.then([Turn::text("Milk is on the list.")]);
    stream(&host, &retry).await;
    let kept = get(&host, "/api/conversations/1/messages").await;
    assert_eq!((kept.as_array().expect("a list").len(), &kept[1]["content"]), (2, &json!("Milk is on the list.")));
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_does_not_know_is_refused() {
    let model = OpenAi::start(Vec::new()).await;
    let host = configured(&model, Database::Sqlite, "message_max = \"10\"").start().await;
    for body in [
        json!({"type": "threads.custom_action", "params": {"thread_id": "thr_1"}}),
        json!({"type": "attachments.create", "params": {}}),
        json!({"type": "threads.create"}),
        json!({"type": "threads.create", "params": {"input": {"content": [], "attachments": ["att_1"]}}}),
        json!([]),
    ] {
        let (status, answer) = answer(host.post("/chatkit", &body).by("ada")).await;
        assert_eq!((status, answer["detail"].is_string()), (400, true), "{body}: {answer}");
    }
    assert_eq!(answer(host.post("/chatkit", &create("hi"))).await.0, 401);
    let long = stream(&host, &create("12345678901")).await;
    assert_eq!((&long[0]["code"], &long[0]["allow_retry"]), (&json!("custom"), &json!(false)));
    assert!(long[0]["message"].as_str().expect("a sentence").contains("at most 10 characters"), "{long:?}");
    assert_eq!(get(&host, "/api/conversations").await, json!([]));
    model.finish();
}

/// The component cannot approve anything, so it says where that is needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_is_told_in_words() {
    let model = OpenAi::start(vec![Turn::calls([("delete_task", json!({ "task_id": 1 }))])]).await;
    let host = configured(&model, Database::Sqlite, "chat_approval = \"delete_task\"").start().await;
    let events = stream(&host, &create("delete it")).await;
    let words = "This needs your approval: delete_task.";
    assert_eq!(events[events.len() - 2]["item"]["content"][0]["text"], words);
    let items = ask(&host, "items.list", json!({"thread_id": "thr_1"})).await;
    assert_eq!(items["data"][0]["content"][0]["text"], words);
    model.finish();
}
