//! How a turn ends that does not end as it should.

use super::*;

/// Every call has its answer, in fixed words, and the model goes on.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_cannot_be_made_are_answered_and_do_nothing() {
    let model = OpenAi::start(vec![
        Turn::calls([
            ("make_coffee", json!({})),
            ("add_task", json!({})),
            ("add_task", json!({"title": "x", "color": "red"})),
            ("add_task", json!({"title": ""})),
            ("delete_task", json!({"task_id": "1"})),
            ("delete_task", json!({"task_id": 99})),
        ])
        .and_call("c7", "add_task", "{\"title\": \"mi")
        .and_call("c8", "add_task", "[]"),
        Turn::text("I could do none of that."),
    ])
    .await;
    let host = setup(&model, Database::Sqlite).start().await;
    let answer = say(&host, None, "do something strange").await;
    let errors: Vec<&str> = answer["tool_calls"]
        .as_array()
        .expect("calls")
        .iter()
        .map(|call| call["result"]["error"].as_str().unwrap_or_else(|| panic!("{call}")))
        .collect();
    for (error, expected) in errors.iter().zip([
        "There is no tool of this name.",
        "The arguments do not fit: missing field `title`.",
        "unknown field `color`",
        "title: String should have at least 1 character",
        "invalid type: string \"1\", expected i64",
        "Task 99 not found.",
        "The arguments are not a JSON object.",
        "The arguments are not a JSON object.",
    ]) {
        assert!(error.contains(expected), "no `{expected}` in `{error}`");
    }
    assert_eq!(errors.len(), 8);
    assert!(titles(&host).await.is_empty());
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_never_stops_calling_is_stopped_with_a_last_answer() {
    let model = OpenAi::answering(|request| match request["tool_choice"] == "none" {
        true => Turn::text("That was enough."),
        false => {
            let said = request["messages"].as_array().expect("messages").len();
            Turn::calls([("list_tasks", json!({ "limit": said }))])
        }
    })
    .await;
    let host = setup(&model, Database::Sqlite).start().await;
    let answer = say(&host, None, "go on for ever").await;
    assert_eq!((&answer["finish_reason"], &answer["response"]), (&json!("max_turns"), &json!("That was enough.")));
    assert_eq!(answer["tool_calls"].as_array().expect("calls").len(), 10);
    assert_eq!(model.requests().len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_is_made_twice_and_no_more() {
    let model = OpenAi::answering(|request| match request["tool_choice"] == "none" {
        true => Turn::text(""),
        false => add("milk"),
    })
    .await;
    let host = setup(&model, Database::Sqlite).start().await;
    let answer = say(&host, None, "add milk").await;
    assert_eq!(answer["finish_reason"], "repeated_call");
    assert!(answer["response"].as_str().expect("a text").starts_with("I stopped here"), "{answer}");
    assert_eq!(titles(&host).await, ["milk", "milk"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_cut_answers_are_told_apart() {
    for (turn, finish, response) in [
        (Turn::refusal("I will not."), "refusal", "I will not."),
        (Turn::text("As I was say").finish("length"), "length", "As I was say"),
        (Turn::text("Well").finish("content_filter"), "content_filter", "Well"),
        (Turn::text(""), "stop", "I have no answer to that."),
    ] {
        let model = OpenAi::start(vec![turn]).await;
        let host = setup(&model, Database::Sqlite).start().await;
        let answer = say(&host, None, "well?").await;
        assert_eq!((&answer["finish_reason"], &answer["response"]), (&json!(finish), &json!(response)));
        let kept = get(&host, "/api/ada/conversations/1/messages").await;
        assert_eq!((&kept[1]["finish_reason"], &kept[1]["content"]), (&json!(finish), &json!(response)));
        model.finish();
    }
}

/// Without a key the chat says what is missing, keeps nothing, and all else works.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_the_chat_says_what_is_missing() {
    let host = Setup::guest("todo").start().await;
    let said = json!({ "message": "hello" });
    let (status, answer) = answer(host.post("/api/ada/chat", &said).by("ada")).await;
    assert_eq!(status, 503);
    assert!(answer["detail"].as_str().expect("a sentence").contains("OPENAI_API_KEY"), "{answer}");
    let streamed = host.post("/api/chat", &said).by("ada").header("accept", "text/event-stream").send().await;
    assert_eq!(streamed.expect("an answer").status().as_u16(), 503);
    let said =
        json!({"type": "threads.create", "params": {"input": {"content": [{"type": "input_text", "text": "hi"}]}}});
    let events = host.post("/chatkit", &said).by("ada").send().await.expect("an answer");
    assert_eq!(events.status().as_u16(), 200);
    let events = events.text().await.expect("a text");
    assert!(events.contains("\"type\":\"error\"") && events.contains("OPENAI_API_KEY"), "{events}");
    assert_eq!(get(&host, "/api/conversations").await, json!([]));
    assert_eq!(super::answer(host.post("/api/ada/tasks", &json!({ "title": "milk" })).by("ada")).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_used_up_is_429_with_the_time_to_come_back() {
    let model = OpenAi::start(vec![Turn::text("Hello.")]).await;
    let budgets = "[llm.budgets]\ncaller = { requests_per_minute = 1 }\n";
    let host = configured(&model, Database::Sqlite, budgets).start().await;
    // A minute may end between two requests, but not between three.
    let mut refused = None;
    say(&host, None, "hello").await;
    for _ in 0..2 {
        let request = host.post("/api/ada/chat", &json!({ "message": "again" })).by("ada");
        let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
        if answer.status().as_u16() == 429 {
            refused = Some(answer);
            break;
        }
        model.faults();
    }
    let refused = refused.expect("a refusal");
    let seconds: u64 = refused.headers()["retry-after"].to_str().expect("text").parse().expect("a number");
    assert!((1..=60).contains(&seconds), "{seconds}");
    let body: Value = refused.json().await.expect("JSON");
    assert!(body["detail"].is_string() && body["conversation_id"].is_i64(), "{body}");
    // What was said is kept, and told apart from what was answered.
    let kept = get(&host, &format!("/api/conversations/{}/messages", body["conversation_id"])).await;
    assert_eq!((kept.as_array().expect("a list").len(), &kept[0]["content"]), (1, &json!("again")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_reached_is_told_as_such() {
    for (turn, status) in [
        (Turn::error(401, "invalid_api_key", "Incorrect API key provided: sk-te****2mWx"), 502),
        (Turn::error(400, "context_length_exceeded", "too long"), 400),
        (Turn::error(404, "model_not_found", "no such model"), 502),
    ] {
        let model = OpenAi::start(vec![turn]).await;
        let host = setup(&model, Database::Sqlite).start().await;
        let request = host.post("/api/ada/chat", &json!({ "message": "hello" })).by("ada");
        let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status);
        let body = answer.text().await.expect("a text");
        assert!(!body.contains("sk-") && body.contains("\"conversation_id\":1"), "{body}");
        // And it goes on when the model is back.
        model.then([Turn::text("Here I am.")]);
        let answer = say(&host, Some(1), "and now?").await;
        assert_eq!(answer["response"], "Here I am.");
        let told = model.last().to_string();
        assert!(told.contains("This message was not answered"), "{told}");
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_before_anything_is_kept() {
    let model = OpenAi::start(Vec::new()).await;
    let host = configured(&model, Database::Sqlite, "message_max = \"10\"").start().await;
    for (body, status) in [
        (json!({}), 422),
        (json!({ "message": "" }), 422),
        (json!({ "message": " \n" }), 422),
        (json!({ "message": "12345678901" }), 422),
        (json!({ "message": "hi", "conversation_id": "abc" }), 422),
        (json!({ "message": "hi", "conversation_id": 99 }), 404),
        (json!({ "message": "hi", "conversation_id": "99" }), 404),
    ] {
        let (got, answer) = answer(host.post("/api/ada/chat", &body).by("ada")).await;
        assert_eq!(got, status, "{body}: {answer}");
        if status == 404 {
            assert_eq!(answer, json!({ "detail": "Conversation not found" }));
        }
    }
    let nobody = answer(host.post("/api/ada/chat", &json!({ "message": "hi" }))).await;
    assert_eq!(nobody, (401, json!({ "detail": "Not authenticated" })));
    assert_eq!(answer(host.post("/api/bob/chat", &json!({ "message": "hi" })).by("ada")).await.0, 403);
    assert_eq!(get(&host, "/api/conversations").await, json!([]));
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_what_they_say() {
    let model = OpenAi::start(vec![Turn::text("Ahoy.")]).await;
    let config = "chat_reply_key = \"both\"\nchat_instructions = \"Talk like a pirate.\"\ndelete_status = \"204\"";
    let host = configured(&model, Database::Sqlite, config).start().await;
    let answer = say(&host, None, "hello").await;
    assert_eq!((&answer["response"], &answer["message"]), (&json!("Ahoy."), &json!("Ahoy.")));
    let system = &model.last()["messages"][0];
    assert!(system["role"] == "system" && system["content"].as_str().expect("text").contains("Talk like a pirate."));
    let deleted = host.request(reqwest::Method::DELETE, "/api/conversations/1").by("ada").send().await;
    assert_eq!(deleted.expect("an answer").status().as_u16(), 204);
    model.finish();
    for wrong in ["chat_approval = \"delete\"", "message_max = \"0\"", "chat_reply_key = \"message\""] {
        let model = OpenAi::start(Vec::new()).await;
        let host = configured(&model, Database::Sqlite, wrong).start().await;
        let said = host.post("/api/ada/chat", &json!({ "message": "hi" })).by("ada");
        assert_eq!(super::answer(said).await.0, 500, "{wrong}");
    }
}
