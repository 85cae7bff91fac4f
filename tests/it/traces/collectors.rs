//! Collectors that speak TLS, are down, stuck or wrong, and configurations that
//! cannot be right.

use std::time::{Duration, Instant};

use super::to;
use crate::harness::{Collector, HostProcess, Setup, guest};

const EX_CONFIG: i32 = 78;

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_may_speak_tls_with_an_authority_of_its_own() {
    let collector = Collector::start_tls().await;
    let authority = collector.authority.as_ref().expect("TLS").display().to_string();
    let setup = to(Setup::guest("hello"), &collector).env("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority);
    let host = setup.start().await;
    host.get("/").send().await.expect("an answer");
    host.stop().await;
    assert_eq!(collector.spans().len(), 2);

    // Nobody else trusts it.
    let host = to(Setup::guest("hello"), &collector).start().await;
    host.get("/").send().await.expect("an answer");
    host.stop().await;
    assert_eq!((collector.spans().len(), collector.tries()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sent_again_when_the_collector_was_only_busy() {
    let collector = Collector::start().await;
    collector.answer(503);
    let host = to(Setup::guest("hello"), &collector).start().await;
    host.get("/").send().await.expect("an answer");
    while collector.tries() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    collector.answer(200);
    assert_eq!(collector.wait_for(2).await.len(), 2);
    // What it will never take is not offered twice.
    collector.answer(400);
    let before = collector.tries();
    host.get("/").send().await.expect("an answer");
    host.stop().await;
    assert_eq!(collector.tries(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_can_be_switched_off() {
    for (name, value) in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        let collector = Collector::start().await;
        let host = to(Setup::guest("hello"), &collector).env(name, value).start().await;
        host.get("/").send().await.expect("an answer");
        host.stop().await;
        assert_eq!(collector.tries(), 0, "{name}");
    }
}

/// A port that refuses, one that accepts and never answers, and one that answers
/// what no collector does.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_collector_costs_requests_nothing_and_the_log_a_line() {
    let refuses = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let wrong = Collector::start().await;
    wrong.answer(404);
    let hello = guest("hello").display().to_string();
    for collector in [refuses, silent.local_addr().expect("bound"), wrong.address] {
        let admin = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
        let (endpoint, admin) = (format!("http://{collector}"), admin.to_string());
        let vars = [
            ("INNKEEPER_MODULE", &*hello),
            ("INNKEEPER_ADMIN_LISTEN", &*admin),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "3000"),
        ];
        let host = HostProcess::serve(&vars).await;
        let client = reqwest::Client::new();
        let mut slowest = Duration::ZERO;
        // Two spans each: more than may wait.
        for _ in 0..3_000 {
            let started = Instant::now();
            assert_eq!(client.get(host.url("/")).send().await.expect("an answer").status(), 200);
            slowest = slowest.max(started.elapsed());
        }
        assert!(slowest < Duration::from_secs(1), "{collector}: {slowest:?}");
        let metrics = reqwest::get(format!("http://{admin}/metrics")).await.expect("an answer");
        let metrics = metrics.text().await.expect("text");
        let asked = Instant::now();
        let finished = host.stop().await;
        assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
        assert!(asked.elapsed() < Duration::from_secs(5), "{collector}: {:?}", asked.elapsed());
        let lines: Vec<&str> = finished.stderr.lines().filter(|line| line.contains("collector")).collect();
        assert!((1..=2).contains(&lines.len()), "{collector}: {lines:#?}");
        let lost = metrics.lines().find_map(|line| line.strip_prefix("innkeeper_spans_lost_total "));
        let lost: u64 = lost.and_then(|lost| lost.trim().parse().ok()).unwrap_or_else(|| panic!("no count: {metrics}"));
        assert!((1..=6_000).contains(&lost), "{collector}: {lost}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_exporter_is_a_mistake_in_the_configuration() {
    let hello = guest("hello").display().to_string();
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let good = (endpoint, "http://collector:4318");
    for (vars, sentence) in [
        ([(endpoint, "collector:4318"), ("", "")], "OTEL_EXPORTER_OTLP_ENDPOINT: neither http:// nor https://"),
        ([(endpoint, "not a url"), ("", "")], "OTEL_EXPORTER_OTLP_ENDPOINT: not a URL"),
        ([(endpoint, "https://me:canary-1@collector"), ("", "")], "holds a user or a password"),
        ([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://x"), ("", "")], "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: neither"),
        ([good, ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,canary-2")], "OTEL_EXPORTER_OTLP_HEADERS: entry 2 is not a header"),
        ([good, ("OTEL_EXPORTER_OTLP_HEADERS_FILE", "/no/such/file")], "cannot read /no/such/file"),
        ([good, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "`grpc` is not spoken here"),
        ([good, ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")], "`10s` is not a number of milliseconds"),
        ([good, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null")], "there is no certificate in it"),
        ([good, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key")], "client certificates are not supported"),
        ([good, ("OTEL_TRACES_EXPORTER", "zipkin")], "`zipkin` is neither otlp nor none"),
        ([good, ("OTEL_TRACES_SAMPLER", "sometimes")], "there is no sampler `sometimes`"),
        ([good, ("OTEL_RESOURCE_ATTRIBUTES", "team")], "not a list of name=value"),
    ] {
        let all: Vec<(&str, &str)> =
            [("INNKEEPER_MODULE", &*hello)].into_iter().chain(vars).filter(|(name, _)| !name.is_empty()).collect();
        let finished = HostProcess::run(&["check"], &all).await;
        assert_eq!(finished.status.code(), Some(EX_CONFIG), "{sentence}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(sentence) && finished.stderr.contains("hint: "),
            "{sentence}: {}",
            finished.stderr
        );
        assert!(!finished.stderr.contains("canary"), "{}", finished.stderr);
    }
    let ratio = [
        ("INNKEEPER_MODULE", &*hello),
        good,
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ];
    let finished = HostProcess::run(&["check"], &ratio).await;
    assert_eq!(finished.status.code(), Some(EX_CONFIG));
    assert!(finished.stderr.contains("`2` is not a number from 0 to 1"), "{}", finished.stderr);
}
