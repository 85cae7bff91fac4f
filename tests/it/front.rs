//! The port: what is let in, what goes out, and what every answer has.

mod cors;
mod framing;
mod limits;

use crate::harness::{Setup, TestHost, guest};

async fn misbehave() -> TestHost {
    Setup::guest("misbehave").start().await
}

async fn text(host: &TestHost, path: &str) -> String {
    host.get(path).send().await.expect("an answer").text().await.expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_requests_id() {
    let host = misbehave().await;
    let long = "x".repeat(128);
    let longer = "x".repeat(129);
    for path in ["/behave", "/trap", "/health", "/health/live"] {
        for (sent, kept) in [
            ("abc-123", true),
            ("9f4c2a:7/x_y.z", true),
            (&*long, true),
            (&*longer, false),
            ("", false),
            ("two words", false),
            ("gr\u{fc}n", false),
            ("tab\tbed", false),
        ] {
            let sent = reqwest::header::HeaderValue::from_bytes(sent.as_bytes()).expect("a value");
            let answer = host.get(path).header("x-request-id", &sent).send().await.expect("an answer");
            let ids: Vec<_> = answer.headers().get_all("x-request-id").iter().collect();
            assert_eq!(ids.len(), 1, "{path} {sent:?}");
            assert_eq!(ids[0] == sent, kept, "{path} {sent:?}");
            assert!(ids[0].to_str().is_ok_and(|id| !id.is_empty() && !id.contains(' ')), "{path} {sent:?}");
        }
    }
    let bad = host.get("/behave").bearer_auth("garbage").header("x-request-id", "abc").send().await.expect("an answer");
    assert_eq!((bad.status().as_u16(), &bad.headers()["x-request-id"]), (401, &"abc".parse().unwrap()));
    let new = async || host.get("/behave").send().await.expect("an answer").headers()["x-request-id"].clone();
    assert_ne!(new().await, new().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_prefix_answers_and_ends_at_a_slash() {
    let (hello, misbehave) = (guest("hello").display().to_string(), guest("misbehave").display().to_string());
    let module = |name: &str, file: &str, route: &str| {
        format!("[[module]]\nname = \"{name}\"\nsource = \"{file}\"\nroute = \"{route}\"\n")
    };
    let modules =
        [module("deep", &misbehave, "/a/b"), module("shallow", &misbehave, "/a"), module("root", &hello, "/")];
    let host = Setup::guest("hello").file(&modules.concat()).start().await;
    for (path, expected) in [
        ("/", "{\"message\":\"Hello from a guest\"}"),
        ("/a", "behaves"),
        ("/a/", "behaves"),
        ("/a/b", "behaves"),
        ("/a/b/c?d=/", "behaves"),
        ("/ab", ""),
        ("/abc/b", ""),
    ] {
        assert_eq!(text(&host, path).await, expected, "{path}");
    }

    // Without a module at the root, the rest is nobody's.
    let file = guest("misbehave").display().to_string();
    let vars = module("only", &file, "/only");
    let host = Setup::modules(&vars).start().await;
    assert_eq!(text(&host, "/only/x").await, "behaves");
    for path in ["/", "/onlyx", "/other"] {
        let answer = host.get(path).send().await.expect("an answer");
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.headers().contains_key("x-request-id"));
        assert_eq!(
            answer.json::<serde_json::Value>().await.expect("JSON"),
            serde_json::json!({ "detail": "Not Found" })
        );
    }
}

/// Gzip when it was asked for and is worth its header; the bytes as they are otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_compressed_for_those_who_ask() {
    let host = Setup::guest("todo").start().await;
    let plain = host.get("/openapi.json").send().await.expect("an answer");
    assert_eq!(plain.headers().get("content-encoding"), None);
    let plain = plain.bytes().await.expect("a body");
    assert!(plain.starts_with(b"{") && plain.len() > 4_096);
    for (accepted, compressed) in
        [("gzip", true), ("br;q=1, gzip;q=0.5", true), ("br", false), ("gzip;q=0", false), ("identity", false)]
    {
        let answer = host.get("/openapi.json").header("accept-encoding", accepted).send().await.expect("an answer");
        assert_eq!(
            answer.headers().get("content-encoding").is_some_and(|coding| coding == "gzip"),
            compressed,
            "{accepted}"
        );
        assert!(
            answer
                .headers()
                .get_all("vary")
                .iter()
                .any(|vary| vary.to_str().is_ok_and(|vary| vary.contains("accept-encoding"))),
            "{accepted}"
        );
        let length = answer.headers().get("content-length").cloned();
        let body = answer.bytes().await.expect("a body");
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), compressed, "{accepted}");
        assert_eq!(body.len() < plain.len() / 2, compressed, "{accepted}");
        assert!(length.is_none_or(|length| length == body.len().to_string()), "{accepted}");
    }
    let hello = Setup::guest("hello").start().await;
    let small = hello.get("/").header("accept-encoding", "gzip").send().await.expect("an answer");
    assert_eq!(small.headers().get("content-encoding"), None);
    assert!(small.text().await.expect("text").starts_with('{'));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_with_prior_knowledge_is_served_when_it_is_switched_on() {
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let host = misbehave().await;
    assert!(http2.get(host.url("/behave")).send().await.is_err(), "it is off unless asked for");

    let host = Setup::guest("misbehave").env("INNKEEPER_H2C", "1").start().await;
    let calls: Vec<_> = (0..40).map(|_| tokio::spawn(http2.get(host.url("/behave")).send())).collect();
    for call in calls {
        let answer = call.await.expect("no panic").expect("an answer");
        assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 200));
        assert!(answer.headers().contains_key("x-request-id"));
        assert_eq!(answer.text().await.expect("text"), "behaves");
    }
    let large = http2.post(host.url("/behave")).body(vec![0; (1 << 20) + 1]).send().await.expect("an answer");
    assert_eq!(large.status(), 413);
    let refused = http2.get(host.url("/behave")).bearer_auth("garbage").send().await.expect("an answer");
    assert_eq!(refused.status(), 401);
    assert_eq!(http2.get(host.url("/trap")).send().await.expect("an answer").status(), 500);
    let http1 = host.get("/behave").send().await.expect("an answer");
    assert_eq!((http1.version(), http1.status().as_u16()), (reqwest::Version::HTTP_11, 200));
}
