//! Requests that guests send: what they may ask, with which secrets, for how long, and
//! how much.

mod forms;
mod upstream;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{HostProcess, Setup, TestHost, http_client, module, tls_acceptor};
use upstream::Upstream;

const SECRET: &str = "canary-upstream-0123456789";

/// A host whose module `courier` has these servers.
async fn courier(grants: &str, limits: &str) -> TestHost {
    let rest = format!("grants = {{ http = [{grants}] }}\nlimits = {{ {limits} }}\nsmoke = \"off\"");
    Setup::modules(&module("courier", "courier", &rest)).env("API_TOKEN", SECRET).start().await
}

async fn send_all(host: &TestHost, errands: &Value) -> Vec<Value> {
    let answer = host.post("/courier/send", errands).send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("text");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"))
}

async fn send(host: &TestHost, errand: Value) -> Value {
    send_all(host, &json!([errand])).await.remove(0)
}

fn local(upstream: &Upstream, rest: &str) -> String {
    format!("{{ host = \"http://localhost:{}\", private = true{rest} }}", upstream.port())
}

fn to(upstream: &Upstream, target: &str) -> Value {
    json!({ "scheme": "http", "authority": format!("localhost:{}", upstream.port()), "target": target })
}

fn with(mut errand: Value, more: Value) -> Value {
    errand.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    errand
}

