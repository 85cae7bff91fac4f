//! How large, how long, how slow, and how much at once.

use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::misbehave;
use crate::harness::{Raw, Setup, TestHost};

const MIB: usize = 1 << 20;
/// The head's five seconds, on a busy machine.
const SILENT: Duration = Duration::from_secs(9);
/// The body's ten seconds, on a busy machine.
const STALLED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_taken_up_to_one_mebibyte() {
    let host = misbehave().await;
    for (bytes, status) in [(0, 200), (MIB - 1, 200), (MIB, 200), (MIB + 1, 413), (10 * MIB, 413)] {
        let answer = host.request(Method::POST, "/behave").body(vec![b'a'; bytes]).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{bytes} bytes: {error:?}"));
        assert_eq!(answer.status(), status, "{bytes} bytes");
        if status == 413 {
            assert_eq!(
                answer.json::<serde_json::Value>().await.expect("JSON")["detail"],
                "The request body is larger than 1 MiB"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let host = misbehave().await;
    let mut connection = Raw::connect(host.address).await;
    connection.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 10 * MIB)).await.expect("sent");
    connection.send(vec![b'a'; 1_000]).await.expect("sent");
    let answer = connection.answer().await.expect("a whole answer").expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    assert!(connection.rest(Duration::from_secs(5)).await.is_some(), "it waits for the rest");

    // Of one without a length, a little more than the limit.
    let mut connection = Raw::connect(host.address).await;
    connection.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.expect("sent");
    let chunk = [&b"10000\r\n"[..], &[b'a'; 0x10000], b"\r\n"].concat();
    for _ in 0..17 {
        connection.send(&chunk).await.expect("sent");
    }
    let answer = connection.answer().await.expect("a whole answer").expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    assert!(connection.rest(Duration::from_secs(5)).await.is_some(), "it waits for the rest");
}

/// Room is taken by what has arrived. Counted by what was promised, a hundred
/// heads would shut out every body.
#[tokio::test(flavor = "multi_thread")]
async fn the_promise_of_a_large_body_costs_nobody_anything() {
    let host = misbehave().await;
    let mut promises = Vec::new();
    for _ in 0..100 {
        let mut connection = Raw::connect(host.address).await;
        let head = format!("POST /behave HTTP/1.1\r\nhost: a\r\ncontent-length: {MIB}\r\n\r\na");
        connection.send(head).await.expect("sent");
        promises.push(connection);
    }
    let answer = host.request(Method::POST, "/behave").body(vec![b'a'; MIB]).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded() {
    let host = misbehave().await;
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(bytes - 1));
    let fields = |count: usize, bytes: usize| {
        let fields: String = (0..count).map(|n| format!("x-{n}: {}\r\n", "a".repeat(bytes))).collect();
        format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")
    };
    for (what, request, status) in [
        ("a target of 8 KiB", target(8 << 10), 200),
        ("a longer one", target((8 << 10) + 1), 414),
        ("a query of 9 kB", target(2).replace("/a", &format!("/?{}", "q".repeat(9_000))), 414),
        ("16 kB of fields", fields(16, 1_000), 200),
        ("100 kB of fields", fields(10, 10_000), 431),
        ("one field of 100 kB", fields(1, 100_000), 431),
        ("65 fields", fields(64, 1), 431),
    ] {
        let mut connection = Raw::connect(host.address).await;
        // The host may close before it has read all of it.
        let _ = connection.send(&request).await;
        let answer =
            connection.answer().await.expect("a whole answer").unwrap_or_else(|| panic!("no answer to {what}"));
        assert_eq!(answer.status, status, "{what}");
    }
}

async fn ends(host: &TestHost, sent: &str, within: Duration) -> String {
    let mut connection = Raw::connect(host.address).await;
    connection.send(sent).await.expect("sent");
    connection.rest(within).await.unwrap_or_else(|| panic!("open after {within:?}: {sent:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_nothing_or_too_slowly_is_sent_away() {
    let plain = misbehave().await;
    let h2c = Setup::guest("misbehave").env("INNKEEPER_H2C", "1").start().await;
    let half = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf";
    let (silent, head, again, body, silent2, preface) = tokio::join!(
        ends(&plain, "", SILENT),
        ends(&plain, "GET / HTTP/1.1\r\nhost: a\r\nx-sl", SILENT),
        ends(&plain, "GET /behave HTTP/1.1\r\nhost: a\r\n\r\n", SILENT),
        ends(&plain, half, STALLED),
        ends(&h2c, "", 2 * SILENT),
        ends(&h2c, "PRI * HTT", 2 * SILENT),
    );
    for nothing in [silent, silent2] {
        assert_eq!(nothing, "", "an answer to nothing");
    }
    for unfinished in [head, preface] {
        assert!(unfinished.is_empty() || unfinished.starts_with("HTTP/1.1 4"), "{unfinished}");
    }
    assert_eq!(again.matches("HTTP/1.1 ").count(), 1, "{again}");
    assert!(body.starts_with("HTTP/1.1 408 "), "{body}");
    assert_eq!(body.matches("HTTP/1.1 ").count(), 1, "{body}");
}

async fn expect_overloaded(host: &TestHost, path: &str) {
    let answer = host.get(path).send().await.expect("an answer");
    assert_eq!(answer.status(), 503, "{path}");
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.json::<serde_json::Value>().await.expect("JSON")["detail"], "Service temporarily unavailable");
}

/// Calls that take a while, all of them running.
async fn napping(host: &TestHost, calls: u64) -> Vec<tokio::task::JoinHandle<reqwest::Result<reqwest::Response>>> {
    let naps = (0..calls).map(|_| tokio::spawn(host.get("/nap?3000").send())).collect();
    host.until_running(calls).await;
    naps
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_capacity_the_host_says_when_to_try_again() {
    let host = Setup::guest("misbehave").env("INNKEEPER_MAX_IN_FLIGHT", "2").start().await;
    let naps = napping(&host, 2).await;
    for path in ["/behave", "/nap", "/nowhere"] {
        expect_overloaded(&host, path).await;
    }
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(host.get(path).send().await.expect("an answer").status(), 200, "{path}");
    }
    for nap in naps {
        assert_eq!(nap.await.expect("no panic").expect("an answer").status(), StatusCode::OK);
    }
    host.until("/behave", 200, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_at_its_concurrency_leaves_the_others_alone() {
    let file = crate::harness::guest("misbehave").display().to_string();
    let module = |name: &str, route: &str, limits: &str| {
        format!("[[module]]\nname = \"{name}\"\nsource = \"{file}\"\nroute = \"{route}\"\nlimits = {{ {limits} }}\n")
    };
    let modules = [module("one", "/nap", "concurrency = 1"), module("other", "/", "")].concat();
    let host = Setup::modules(&modules).start().await;
    let naps = napping(&host, 1).await;
    expect_overloaded(&host, "/nap").await;
    assert_eq!(host.get("/behave").send().await.expect("an answer").status(), 200);
    for nap in naps {
        assert_eq!(nap.await.expect("no panic").expect("an answer").status(), 200);
    }
}
