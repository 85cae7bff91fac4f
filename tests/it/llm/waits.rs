//! Whose time a wait for a model is, and who hangs up when.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::probe::{ask, exceeded, says, setup};
use crate::harness::{OpenAi, Turn};

const SECOND: Duration = Duration::from_secs(1);

/// Ten words in three seconds.
fn slow() -> Turn {
    Turn::text("one two three four five six seven eight nine ten").every(Duration::from_millis(230))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_model_is_not_the_guests_time() {
    let model = OpenAi::answering(|_| slow()).await;
    let host = setup(&model, "wall = \"1s\"", "").start().await;
    for path in ["/complete", "/open", "/open?wait=200"] {
        let began = Instant::now();
        let answer = ask(&host, path, Some("ada"), &says("Count")).await;
        let whole = if path == "/complete" {
            &answer["ok"]
        } else {
            &answer["events"].as_array().expect("events").last().expect("one")["Done"]
        };
        assert_eq!(whole["turn"]["text"], "one two three four five six seven eight nine ten", "{answer}");
        assert!(began.elapsed() > 2 * SECOND, "it was not slow");
        if path.ends_with("200") {
            let quiet = answer["batches"].as_array().expect("sizes").iter().filter(|size| **size == 0).count();
            assert!(quiet > 3, "an empty list says that nothing came: {answer}");
        }
    }
    host.stop().await;
    model.finish();
}

/// Each word is a wait that a tick of the clock falls into.
#[tokio::test(flavor = "multi_thread")]
async fn many_waits_for_a_model_are_no_work_of_the_guest() {
    let words = "word ".repeat(300);
    let said = words.clone();
    let model = OpenAi::answering(move |_| Turn::text(&said).every(Duration::from_millis(20))).await;
    let host = setup(&model, "cpu = \"300ms\"", "").start().await;
    let answer = ask(&host, "/open", Some("ada"), &says("Count")).await;
    let whole = &answer["events"].as_array().expect("events").last().expect("one")["Done"];
    assert_eq!(whole["turn"]["text"], words.as_str(), "{answer}");
    host.stop().await;
    model.finish();
}

/// A guest and its client have work with each piece, however short it is.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_of_a_text_come_at_once_and_then_forty_times_a_second() {
    let words = "word ".repeat(200);
    let said = words.clone();
    let model = OpenAi::answering(move |_| Turn::text(&said).every(Duration::from_millis(5))).await;
    let host = setup(&model, "", "").start().await;
    let began = Instant::now();
    let answer = ask(&host, "/open", Some("ada"), &says("Count")).await;
    let most = began.elapsed().as_millis() / 25 + 2;
    let events = answer["events"].as_array().expect("events");
    let pieces: Vec<&str> = events.iter().filter_map(|event| event["TextDelta"].as_str()).collect();
    assert_eq!(pieces.concat(), words);
    assert!(pieces.len() as u128 <= most, "{} pieces, {most} at most", pieces.len());
    assert!(pieces.len() > 5, "it flows: {pieces:?}");
    assert!(pieces[0].len() < 30, "nothing is waited for before the first: {pieces:?}");
    host.stop().await;
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guests_own_time_is_counted_as_ever() {
    let model = OpenAi::answering(|_| slow()).await;
    let host = setup(&model, "wall = \"1s\"", "").start().await;
    // Before it reads, with the answer open; and after it.
    for path in ["/open?hold=5000", "/open?linger=5000", "/complete?linger=5000"] {
        let began = Instant::now();
        let answer = host.post(path, &says("Count")).send().await.expect("an answer");
        assert_eq!(answer.status(), 504, "{path}");
        let most = if path.contains("hold") { 2 * SECOND } else { 5 * SECOND };
        assert!(began.elapsed() < most, "{path} took {:?}", began.elapsed());
    }
    // Only the first left before the end.
    model.until_cancelled(1).await;
    assert_eq!(host.running().await, 0);
    host.stop().await;
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_waits_so_long_and_no_longer() {
    let model = OpenAi::answering(|_| slow()).await;
    let host = setup(&model, "llm_time = \"1s\"", "").start().await;
    for path in ["/complete", "/open"] {
        let began = Instant::now();
        let answer = ask(&host, path, Some("ada"), &says("Count")).await;
        let limit = if path == "/complete" { exceeded(&answer) } else { &answer["broke_off"]["BudgetExceeded"] };
        assert_eq!(
            (&limit["scope"], &limit["unit"], &limit["retry_after_ms"]),
            (&json!("Run"), &json!("Time"), &Value::Null),
            "{answer}"
        );
        assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    }
    model.until_cancelled(2).await;
    host.stop().await;
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_the_upstreams_connection_with_it() {
    let silent = Turn::text("late").after(60 * SECOND);
    let model = OpenAi::start(vec![silent, Turn::text("one two three").hang_after(3), slow()]).await;
    let host = setup(&model, "", "").start().await;
    for (gone, path) in [(1, "/complete"), (2, "/open"), (3, "/complete")] {
        let left = host.post(path, &says("Hi")).timeout(Duration::from_millis(600)).send().await;
        assert!(left.expect_err("it left").is_timeout());
        model.until_cancelled(gone).await;
    }
    assert_eq!(host.running().await, 0);
    host.stop().await;
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_drops_an_answer_hangs_up() {
    let model = OpenAi::start(vec![Turn::text("one two three").hang_after(3)]).await;
    let host = setup(&model, "", "").start().await;
    let dropped = async {
        let answer = ask(&host, "/open?drop_after=1&linger=3000", Some("ada"), &says("Hi")).await;
        (answer, Instant::now())
    };
    let cancelled = async {
        model.until_cancelled(1).await;
        Instant::now()
    };
    let ((answer, ended), hung_up) = tokio::join!(dropped, cancelled);
    assert!(answer["events"][0]["TextDelta"].is_string(), "{answer}");
    assert!(ended - hung_up > SECOND, "the upstream was left alone only when the guest had ended");
    host.stop().await;
    model.finish();
}
