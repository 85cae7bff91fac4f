//! Guests that break their contract: what the caller gets, and that the host
//! and the next call do not notice.

use std::time::{Duration, Instant};

use crate::harness::{Setup, TestHost, module};

async fn misbehave() -> TestHost {
    Setup::guest("misbehave")
        .file("[[module]]\nname = \"misbehave\"\nsource = \"replaced\"\nlimits = { cpu = \"300ms\", wall = \"1s\" }\n")
        .start()
        .await
}

/// What a client gets for a misdeed, and that the next call is served.
async fn expect(host: &TestHost, path: &str, status: u16, detail: &str) {
    let started = Instant::now();
    let answer = host.get(path).send().await.expect("an answer");
    assert_eq!(answer.status(), status, "{path}");
    assert!(answer.headers().contains_key("x-request-id"), "{path}");
    let body: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(body, serde_json::json!({ "detail": detail }), "{path}");
    assert!(started.elapsed() < Duration::from_secs(3), "{path} took {:?}", started.elapsed());
    let next = host.get("/behave").send().await.expect("an answer");
    assert_eq!(next.status(), 200, "the call after {path}");
    assert_eq!(host.running().await, 0, "calls left after {path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_traps_or_exits_costs_its_own_call() {
    let host = misbehave().await;
    for path in ["/trap", "/exit", "/recurse", "/wrong-length"] {
        expect(&host, path, 500, "Internal Server Error").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_loops_or_waits_is_ended_at_its_limits() {
    let host = misbehave().await;
    expect(&host, "/spin", 504, "The request took too long").await;
    expect(&host, "/sleep", 504, "The request took too long").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_grows_or_floods_is_ended_at_its_limits() {
    let host = misbehave().await;
    expect(&host, "/grow", 500, "Internal Server Error").await;
    expect(&host, "/flood-host-calls", 500, "Internal Server Error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_passed_on_is_a_bad_gateway() {
    let host = misbehave().await;
    for path in ["/status-199", "/status-600", "/headers", "/no-content-with-body"] {
        expect(&host, path, 502, "Bad Gateway").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_host_are_not_the_guests_to_set() {
    let host = misbehave().await;
    let answer = host.get("/host-headers").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    for name in ["set-cookie", "access-control-allow-origin", "strict-transport-security"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    assert_ne!(answer.headers()["x-request-id"], "forged");
    assert_eq!(answer.headers()["x-own"], "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_seen_to_be_incomplete() {
    let host = misbehave().await;
    let answer = host.get("/stream").send().await.expect("an answer");
    assert_eq!(answer.bytes().await.expect("a whole answer").len(), 10 * 1_024);
    for path in ["/trap-mid-answer", "/endless"] {
        let answer = host.get(path).send().await.expect("a head");
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.bytes().await.is_err(), "{path} looks complete");
    }
    assert_eq!(host.running().await, 0);
}

/// A body whose store goes away ends, for whoever reads it on another thread, as one that
/// was finished does.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_never_looks_whole_however_often() {
    let limits = "limits = { cpu = \"10ms\", wall = \"50ms\" }\nsmoke = \"off\"";
    let host = Setup::modules(&module("linger", "linger", limits)).start().await;
    // One that is ended while it runs, and one that is dropped while it waits.
    let callers = [("/linger/empty", 200), ("/linger/open", 40)].repeat(4).into_iter().map(|(path, calls)| {
        let host = &host;
        async move {
            for call in 0..calls {
                let answer = host.get(path).send().await.expect("a head");
                assert_eq!(answer.status(), 200, "{path}");
                assert!(answer.bytes().await.is_err(), "{path} looks complete, at call {call}");
            }
        }
    });
    futures_util::future::join_all(callers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_call_with_it() {
    let host = misbehave().await;
    let sleeping = host.get("/sleep").timeout(Duration::from_millis(100)).send().await;
    assert!(sleeping.is_err_and(|error| error.is_timeout()));
    let until = Instant::now() + Duration::from_millis(500);
    while host.running().await > 0 {
        assert!(Instant::now() < until, "the call goes on without its client");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_nothing_of_the_machine_or_of_the_call_before() {
    let host = misbehave().await;
    let text = async |path: &str| host.get(path).send().await.expect("an answer").text().await.expect("text");
    assert_eq!(text("/environment").await, "[] []");
    assert_eq!(text("/file").await, "Err(NotFound)");
    assert_eq!(text("/socket").await, "Err(PermissionDenied)");
    assert_ne!(text("/egress").await, "sent");
    for _ in 0..3 {
        assert_eq!(text("/memory").await, "1", "memory of an earlier call");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_identity_headers_do_not_reach_a_guest() {
    let host = misbehave().await;
    let request = host.get("/request-headers").header("cookie", "a=b").header("x-user-id", "1").header("x-own", "kept");
    let seen = request.bearer_auth(crate::harness::token("ada")).header("traceparent", "00-1-2-01").send().await;
    let seen = seen.expect("an answer").text().await.expect("text");
    for hidden in ["authorization", "cookie", "x-user-id"] {
        assert!(!seen.contains(hidden), "{seen}");
    }
    for passed in ["x-own", "traceparent", "x-request-id"] {
        assert!(seen.contains(passed), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_no_call_beyond_its_time() {
    use tokio::io::AsyncWriteExt;
    let host = misbehave().await;
    let mut silent = tokio::net::TcpStream::connect(host.address).await.expect("a connection");
    silent.write_all(b"GET /gush HTTP/1.1\r\nHost: test\r\n\r\n").await.expect("sent");
    let until = Instant::now() + Duration::from_secs(5);
    let mut seen = false;
    while !seen || host.running().await > 0 {
        seen |= host.running().await > 0;
        assert!(Instant::now() < until, "the call outlives limits.wall with its reader");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(silent);
}

/// One that loops takes a core; the others go on getting theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polite_neighbour_is_served_beside_loops() {
    let host = misbehave().await;
    let loops: Vec<_> = (0..8).map(|_| tokio::spawn(host.get("/spin").send())).collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    for _ in 0..20 {
        let answer = host.get("/behave").timeout(Duration::from_secs(5)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    for one in loops {
        assert_eq!(one.await.expect("no panic").expect("an answer").status(), 504);
    }
}