#[track_caller]
fn is_refused(answer: &Value, word: &str) {
    assert!(answer["error"].as_str().is_some_and(|error| error.contains(word)), "{word}: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_server_is_asked_and_no_other() {
    let (granted, other) = (Upstream::start().await, Upstream::start().await);
    let host = courier(&local(&granted, ""), "").await;
    let said = json!({ "method": "POST", "body": 70_000, "headers": [
        ["x-own", "kept"], ["x-forwarded-for", "10.0.0.1"], ["via", "1.1 me"], ["cdn-loop", "me"], ["te", "trailers"],
    ]});
    let answer = send(&host, with(to(&granted, "/echo?a=b"), said)).await;
    assert_eq!((&answer["status"], &answer["end"]), (&json!(200), &json!("whole")), "{answer}");
    let told = answer["body"].as_str().expect("text");
    assert!(told.starts_with("POST /echo?a=b HTTP/1.1\r\n") && told.ends_with("70000 bytes"), "{told}");
    assert!(told.contains("x-own: kept") && told.contains("cdn-loop: innkeeper\r\n"), "{told}");
    assert_eq!(told.matches("host: ").count(), 1, "{told}");
    for hidden in ["x-forwarded-for", "via:", "te:", "cookie", "authorization"] {
        assert!(!told.contains(hidden), "{hidden}: {told}");
    }
    is_refused(&send(&host, to(&other, "/")).await, "HttpRequestDenied");
    assert_eq!(other.seen.connections(), 0);
    // A guest without a grant has no way out at all.
    let none = courier("", "").await;
    is_refused(&send(&none, to(&other, "/")).await, "HttpRequestDenied");
    assert_eq!(other.seen.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_off_never_looks_whole() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ""), "").await;
    let errand = json!([with(to(&upstream, "/echo"), json!({ "method": "POST", "body": 20_000, "cut": true }))]);
    let callers = (0..8).map(async |_| {
        for _ in 0..50 {
            let answer = host.post("/courier/send", &errand).send().await.expect("an answer");
            assert_eq!(answer.status(), 500);
        }
    });
    futures_util::future::join_all(callers).await;
    assert!(upstream.seen.connections() > 0);
    assert_eq!(upstream.seen.heads().len(), 0, "requests that were taken for whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again_by_other_calls() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ""), "").await;
    for _ in 0..20 {
        assert_eq!(send(&host, to(&upstream, "/")).await["status"], 200);
    }
    assert_eq!(upstream.seen.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_may_name_methods() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ", methods = [\"GET\", \"HEAD\"]"), "").await;
    let ask = async |method: &str| send(&host, with(to(&upstream, "/"), json!({ "method": method }))).await;
    assert_eq!((&ask("GET").await["status"], &ask("HEAD").await["status"]), (&json!(200), &json!(200)));
    for method in ["POST", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PROPFIND", "get"] {
        is_refused(&ask(method).await, "HttpRequestDenied");
    }
    assert_eq!(upstream.seen.heads().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_put_in_by_the_host_and_never_comes_back() {
    let upstream = Upstream::start().await;
    let grant = local(&upstream, ", header = { authorization = \"Bearer env:API_TOKEN\", x-key = \"env:API_TOKEN\" }");
    let host = courier(&grant, "").await;
    let forged = json!({ "headers": [
        ["authorization", "Bearer mine"], ["authorization", "Bearer yours"], ["x-key", "mine"],
        ["range", "bytes=0-9"], ["accept-encoding", "gzip"],
    ]});
    for target in ["/redirect", "/echo", "/echo-slowly", "/echo-in-a-header"] {
        let answer = send(&host, with(to(&upstream, target), forged.clone())).await;
        assert!(!answer.to_string().contains(SECRET), "{target}: {answer}");
        if target != "/redirect" {
            let told = answer.to_string();
            assert!(told.contains("ConfigurationError") || told.contains("configuration error"), "{target}: {answer}");
        }
    }
    let heads = upstream.seen.heads();
    assert_eq!(heads.len(), 4);
    for head in heads {
        assert!(head.contains(&format!("authorization: Bearer {SECRET}")), "{head}");
        assert!(head.contains(&format!("x-key: {SECRET}")) && head.contains("accept-encoding: identity"), "{head}");
        assert!(!head.contains("mine") && !head.contains("yours") && !head.contains("range"), "{head}");
        assert_eq!(head.matches("authorization: ").count(), 1, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ""), "").await;
    let answer = send(&host, to(&upstream, "/redirect")).await;
    assert_eq!(answer["status"], 302);
    assert!(answer["headers"].to_string().contains("169.254.169.254"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_has_its_bounds_in_time_and_size() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ""), "http_bytes = \"256KiB\"").await;
    let ask = async |target: &str| send(&host, with(to(&upstream, target), json!({ "patience": 300 }))).await;
    let begin = Instant::now();
    is_refused(&ask("/silent").await, "ConnectionReadTimeout");
    assert!(begin.elapsed() < Duration::from_secs(7), "{:?}", begin.elapsed());
    for (target, word) in [("/garbage", "HttpResponseIncomplete"), ("/long-head", "HttpResponseIncomplete")] {
        is_refused(&ask(target).await, word);
    }
    assert!(ask("/interim").await["error"].is_string());
    let cut = ask("/cut").await;
    assert_eq!((&cut["bytes"], &cut["end"]), (&json!(3), &json!("incomplete HTTP response")), "{cut}");
    let endless = ask("/endless").await;
    assert!(endless["end"].as_str().is_some_and(|end| end.contains("response body size")), "{endless}");
    assert!(endless["bytes"].as_u64().is_some_and(|bytes| bytes <= 256 << 10), "{endless}");
    let large = send(&host, with(to(&upstream, "/"), json!({ "method": "POST", "body": 300 << 10 }))).await;
    is_refused(&large, "HttpRequestBodySize");
    assert_eq!(ask("/").await["status"], 200, "what failed before holds nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stalls_ends_with_the_call() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ""), "wall = \"1s\"").await;
    let begin = Instant::now();
    let answer = host.post("/courier/send", &json!([to(&upstream, "/stall")])).send().await.expect("an answer");
    assert_eq!(answer.status(), 504);
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert_eq!(host.running().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_sends_as_many_requests_as_it_may() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ""), "http_requests = 3").await;
    let answers = send_all(&host, &json!(vec![to(&upstream, "/"); 5])).await;
    let sent = answers.iter().filter(|answer| answer["status"] == 200).count();
    assert_eq!((sent, upstream.seen.heads().len()), (3, 3));
    is_refused(&answers[4], "HttpRequestDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_let_go_with_the_call() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ""), "").await;
    let errands = json!(vec![with(to(&upstream, "/endless"), json!({ "unread": true })); 16]);
    // More than there are places, one call after the other.
    for _ in 0..12 {
        let answers = send_all(&host, &errands).await;
        assert!(answers.iter().all(|answer| answer["status"] == 200), "{answers:?}");
    }
    assert_eq!(send(&host, to(&upstream, "/")).await["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_traps_lets_go_of_all_that_it_had_under_way() {
    let upstream = Upstream::start().await;
    let host = courier(&local(&upstream, ""), "").await;
    // After each number of requests, and more altogether than there are places.
    for round in 0..24 {
        let mut errands = vec![with(to(&upstream, "/endless"), json!({ "unread": true })); round % 12];
        errands.push(with(to(&upstream, "/"), json!({ "trap": true })));
        let answer = host.post("/courier/send", &json!(errands)).send().await.expect("an answer");
        assert_eq!(answer.status(), 500);
    }
    assert_eq!(host.running().await, 0);
    let all = send_all(&host, &json!(vec![to(&upstream, "/"); 16])).await;
    assert!(all.iter().all(|answer| answer["status"] == 200), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_end_of_tls_is_who_the_grant_names() {
    let named = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let (right, wrong) = (named("localhost"), named("elsewhere.example"));
    let (good, other) =
        (Upstream::start_tls(tls_acceptor(&right)).await, Upstream::start_tls(tls_acceptor(&wrong)).await);
    let dir = tempfile::tempdir().expect("a directory");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, right.cert.pem() + &wrong.cert.pem()).expect("written");
    let grant =
        |upstream: &Upstream, ca: &str| format!("{{ host = \"localhost:{}\", private = true{ca} }}", upstream.port());
    let trusting = format!(", ca = \"{}\"", ca.display());
    let errand = |upstream: &Upstream| with(to(upstream, "/"), json!({ "scheme": "https" }));
    let host = courier(&[grant(&good, &trusting), grant(&other, &trusting)].join(", "), "").await;
    assert_eq!(send(&host, errand(&good)).await["status"], 200);
    is_refused(&send(&host, errand(&other)).await, "TlsProtocolError");
    // By its other scheme it is another server.
    is_refused(&send(&host, to(&good, "/")).await, "HttpRequestDenied");
    let strict = courier(&grant(&good, ""), "").await;
    is_refused(&send(&strict, errand(&good)).await, "TlsProtocolError");
    assert_eq!((good.seen.heads().len(), other.seen.heads().len()), (1, 0));
}

/// The host as its own upstream: each round is a call of its own, and they end.
#[tokio::test(flavor = "multi_thread")]
async fn a_circle_of_hosts_comes_to_an_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let host = courier(&format!("{{ host = \"http://localhost:{port}\", private = true }}"), "").await;
    let address = host.address;
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    let errand = json!({ "scheme": "http", "authority": format!("localhost:{port}"), "target": "/courier/" });
    assert_eq!(send(&host, errand.clone()).await["status"], 200, "asking once is no circle");
    for (hops, status) in [(3, 200), (4, 508), (300, 508)] {
        let passed = vec!["innkeeper"; hops].join(", ");
        let answer = host.get("/courier/").header("cdn-loop", passed).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{hops}");
    }
    // Each hop is counted on, and what the guest writes there is not.
    let request = host.post("/courier/send", &json!([with(errand, json!({ "headers": [["cdn-loop", ""]] }))]));
    let answers: Value = request
        .header("cdn-loop", "innkeeper, innkeeper, innkeeper")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(answers[0]["status"], 508, "{answers}");
}

/// In the log and in the metrics: what was refused, whose fault it is, and no secret.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_was_sent_and_to_whom() {
    let upstream = Upstream::start().await;
    let grant = local(&upstream, ", header = { authorization = \"Bearer env:API_TOKEN\" }");
    let module = module("courier", "courier", &format!("grants = {{ http = [{grant}] }}\nsmoke = \"off\""));
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("innkeeper.toml");
    std::fs::write(&file, module).expect("written");
    let config = file.display().to_string();
    let vars = [
        ("INNKEEPER_CONFIG", config.as_str()),
        ("API_TOKEN", SECRET),
        ("RUST_LOG", "debug"),
        ("INNKEEPER_ADMIN_LISTEN", "127.0.0.1:0"),
    ];
    let host = HostProcess::serve(&vars).await;
    let elsewhere = json!({ "scheme": "https", "authority": "elsewhere.example", "target": "/?token=canary-target" });
    let errands = json!([to(&upstream, "/redirect"), to(&upstream, "/echo"), elsewhere]);
    let sent = http_client().post(host.url("/courier/send")).json(&errands).send().await.expect("an answer");
    assert_eq!(sent.status(), 200);
    sent.bytes().await.expect("a body");
    let metrics = host.admin("/metrics").await;
    let counted = |server: &str, outcome: &str| {
        let mut lines = metrics.lines().filter(|line| line.starts_with("innkeeper_http_requests_total"));
        lines.any(|line| line.contains(&format!("server=\"{server}\"")) && line.contains(outcome))
    };
    let server = format!("http://localhost:{}", upstream.port());
    assert!(counted(&server, "\"ok\"") && counted("none", "not_granted"), "{metrics}");
    assert!(!metrics.contains("elsewhere"), "a guest fills the metrics with names");
    let log = host.stop().await.stderr;
    let refused = log.lines().find(|line| line.contains("elsewhere.example")).expect("a line about the refusal");
    assert!(refused.contains("courier") && refused.contains("not granted") || refused.contains("no such server"));
    assert!(log.contains("answered with the secret"), "{log}");
    assert!(!log.contains(SECRET) && !log.contains("canary-target"), "{log}");
}
