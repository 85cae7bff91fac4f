//! Guests that read slowly, or leave.

use std::time::{Duration, Instant};

use innkeeper::broker::llm::upstream::Upstream;
use innkeeper::broker::llm::{Event, LlmError};
use innkeeper::config::Dialect;

use super::{DONE, HI, STOP, calls, failed, outcome, patient, stream};
use crate::harness::{OpenAi, RawModel, STREAM, Step, Turn, report};
use crate::llm::upstream::{ask, collect, model};

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        assert!(Instant::now() < until, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the kernel keeps of one connection on both sides, at the most.
const IN_THE_KERNEL: usize = 12 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_stalls_stalls_the_socket() {
    let event = format!("data: {HI}\n\n").into_bytes();
    let server = RawModel::start(vec![Step::send(STREAM), Step::Flood(event.repeat(100), 200 << 20)]).await;
    let mut model = model(&server.url(), Dialect::Chat);
    // So that the answer's own limit of bytes is not what stops it.
    model.timeouts.total = Duration::from_secs(30);
    let upstream = Upstream::new(&model).expect("an upstream");
    let mut large = ask("hello");
    large.max_output_tokens = Some(1 << 20);
    let mut answer = upstream.open(&large).await.expect("an answer");
    assert_eq!(answer.next().await, Some(Ok(Event::Text("hi".to_owned()))));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let written = server.written();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(server.written(), written, "it goes on reading for a guest that does not");
    assert!(written < IN_THE_KERNEL, "{written} bytes");
    let mut held = 0;
    while answer.try_next().is_some_and(|event| event.is_ok()) {
        held += 1;
    }
    report(&format!("{written} bytes left the server for a guest that stalls; {held} events waited in the host"));
    assert!(held <= 2 * 256, "{held} events");
    // And what goes on is read on.
    for _ in 0..50_000 {
        assert!(answer.next().await.expect("more").is_ok());
    }
    until("the server writes on", || server.written() > written).await;
    drop(answer);
    until("the connection is closed", || server.closed() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_cut() {
    let event = format!("data: {HI}\n\n").into_bytes();
    let server = RawModel::start(vec![Step::send(STREAM), Step::Flood(event.repeat(500), 100 << 20)]).await;
    let upstream = Upstream::new(&model(&server.url(), Dialect::Chat)).expect("an upstream");
    let mut answer = upstream.open(&ask("hello")).await.expect("an answer");
    let (events, error) = collect(&mut answer).await;
    let Some(LlmError::Interrupted { partial, usage }) = error else { panic!("{error:?}") };
    assert_eq!(partial.len(), 2 * events.len());
    assert!(usage.output as usize >= events.len(), "what came is counted: {usage:?}");
    until("the connection is closed", || server.closed() == 1).await;
    report(&format!("{} bytes were written of 100 MiB", server.written()));
    assert!(server.written() < 32 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_are_too_many() {
    let many: Vec<String> = (0..1_000)
        .map(|at| format!(r#"{{"index":{at},"id":"c{at}","function":{{"name":"add","arguments":"{{}}"}}}}"#))
        .collect();
    let server = RawModel::start(stream(&[&calls(&many.join(",")), STOP, DONE])).await;
    assert_eq!(outcome(&patient(&server.url(), Dialect::Chat)).await, "interrupted: \"\"");
    let server = RawModel::start(stream(&[&calls(&many[..128].join(",")), STOP, DONE])).await;
    assert!(outcome(&patient(&server.url(), Dialect::Chat)).await.starts_with("ToolCalls: add({}) add({})"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_hangs_up() {
    let server = RawModel::start(vec![Step::Hang]).await;
    let upstream = Upstream::new(&model(&server.url(), Dialect::Chat)).expect("an upstream");
    let request = ask("hello");
    assert!(tokio::time::timeout(Duration::from_millis(100), upstream.open(&request)).await.is_err());
    until("it is closed before its head", || server.closed() == 1).await;

    let openai = OpenAi::start(vec![
        Turn::text("one two three").hang_after(2),
        Turn::text("one two").every(Duration::from_millis(50)),
    ])
    .await;
    for cancelled in 1..=2 {
        let upstream = Upstream::new(&model(&openai.url(), Dialect::Chat)).expect("an upstream");
        let mut answer = upstream.open(&request).await.expect("an answer");
        assert_eq!(answer.next().await, Some(Ok(Event::Text("one ".to_owned()))));
        assert!(answer.usage().estimated && answer.usage().output > 0);
        drop(answer);
        openai.until_cancelled(cancelled).await;
    }
    assert_eq!(openai.open(), 0);
    openai.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_that_is_given_up_loses_nothing() {
    let openai = OpenAi::start(vec![Turn::text("one two three four").every(Duration::from_millis(30))]).await;
    let upstream = Upstream::new(&model(&openai.url(), Dialect::Chat)).expect("an upstream");
    let mut answer = upstream.open(&ask("hello")).await.expect("an answer");
    let (mut text, mut given_up) = (String::new(), 0);
    loop {
        match tokio::time::timeout(Duration::from_millis(7), answer.next()).await {
            Err(_) => given_up += 1,
            Ok(Some(Ok(Event::Text(more)))) => text += &more,
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => panic!("{}", failed(&error)),
            Ok(None) => break,
        }
    }
    assert_eq!(text, "one two three four");
    assert!(given_up > 5, "{given_up}");
    openai.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_was_away_is_not_told_that_the_upstream_was_silent() {
    let openai = OpenAi::start(vec![Turn::text("one two three")]).await;
    let upstream = Upstream::new(&model(&openai.url(), Dialect::Chat)).expect("an upstream");
    let mut answer = upstream.open(&ask("hello")).await.expect("an answer");
    assert!(answer.next().await.expect("a word").is_ok());
    tokio::time::sleep(Duration::from_millis(600)).await;
    let (_, error) = collect(&mut answer).await;
    assert_eq!(error, None);
    openai.finish();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_used_again() {
    for dialect in [Dialect::Chat, Dialect::Responses] {
        let turns = (0..10).map(|_| Turn::text("one two three").every(Duration::from_millis(1))).collect();
        let openai = OpenAi::start(turns).await;
        let upstream = Upstream::new(&model(&openai.url(), dialect)).expect("an upstream");
        for _ in 0..10 {
            let mut answer = upstream.open(&ask("hello")).await.expect("an answer");
            assert_eq!(collect(&mut answer).await.1, None);
            drop(answer);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        report(&format!("{dialect:?}: 10 requests took {} connections", openai.connections()));
        assert!(openai.connections() <= 2, "{} connections for 10 requests", openai.connections());
        assert_eq!(openai.cancelled(), 0);
        openai.finish();
    }
}
