//! Answers on their way.

use std::time::{Duration, Instant};

use super::*;
use crate::harness::report;

/// The first words arrive while the model is still talking.
#[tokio::test(flavor = "multi_thread")]
async fn words_go_out_as_they_come() {
    let model = OpenAi::start(vec![Turn::text("one two three four five").every(Duration::from_millis(200))]).await;
    let host = setup(&model, Database::Sqlite).start().await;
    let begun = Instant::now();
    let request = host.post("/api/chat", &json!({ "message": "count" })).by("ada");
    let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
    let head = begun.elapsed();
    for (name, value) in [("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no")] {
        assert_eq!(answer.headers()[name], value);
    }
    let (mut answer, mut seen, mut first) = (answer, String::new(), None);
    while let Some(chunk) = answer.chunk().await.expect("a chunk") {
        seen.push_str(std::str::from_utf8(&chunk).expect("text"));
        if seen.contains("one ") && first.is_none() {
            assert!(!seen.contains("two "), "more came at once: {seen}");
            first = Some(begun.elapsed());
        }
    }
    let (first, whole) = (first.expect("a first word"), begun.elapsed());
    report(&format!("chat: head after {head:?}, first word after {first:?}, all after {whole:?}"));
    assert!(first + Duration::from_millis(700) < whole, "{first:?} of {whole:?}");
    assert_eq!(text(&parse(&seen)), "one two three four five");
    model.finish();
}

/// Whatever a model writes can be stored, and is what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_every_kind_are_kept_as_they_went_out() {
    for database in Database::BOTH {
        let model =
            OpenAi::start(vec![Turn::pieces(["Grü", "ße\r\n\n", "data: 日本", "語 🎉 a\0b", "\u{2028}"])]).await;
        let host = setup(&model, database).start().await;
        let events = events(host.post("/api/chat", &json!({ "message": "\u{feff}grüß 🎉" })).by("ada")).await;
        let expected = "Grüße\r\n\ndata: 日本語 🎉 ab\u{2028}";
        assert_eq!(text(&events), expected);
        assert_eq!(events.last().expect("an end").1["response"], expected);
        let kept = get(&host, "/api/conversations/1/messages").await;
        assert_eq!((&kept[0]["content"], &kept[1]["content"]), (&json!("\u{feff}grüß 🎉"), &json!(expected)));
        model.finish();
    }
}

/// Whoever leaves takes the model's answer along, and can come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_can_go_on_later() {
    for database in Database::BOTH {
        let model = OpenAi::start(vec![add("milk"), Turn::text("Added milk, and").hang_after(3)]).await;
        let host = setup(&model, database).start().await;
        let request = host.post("/api/chat", &json!({ "message": "add milk" })).by("ada");
        let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
        let (mut answer, mut seen) = (answer, String::new());
        while !seen.contains("event: delta") {
            let chunk = answer.chunk().await.expect("a chunk").expect("more");
            seen.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
        drop(answer);
        model.until_cancelled(1).await;
        until_idle(&host).await;
        model.then([Turn::text("It was added.")]);
        assert_eq!(say(&host, Some(1), "did you?").await["response"], "It was added.");
        assert_eq!(titles(&host).await, ["milk"]);
        let told = model.last().to_string();
        assert!(told.contains("This answer was cut off here"), "{told}");
        model.finish();
    }
}

async fn until_idle(host: &TestHost) {
    let until = Instant::now() + Duration::from_secs(10);
    while host.running().await > 0 {
        assert!(Instant::now() < until, "a call runs on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the model had said is kept, and marked.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_kept_as_far_as_it_came() {
    for database in Database::BOTH {
        let model = OpenAi::start(vec![Turn::text("Half of an answer").cut_after(3)]).await;
        let host = setup(&model, database).start().await;
        let events = events(host.post("/api/chat", &json!({ "message": "hello" })).by("ada")).await;
        assert_eq!(names(&events), ["start", "delta", "error"]);
        let error = &events.last().expect("an end").1;
        assert_eq!((&error["status"], &error["conversation_id"]), (&json!(502), &json!(1)), "{error}");
        let kept = get(&host, "/api/conversations/1/messages").await;
        assert_eq!((&kept[1]["content"], &kept[1]["finish_reason"]), (&json!(text(&events)), &json!("interrupted")));
        model.then([Turn::text("Half again").cut_after(2)]);
        let (status, answer) =
            answer(host.post("/api/chat", &json!({ "message": "again", "conversation_id": 1 })).by("ada")).await;
        assert_eq!((status, &answer["conversation_id"]), (502, &json!(1)), "{answer}");
        model.then([Turn::text("All of it.")]);
        assert_eq!(say(&host, Some(1), "please").await["response"], "All of it.");
        model.finish();
    }
}

/// A silence has comments in it, until the host has waited long enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_model_does_not_make_a_silent_stream() {
    let model = OpenAi::start(vec![Turn::text("One").hang_after(2)]).await;
    let host = setup(&model, Database::Sqlite).start().await;
    let request = host.post("/api/chat", &json!({ "message": "count" })).by("ada");
    let answer = request.header("accept", "text/event-stream").send().await.expect("an answer");
    let stream = answer.text().await.expect("a text");
    assert_eq!(stream.matches(": still here").count(), 1, "{stream}");
    let events = parse(&stream);
    assert_eq!(names(&events), ["start", "delta", "error"]);
    assert_eq!(events.last().expect("an end").1["status"], 504);
    model.finish();
}

/// Two at the same time in one conversation: neither gets into the other's turn.
#[tokio::test(flavor = "multi_thread")]
async fn turns_at_the_same_time_do_not_mix() {
    for database in Database::BOTH {
        let model = OpenAi::answering(|request| {
            let messages = request["messages"].as_array().expect("messages");
            let last = messages.last().expect("one");
            let asked = messages.iter().rev().find(|message| message["role"] == "user").expect("a user");
            let turn = match last["role"] == "tool" {
                true => Turn::text("Done."),
                false => add(asked["content"].as_str().expect("text")),
            };
            turn.every(Duration::from_millis(10))
        })
        .await;
        let host = setup(&model, database).start().await;
        say(&host, None, "first").await;
        let all = ["a", "b", "c"].map(|message| say(&host, Some(1), message));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(|answer| answer["response"] == "Done."), "{all:?}");
        let kept = get(&host, "/api/conversations/1/messages").await;
        let kept = kept.as_array().expect("a list");
        assert_eq!(kept.len(), 8);
        for pair in kept.chunks(2) {
            assert_eq!((&pair[0]["role"], &pair[1]["role"]), (&json!("user"), &json!("assistant")));
            assert_eq!(pair[1]["tool_calls"][0]["arguments"]["title"], pair[0]["content"]);
        }
        // The model's server refuses a history in which anything is out of order.
        assert_eq!(say(&host, Some(1), "and now?").await["response"], "Done.");
        assert_eq!(titles(&host).await.len(), 5);
    }
}
