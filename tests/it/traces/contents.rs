//! What is in a span of a request that failed, and what is in none.

use std::time::Duration;

use innkeeper::broker::identity::{NewToken, mint};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{only, to};
use crate::harness::{Collector, Database, HostProcess, Proxy, Setup, TestDatabase, guest};

#[tokio::test(flavor = "multi_thread")]
async fn a_span_says_whose_fault_it_was() {
    let collector = Collector::start().await;
    let (misbehave, probe) = (guest("misbehave").display().to_string(), guest("sql-probe").display().to_string());
    let modules = format!(
        "[[module]]\nname = \"misbehave\"\nsource = \"{misbehave}\"\nroute = \"/\"\n\
         [[module]]\nname = \"probe\"\nsource = \"{probe}\"\nroute = \"/run\"\ngrants = {{ sql = \"main\" }}\n"
    );
    let host = to(Setup::modules(&modules), &collector).start().await;
    // Path, status, blame, error.type, whether the span is an error.
    let cases = [
        ("/behave", "200", "", "", 0),
        ("/trap", "500", "guest", "guest_failed", 2),
        ("/trap-mid-answer", "200", "guest", "guest_answer", 2),
        ("/status-600", "502", "guest", "guest_answer", 2),
    ];
    for (path, ..) in cases {
        let _ = host.get(path).send().await.expect("an answer").bytes().await;
    }
    host.get("/behave").bearer_auth("forged").send().await.expect("an answer");
    let unknown = host.request("BREW".parse().expect("a method"), "/brew").send().await.expect("an answer");
    assert_eq!(unknown.status(), 200);
    let ask = json!({ "statement": "unique", "params": [{ "text": "a" }, "null", { "integer": 1 }] });
    for _ in 0..2 {
        host.post("/run", &ask).send().await.expect("an answer");
    }
    host.post("/run", &json!({ "statement": "canary-undeclared" })).send().await.expect("an answer");
    host.stop().await;

    let spans = collector.spans();
    for (path, status, blame, kind, error) in cases {
        let span = only(&spans, |span| span.attribute("url.path") == path && span.attribute("error.type") == kind);
        assert_eq!((span.attribute("http.response.status_code"), span.attribute("blame")), (status, blame), "{path}");
        assert_eq!(span.status, error, "{path}");
    }
    let forged = only(&spans, |span| span.attribute("error.type") == "unauthorized");
    assert_eq!((forged.status, forged.attribute("blame"), &*forged.name), (0, "caller", "GET"));
    let brewed = only(&spans, |span| span.attribute("url.path") == "/brew");
    assert_eq!((brewed.attribute("http.request.method"), &*brewed.name), ("_OTHER", "HTTP /"));
    let traps = spans.iter().filter(|span| span.name == "guest misbehave" && span.attribute("error.type") == "trap");
    assert_eq!(traps.count(), 2, "{spans:#?}");
    let refused = only(&spans, |span| span.attribute("error.type") == "constraint");
    assert_eq!((&*refused.name, refused.kind, refused.status), ("unique", 3, 2));
    let unknown = only(&spans, |span| span.attribute("error.type") == "unknown-statement");
    assert_eq!((&*unknown.name, unknown.attribute("db.operation.name")), ("sqlite", ""));
    assert!(!format!("{spans:?}").contains("canary"), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_span_with_the_names_of_its_statements() {
    let collector = Collector::start().await;
    let host = to(Setup::guest("sql-probe"), &collector).start().await;
    let number = |n: i64| json!({ "statement": "number", "params": [{ "integer": n }] });
    let steps = json!([number(1), number(2), { "statement": "four" }]);
    assert_eq!(host.post("/batch", &steps).send().await.expect("an answer").status(), 200);
    host.stop().await;
    let spans = collector.spans();
    let batch = only(&spans, |span| span.kind == 3);
    assert_eq!((&*batch.name, batch.attribute("db.operation.batch.size")), ("BATCH", "3"));
    assert_eq!(batch.attribute("db.query.summary"), "number number four");
}

const SECRET: &str = "canary-secret-0123456789";

/// Tokens, cookies, passwords, bodies, SQL values, query strings and the key of
/// the collector, at the most talkative level, with the database away at last.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_the_collector_or_the_log() {
    let collector = Collector::start().await;
    let database = TestDatabase::create(Database::Postgres).await;
    let proxy = Proxy::before(database.url()).await;
    let role = format!("canary_{}", uuid::Uuid::new_v4().simple());
    let pool = database.pool().await;
    let create = format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'canary-password'");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.expect("an administrator's right");
    let url = proxy.url(database.url());
    let url = format!("postgres://{role}:canary-password@{}", url.rsplit('@').next().expect("an address"));
    let new = NewToken {
        subject: "alice",
        name: Some("canary-name"),
        email: Some("canary-mail@example.com"),
        issuer: None,
        audience: None,
        lifetime: Duration::from_secs(600),
        session: None,
    };
    let token = mint(SECRET.as_bytes(), &new).expect("signed");
    let dir = tempfile::tempdir().expect("a directory");
    let headers = dir.path().join("headers");
    std::fs::write(&headers, "authorization=Bearer%20canary-key\n").expect("written");
    let (todo, headers, endpoint) =
        (guest("todo").display().to_string(), headers.display().to_string(), collector.url());
    let vars = [
        ("INNKEEPER_MODULE", &*todo),
        ("DATABASE_URL", &*url),
        ("BETTER_AUTH_SECRET", SECRET),
        ("RUST_LOG", "trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS_FILE", &*headers),
    ];
    let host = HostProcess::serve(&vars).await;
    let client = reqwest::Client::new();
    let tasks = host.url("/api/alice/tasks");
    for away in [false, true] {
        if away {
            collector.answer(500);
            proxy.cut();
        }
        let title = json!({ "title": "canary-title", "description": "canary-text" });
        for request in [
            client.post(&tasks).bearer_auth(&token).json(&title),
            client.post(&tasks).bearer_auth(&token).json(&json!({ "title": "canary-title".repeat(100) })),
            client.get(format!("{tasks}?search=canary-sought")).bearer_auth(&token),
            client.get(&tasks).bearer_auth(format!("{token}canary-bearer")),
            client.get(&tasks).basic_auth("alice", Some("canary-password")),
        ] {
            request.header("cookie", "session=canary-cookie").send().await.expect("an answer");
        }
        if !away {
            collector.wait_for(10).await;
        }
    }
    let finished = host.stop().await;
    let forget = format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(forget)).execute(&pool).await.expect("an administrator's right");
    pool.close().await;
    assert_eq!(finished.status.code(), Some(0));
    assert!(finished.stderr.contains("spans are lost"), "the collector did not fail");

    let posts = collector.posts();
    assert!(!posts.is_empty() && posts.iter().all(|(_, headers, _)| headers["authorization"] == "Bearer canary-key"));
    let exported: String = posts.iter().map(|(_, _, body)| String::from_utf8_lossy(body).into_owned()).collect();
    assert!(exported.contains("task-create") && exported.contains("/api/alice/tasks"), "nothing was exported");
    for text in [&exported, &finished.stderr, &finished.stdout] {
        for secret in ["canary-", "INSERT", "SELECT "].into_iter().chain(token.split('.').skip(1)) {
            let is_sql = secret.ends_with([' ', 'T']);
            let line = text.lines().find(|line| line.contains(secret)).filter(|_| !is_sql || text == &exported);
            assert!(line.is_none(), "{secret} is in: {}", line.unwrap_or_default());
        }
    }
}
