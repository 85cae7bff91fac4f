//! Answers that are none, and silence.

use std::time::{Duration, Instant};

use innkeeper::broker::llm::LlmError;
use innkeeper::broker::llm::upstream::Upstream;
use innkeeper::config::Dialect;

use super::{DONE, HI, JSON, STOP, check, check_with, failed, hasty, outcome, patient, stream, whole};
use crate::harness::{KEY, RawModel, STREAM, Step, Unanswering};
use crate::llm::upstream::{ask, model};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_every_form_have_a_type() {
    let page = "content-type: text/html\r\n";
    let error = |inner: &str| format!(r#"{{"error":{inner}}}"#);
    let in_200 = r#"{"error":{"message":"x","code":502},"user_id":"user_1"}"#;
    let beside = r#"{"choices":[{"delta":{"content":"!"}}],"error":{"code":502,"message":"x"}}"#;
    let overflow = r#"{"error":{"message":"This model's maximum context length is 10 tokens"}}"#;
    let too_long = error(r#"{"message":"x","type":"invalid_request_error","code":"context_length_exceeded"}"#);
    let limit = |fields: &str| whole(429, &format!("{JSON}{fields}"), error(r#"{"message":"x","type":"requests"}"#));
    let cases = [
        ("a page", whole(502, page, "<html>Bad Gateway</html>"), "upstream 502 - again"),
        ("a page with 200", whole(200, page, "<html>Log in</html>"), "upstream 200 - never"),
        ("nothing with 204", vec![Step::send("HTTP/1.1 204 No Content\r\n\r\n")], "interrupted: \"\""),
        (
            "OpenAI",
            whole(401, JSON, error(r#"{"message":"x","type":"x","param":null,"code":"invalid_api_key"}"#)),
            "upstream 401 invalid_api_key never",
        ),
        (
            "a number for a code",
            whole(401, JSON, error(r#"{"message":"x","code":401}"#)),
            "upstream 401 invalid_api_key never",
        ),
        ("Mistral", whole(401, JSON, r#"{"detail":"Invalid API Key"}"#), "upstream 401 invalid_api_key never"),
        (
            "xAI",
            whole(400, JSON, r#"{"code":"x","error":"Incorrect API key provided: x"}"#),
            "upstream 400 invalid_api_key never",
        ),
        ("a text", whole(500, JSON, r#"{"error":"boom"}"#), "upstream 500 - again"),
        ("an error with 200", whole(200, JSON, in_200), "upstream 200 - never"),
        ("too long", whole(400, JSON, too_long), "ContextTooLong"),
        ("filtered", whole(400, JSON, error(r#"{"code":"content_filter","message":"x"}"#)), "ContentFiltered"),
        (
            "no money",
            whole(429, JSON, error(r#"{"code":"insufficient_quota","message":"x"}"#)),
            "upstream 429 insufficient_quota never",
        ),
        ("a long wait", limit("retry-after: 3600\r\n"), "limited Some(3600)"),
        ("a long wait in milliseconds", limit("retry-after-ms: 900000\r\n"), "limited Some(900)"),
        ("a wait that nobody names", limit(""), "limited Some(5)"),
        ("a redirect", whole(307, "location: http://127.0.0.1:1/\r\n", ""), "upstream 307 - never"),
        ("an error first", stream(&[r#"{"error":{"code":400,"message":"x"}}"#, DONE]), "upstream 0 - never"),
        ("an error in between", stream(&[HI, beside, STOP, DONE]), "upstream 0 - again"),
        ("an error after the reason", stream(&[HI, STOP, overflow, DONE]), "ContextTooLong"),
        ("no HTTP", vec![Step::send("hello\r\n\r\n")], "upstream 0 - again"),
        ("hung up", vec![], "upstream 0 - again"),
        ("hung up inside the head", vec![Step::send(&STREAM[..30])], "upstream 0 - again"),
        (
            "an error that does not end",
            vec![Step::send("HTTP/1.1 400 X\r\n\r\n"), Step::Flood(vec![b' '; 1 << 16], 100 << 20)],
            "upstream 400 - never",
        ),
        (
            "JSON that does not end",
            vec![Step::send(format!("HTTP/1.1 200 X\r\n{JSON}\r\n")), Step::Flood(vec![b' '; 1 << 16], 100 << 20)],
            "upstream 200 - never",
        ),
        (
            "an event that does not end",
            vec![Step::send(format!("{STREAM}data: {HI}\n\ndata: ")), Step::Flood(vec![b'a'; 1 << 16], 100 << 20)],
            "interrupted: \"hi\"",
        ),
        (
            "a head that does not end",
            vec![Step::send("HTTP/1.1 200 OK\r\n"), Step::Flood(b"a: b\r\n".repeat(1_000), 100 << 20)],
            "upstream 0 - again",
        ),
    ];
    check(Dialect::Chat, &cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_given_up_on_wherever_it_begins() {
    let silent = |text: String| vec![Step::send(text), Step::Hang];
    let comments: Vec<Step> =
        std::iter::repeat_n([Step::send(": x\n\n"), Step::Wait(Duration::from_millis(50))], 100).flatten().collect();
    let slowly = |event: &str| -> Vec<Step> {
        let event = format!("data: {event}\n\n");
        std::iter::repeat_n([Step::send(event), Step::Wait(Duration::from_millis(100))], 100).flatten().collect()
    };
    let with = |begin: String, mut rest: Vec<Step>| {
        rest.insert(0, Step::send(begin));
        rest
    };
    let cases = [
        ("no head", vec![Step::Hang], "late FirstEvent"),
        ("half a head", silent(STREAM[..30].to_owned()), "late FirstEvent"),
        ("a head", silent(STREAM.to_owned()), "late FirstEvent"),
        ("half an event", silent(format!("{STREAM}data: {}", &HI[..20])), "late FirstEvent"),
        ("comments for ever", with(STREAM.to_owned(), comments.clone()), "late FirstEvent"),
        ("one event", silent(format!("{STREAM}data: {HI}\n\n")), "late Idle"),
        ("one event, and comments for ever", with(format!("{STREAM}data: {HI}\n\n"), comments), "late Idle"),
        ("events for ever", with(STREAM.to_owned(), slowly(HI)), "late Total"),
        ("all but the end", silent(format!("{STREAM}data: {HI}\n\ndata: {STOP}\n\n")), r#"Stop: "hi""#),
        (
            "half an error",
            vec![Step::send(format!("HTTP/1.1 401 X\r\n{JSON}content-length: 90\r\n\r\n{{")), Step::Hang],
            "late FirstEvent",
        ),
    ];
    check_with(hasty, Dialect::Chat, &cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_told_from_nobody_answering() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    assert_eq!(outcome(&hasty(&format!("http://{closed}/v1"), Dialect::Chat)).await, "upstream 0 - again");

    let full = Unanswering::start().await;
    let mut late = hasty(&format!("http://{}/v1", full.address), Dialect::Chat);
    late.timeouts.connect = Duration::from_millis(100);
    assert_eq!(outcome(&late).await, "late Connect");

    let plain = RawModel::start(vec![Step::send("HTTP/1.1 200 OK\r\n\r\n")]).await;
    late.base_url = plain.url().replace("http:", "https:").parse().expect("a URL");
    assert_eq!(outcome(&late).await, "late Connect", "it waits for a request in the clear");
    assert_eq!(plain.asked(), 0, "nothing was sent in the clear");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_body_that_drips_does_not_hold_its_status() {
    let server =
        RawModel::start(vec![Step::send(format!("HTTP/1.1 401 X\r\n{JSON}content-length: 90\r\n\r\n{{")), Step::Hang])
            .await;
    let upstream = Upstream::new(&model(&server.url(), Dialect::Chat)).expect("an upstream");
    let asked = Instant::now();
    let error = upstream.open(&ask("hello")).await.err().expect("refused");
    assert_eq!(failed(&error), "upstream 401 invalid_api_key never");
    assert!(asked.elapsed() < Duration::from_millis(2_800), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_echoed_reaches_nobody() {
    let echo =
        format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}","code":"{KEY}","type":"{KEY}"}}}}"#);
    let chunk = format!(r#"{{"error":{{"message":"{KEY}","code":"{KEY}"}}}}"#);
    for steps in [whole(401, JSON, &echo), whole(500, JSON, &echo), stream(&[HI, &chunk])] {
        let server = RawModel::start(steps).await;
        let upstream = Upstream::new(&hasty(&server.url(), Dialect::Chat)).expect("an upstream");
        let error = match upstream.open(&ask("hello")).await {
            Err(error) => error,
            Ok(mut answer) => crate::llm::upstream::collect(&mut answer).await.1.expect("an error"),
        };
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("C4n4ry") && !shown.contains("W2mWx"), "{shown}");
        assert!(matches!(error, LlmError::Upstream { .. }), "{shown}");
    }
}

/// Answers each time with the next of these; says how often it was asked.
async fn answers(script: Vec<Vec<Step>>) -> (String, usize) {
    let last = script.len() - 1;
    let server = RawModel::scripted(move |_, number| script[number.min(last)].clone()).await;
    let mut model = model(&server.url(), Dialect::Chat);
    model.timeouts.first_event = Duration::from_secs(10);
    model.timeouts.total = Duration::from_secs(12);
    (outcome(&model).await, server.asked())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_pass_is_asked_again_at_most_twice() {
    let good = || stream(&[HI, STOP, DONE]);
    let busy = || whole(503, JSON, "{}");
    let told = r#"Stop: "hi""#;
    let once = |status, fields: &str| vec![whole(status, fields, "{}"), good()];
    let (tried, limited, thrice, refused, forbidden, soon, cut, first, after, empty) = tokio::join!(
        answers(vec![busy(), good()]),
        answers(once(429, "retry-after: 1\r\n")),
        answers(vec![busy(), busy(), busy(), good()]),
        answers(once(400, "")),
        answers(once(500, "x-should-retry: false\r\n")),
        answers(once(400, "x-should-retry: true\r\nretry-after-ms: 10\r\n")),
        answers(vec![vec![], good()]),
        answers(vec![stream(&[r#"{"error":{"code":503,"message":"x"}}"#]), good()]),
        answers(vec![stream(&[HI]), good()]),
        answers(vec![stream(&[]), good()]),
    );
    assert_eq!(tried, (told.to_owned(), 2));
    assert_eq!(limited, (told.to_owned(), 2));
    assert_eq!(thrice, ("upstream 503 - again".to_owned(), 3));
    assert_eq!(refused, ("upstream 400 - never".to_owned(), 1));
    assert_eq!(forbidden, ("upstream 500 - never".to_owned(), 1));
    assert_eq!(soon, (told.to_owned(), 2));
    assert_eq!(cut, (told.to_owned(), 2), "before the first byte");
    assert_eq!(first, (told.to_owned(), 2), "before the first event");
    assert_eq!(after, ("interrupted: \"hi\"".to_owned(), 1), "never after it");
    assert_eq!(empty, (told.to_owned(), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_not_followed() {
    let elsewhere = RawModel::start(stream(&[HI, STOP, DONE])).await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("location: {}/chat/completions\r\n", elsewhere.url());
        let server = RawModel::start(whole(status, &to, "")).await;
        let found = outcome(&patient(&server.url(), Dialect::Chat)).await;
        assert_eq!(found, format!("upstream {status} - never"));
    }
    assert_eq!(elsewhere.asked(), 0, "the key stays with whom it is for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_is_down_is_left_alone_for_a_while() {
    let server = RawModel::start(whole(503, "x-should-retry: false\r\n", "{}")).await;
    let upstream = Upstream::new(&patient(&server.url(), Dialect::Chat)).expect("an upstream");
    for _ in 0..20 {
        assert!(upstream.open(&ask("hello")).await.is_err());
    }
    assert_eq!(server.asked(), 20);
    let asked = Instant::now();
    let error = upstream.open(&ask("hello")).await.err().expect("left alone");
    assert_eq!((failed(&error).as_str(), server.asked()), ("upstream 0 - again", 20));
    assert!(asked.elapsed() < Duration::from_millis(100));
}
