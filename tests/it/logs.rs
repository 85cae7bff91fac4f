//! The log: no secret ever, each failure once, and lines that collectors read.

use std::time::Duration;

use innkeeper::broker::identity::{NewToken, mint};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::harness::{Database, HostProcess, Proxy, TestDatabase, guest, token};

const SECRET: &str = "canary-secret-0123456789";
const CANARIES: [&str; 6] =
    ["canary-secret", "canary-password", "canary-bearer", "canary-cookie", "canary-title", "canary-sought"];

/// Good requests, bad ones, and ones that fail, each with as many secrets as it takes.
async fn exercise(client: &reqwest::Client, host: &HostProcess, token: &str) {
    let tasks = host.url("/api/alice/tasks");
    let title = json!({ "title": "canary-title", "description": "canary-title", "tags": ["canary-title"] });
    let requests = [
        client.post(&tasks).bearer_auth(token).json(&title),
        client.get(format!("{tasks}?search=canary-sought")).bearer_auth(token),
        client
            .post(&tasks)
            .bearer_auth(token)
            .body("{\"title\": \"canary-title")
            .header("content-type", "application/json"),
        client.post(&tasks).bearer_auth(token).json(&json!({ "title": "canary-title".repeat(100) })),
        client.get(host.url("/api/bob/tasks")).bearer_auth(token),
        client.get(&tasks).bearer_auth("canary-bearer-token"),
        client.get(&tasks).bearer_auth(format!("{token}canary-bearer")),
        client.get(&tasks).basic_auth("alice", Some("canary-password")),
        client.post(&tasks).header("x-user-id", "canary-bearer").json(&title),
    ];
    for request in requests {
        request.header("cookie", "better-auth.session_token=canary-cookie").send().await.expect("an answer");
    }
}

#[track_caller]
fn clean(text: &str, token: &str) {
    let parts = token.split('.').skip(1);
    for canary in CANARIES.into_iter().chain(parts) {
        let line = text.lines().find(|line| line.contains(canary));
        assert!(line.is_none(), "{canary} is in the log: {}", line.unwrap_or_default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_the_log_at_any_level() {
    let database = TestDatabase::create(Database::Postgres).await;
    let proxy = Proxy::before(database.url()).await;
    let url = proxy.url(database.url());
    // A role of its own: the server may check passwords, and then only the right
    // one gets as far as the log.
    let role = format!("canary_{}", uuid::Uuid::new_v4().simple());
    let pool = database.pool().await;
    let create = format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'canary-password'");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.expect("an administrator's right");
    let address = url.rsplit('@').next().expect("an address");
    let url = format!("postgres://{role}:canary-password@{address}");
    let todo = guest("todo").display().to_string();
    let new = NewToken {
        subject: "alice",
        name: None,
        email: Some("canary-bearer@example.com"),
        issuer: None,
        audience: None,
        lifetime: Duration::from_secs(600),
        session: None,
    };
    let token = mint(SECRET.as_bytes(), &new).expect("signed");
    let vars = [
        ("INNKEEPER_MODULE", &*todo),
        ("DATABASE_URL", &*url),
        ("BETTER_AUTH_SECRET", SECRET),
        ("INNKEEPER_H2C", "1"),
        ("RUST_LOG", "trace"),
    ];
    let host = HostProcess::serve(&vars).await;
    let http1 = reqwest::Client::new();
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    for client in [&http1, &http2] {
        exercise(client, &host, &token).await;
    }
    proxy.cut();
    exercise(&http1, &host, &token).await;
    let finished = host.stop().await;
    let forget = format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(forget)).execute(&pool).await.expect("an administrator's right");
    pool.close().await;
    assert_eq!(finished.status.code(), Some(0));
    assert!(finished.stderr.contains("\"TRACE\"") || finished.stderr.contains("\"DEBUG\""), "nothing was traced");
    assert!(finished.stderr.contains("cannot be reached"), "the database did not fail");
    clean(&finished.stderr, &token);
    clean(&finished.stdout, &token);
    for line in finished.stderr.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_configuration_keeps_its_secrets() {
    let todo = guest("todo").display().to_string();
    let invalid = "postgres://alice:canary-password@localhost:port/db";
    for (url, file) in
        [(invalid, ""), ("mysql://alice:canary-password@localhost/db", ""), ("postgres://a/b", "/dev/null")]
    {
        let vars = [
            ("INNKEEPER_MODULE", &*todo),
            ("DATABASE_URL", url),
            ("BETTER_AUTH_SECRET", SECRET),
            ("BETTER_AUTH_SECRET_FILE", file),
            ("RUST_LOG", "trace"),
        ];
        let finished = HostProcess::run(&["check"], &vars).await;
        assert_eq!(finished.status.code(), Some(78), "{url}: {}", finished.stderr);
        clean(&finished.stderr, "");
        clean(&finished.stdout, "");
    }
}

/// The lines that blame somebody for a request.
fn blames(log: &str, id: &str) -> Vec<Value> {
    let lines =
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    lines.filter(|line| line["request.id"] == id && !line["blame"].is_null()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_logged_once_with_its_request_and_whose_fault_it_is() {
    let database = TestDatabase::create(Database::Postgres).await;
    let proxy = Proxy::before(database.url()).await;
    let (todo, misbehave) = (guest("todo").display().to_string(), guest("misbehave").display().to_string());
    let config = tempfile::NamedTempFile::new().expect("a file");
    let modules = format!(
        "[[module]]\nname = \"todo\"\nsource = \"{todo}\"\nroute = \"/api\"\ngrants = {{ sql = \"main\", accounts = false, llm = [], toolbox = [] }}\n\
         [[module]]\nname = \"misbehave\"\nsource = \"{misbehave}\"\nroute = \"/trap\"\nsmoke = \"off\"\n\
         [[module]]\nname = \"cut\"\nsource = \"{misbehave}\"\nroute = \"/trap-mid-answer\"\nsmoke = \"off\"\n"
    );
    std::fs::write(config.path(), modules).expect("written");
    let (config, url) = (config.path().display().to_string(), proxy.url(database.url()));
    let host = HostProcess::serve(&[("INNKEEPER_CONFIG", &config), ("DATABASE_URL", &url)]).await;
    proxy.cut();
    let cases = [
        ("/trap", "", 500, "guest", "misbehave"),
        ("/trap-mid-answer", "", 200, "guest", "cut"),
        ("/nowhere", "", 404, "caller", "-"),
        ("/api/ada/tasks", "garbage", 401, "caller", "-"),
        ("/api/ada/tasks", &token("ada"), 503, "host", "todo"),
    ];
    for (index, (path, token, status, ..)) in cases.iter().enumerate() {
        let request = reqwest::Client::new().get(host.url(path)).header("x-request-id", format!("case-{index}"));
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), *status, "{path}");
        assert_eq!(answer.headers()["x-request-id"], format!("case-{index}"));
        let _ = answer.bytes().await;
    }
    let log = host.stop().await.stderr;
    for (index, (path, _, _, blame, module)) in cases.iter().enumerate() {
        let lines = blames(&log, &format!("case-{index}"));
        assert_eq!(lines.len(), 1, "{path}: {lines:#?}");
        assert_eq!((&lines[0]["blame"], &lines[0]["module.name"]), (&json!(blame), &json!(module)), "{path}");
    }
}
