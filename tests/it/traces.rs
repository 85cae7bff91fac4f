//! Traces by OTLP: what a collector gets, what it never gets, and what it cannot
//! do to the requests.

mod collectors;
mod contents;

use crate::harness::{As, Collector, Database, HostProcess, Seen, Setup, guest};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn to(setup: Setup, collector: &Collector) -> Setup {
    setup.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
}

#[track_caller]
fn only(spans: &[Seen], what: impl Fn(&Seen) -> bool) -> &Seen {
    let found: Vec<&Seen> = spans.iter().filter(|span| what(span)).collect();
    assert_eq!(found.len(), 1, "{spans:#?}");
    found[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_from_the_client_to_the_database() {
    for (database, system) in [(Database::Sqlite, "sqlite"), (Database::Postgres, "postgresql")] {
        let collector = Collector::start().await;
        let setup = to(Setup::guest("todo").on(database), &collector)
            .env("OTEL_SERVICE_NAME", "todos")
            .env("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop,team=a%2Cb")
            .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20of-the-collector,x-scope-orgid=7");
        let host = setup.start().await;
        let create = host.post("/api/ada/tasks", &serde_json::json!({ "title": "Buy milk" })).by("ada");
        let create = create.header("traceparent", traceparent("01")).header("tracestate", "vendor=opaque");
        let answer = create.header("x-request-id", "create-1").send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        assert_eq!(host.get("/health").send().await.expect("an answer").status(), 200);
        host.stop().await;

        let spans = collector.spans();
        assert!(spans.iter().all(|span| span.trace == TRACE && span.state == "vendor=opaque"), "{spans:#?}");
        let server = only(&spans, |span| span.kind == 2);
        assert_eq!((&*server.parent, &*server.name, server.status), (PARENT, "POST /", 0));
        for (name, value) in [
            ("http.request.method", "POST"),
            ("http.response.status_code", "201"),
            ("http.route", "/"),
            ("url.path", "/api/ada/tasks"),
            ("url.scheme", "http"),
            ("module.name", "todo"),
            ("request.id", "create-1"),
        ] {
            assert_eq!(server.attribute(name), value, "{name}");
        }
        let call = only(&spans, |span| span.kind == 1);
        assert_eq!((&*call.parent, &*call.name, call.attribute("module.name")), (&*server.id, "guest todo", "todo"));
        let created = only(&spans, |span| span.name == "task-create");
        assert_eq!((&*created.parent, created.kind, created.status), (&*call.id, 3, 0));
        assert_eq!(
            (created.attribute("db.system.name"), created.attribute("db.operation.name")),
            (system, "task-create")
        );
        for (name, value) in [
            ("service.name", "todos"),
            ("service.namespace", "shop"),
            ("team", "a,b"),
            ("telemetry.sdk.language", "rust"),
        ] {
            assert_eq!(server.resource[name], value, "{name}");
        }
        for (path, headers, _) in collector.posts() {
            assert_eq!((&*path, &headers["content-type"]), ("/v1/traces", &"application/x-protobuf".parse().unwrap()));
            assert_eq!(
                (&headers["authorization"], &headers["x-scope-orgid"]),
                (&"Bearer of-the-collector".parse().unwrap(), &"7".parse().unwrap())
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_decides_whether_its_trace_is_exported() {
    let collector = Collector::start().await;
    let host = to(Setup::guest("hello"), &collector).start().await;
    for (flags, copies) in [("00", 20), ("01", 1)] {
        for _ in 0..copies {
            let request = host.get("/").header("traceparent", traceparent(flags));
            assert_eq!(request.send().await.expect("an answer").status(), 200);
        }
    }
    host.stop().await;
    // The sampled one came last, so all that could come has come.
    assert_eq!(collector.spans().len(), 2, "{:#?}", collector.spans());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_decides_for_traces_that_begin_here() {
    for (sampler, argument, own, sent) in [
        ("parentbased_always_off", "", 0, 2),
        ("always_off", "", 0, 0),
        ("always_on", "", 2, 2),
        ("parentbased_traceidratio", "0", 0, 2),
        ("traceidratio", "1.0", 2, 2),
    ] {
        let collector = Collector::start().await;
        let setup = to(Setup::guest("hello"), &collector).env("OTEL_TRACES_SAMPLER", sampler);
        let host = setup.env("OTEL_TRACES_SAMPLER_ARG", argument).start().await;
        host.get("/").send().await.expect("an answer");
        host.get("/").header("traceparent", traceparent("01")).send().await.expect("an answer");
        host.stop().await;
        let (of_client, of_host): (Vec<_>, Vec<_>) =
            collector.spans().into_iter().partition(|span| span.trace == TRACE);
        assert_eq!((of_host.len(), of_client.len()), (own, sent), "{sampler}");
        let roots = of_host.iter().filter(|span| span.parent.is_empty()).count();
        assert_eq!(roots, own / 2, "{sampler}: {of_host:#?}");
    }
}

/// The trace headers that a guest sees.
async fn seen_by_guest(host: &crate::harness::TestHost, sent: &[(&str, &str)]) -> (Option<String>, Option<String>) {
    let mut request = host.get("/request-headers");
    for (name, value) in sent {
        request = request.header(*name, *value);
    }
    let text = request.send().await.expect("an answer").text().await.expect("text");
    let value = |name: &str| Some(text.split(&format!("\"{name}\": \"")).nth(1)?.split('"').next()?.to_owned());
    (value("traceparent"), value("tracestate"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_the_span_of_its_request_as_the_parent() {
    let collector = Collector::start().await;
    let host = to(Setup::guest("misbehave"), &collector).start().await;
    let (sampled, unsampled) = (traceparent("01"), traceparent("00"));
    let sampled = seen_by_guest(&host, &[("traceparent", &sampled), ("tracestate", "vendor=opaque")]).await;
    let unsampled = seen_by_guest(&host, &[("traceparent", &unsampled)]).await;
    let none = seen_by_guest(&host, &[]).await;
    let long = "v".repeat(600);
    let mut replaced = Vec::new();
    for bad in [
        vec![("traceparent", "00-zz-01"), ("tracestate", "vendor=opaque")],
        vec![("traceparent", &*long)],
        vec![("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"); 2],
        vec![("tracestate", "vendor=opaque")],
    ] {
        replaced.push(seen_by_guest(&host, &bad).await);
    }
    host.stop().await;

    let spans = collector.spans();
    let servers: Vec<&Seen> = spans.iter().filter(|span| span.kind == 2).collect();
    let server = only(&spans, |span| span.kind == 2 && span.parent == PARENT);
    assert_eq!(sampled, (Some(format!("00-{TRACE}-{}-01", server.id)), Some("vendor=opaque".to_owned())));
    let (parent, state) = unsampled;
    let parent = parent.expect("a parent");
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-00") && state.is_none(), "{parent}");
    for (parent, state) in replaced.into_iter().chain([none]) {
        let parent = parent.expect("a parent");
        assert!(
            servers.iter().any(|own| parent == format!("00-{}-{}-01", own.trace, own.id)),
            "{parent}: {servers:#?}"
        );
        assert_eq!(state, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_trace_headers_pass_as_they_came() {
    let host = Setup::guest("misbehave").start().await;
    let sent = [("traceparent", "whatever-it-is"), ("tracestate", "vendor=opaque")];
    let seen = seen_by_guest(&host, &sent).await;
    assert_eq!(seen, (Some("whatever-it-is".to_owned()), Some("vendor=opaque".to_owned())));
    assert_eq!(seen_by_guest(&host, &[]).await, (None, None));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_request_names_its_trace() {
    let collector = Collector::start().await;
    let misbehave = guest("misbehave").display().to_string();
    let vars = [
        ("INNKEEPER_MODULE", &*misbehave),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()),
        // The level of the log is not the level of the traces.
        ("RUST_LOG", "error,innkeeper::cli=info,innkeeper::instance=info,innkeeper::front=warn"),
    ];
    let host = HostProcess::serve(&vars).await;
    let client = reqwest::Client::new();
    for path in ["/trap", "/log-flood"] {
        let request = client.get(host.url(path)).header("traceparent", traceparent("01"));
        request.header("x-request-id", "case").send().await.expect("an answer");
    }
    let log = host.stop().await.stderr;
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let own: Vec<_> = lines.iter().filter(|line| line["request.id"] == "case").collect();
    assert!(own.len() > 100, "{log}");
    assert!(own.iter().all(|line| line["trace_id"] == TRACE), "{log}");
    assert_eq!(collector.spans().len(), 4, "{:#?}", collector.spans());
}
