//! A database that is away, goes away and comes back: the host stays up, says
//! so, answers 503, and heals by itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};

use crate::harness::{As, Database, HostProcess, Proxy, Setup, TestDatabase, TestHost, guest};

/// The host looks every two seconds, and then waits for the statement's time.
const NOTICED: Duration = Duration::from_secs(8);
/// The longest pause between two tries is 5 s and a quarter of it.
const HEALED: Duration = Duration::from_secs(12);

fn todo() -> Setup {
    let file = "[[module]]\nname = \"todo\"\nsource = \"replaced\"\ngrants = { sql = \"main\", accounts = false, llm = [], toolbox = [] }\nlimits = { sql_time = \"1s\" }\n";
    Setup::guest("todo").file(file)
}

async fn proxied() -> (TestDatabase, Proxy, String) {
    let database = TestDatabase::create(Database::Postgres).await;
    let proxy = Proxy::before(database.url()).await;
    let url = proxy.url(database.url());
    (database, proxy, url)
}

async fn status(host: &TestHost, path: &str) -> u16 {
    host.get(path).send().await.expect("an answer").status().as_u16()
}

async fn create(host: &TestHost, title: &str) -> Response {
    host.post("/api/ada/tasks", &json!({ "title": title })).by("ada").send().await.expect("an answer")
}

async fn list(host: &TestHost) -> Response {
    host.get("/api/ada/tasks").by("ada").send().await.expect("an answer")
}

/// Reads and writes, all at once: 503 with the time to try again, and soon.
async fn is_unavailable(host: &TestHost) {
    let started = Instant::now();
    let calls = (0..20).map(|n| match n % 2 {
        0 => host.get("/api/ada/tasks"),
        _ => host.post("/api/ada/tasks", &json!({ "title": "lost" })),
    });
    for call in calls.map(|call| tokio::spawn(call.by("ada").send())).collect::<Vec<_>>() {
        let answer = call.await.expect("no panic").expect("an answer");
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers().get("retry-after").map(|value| value.as_bytes()), Some(&b"1"[..]));
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body, json!({ "detail": "Service temporarily unavailable" }));
    }
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_starts_without_its_database_and_heals() {
    let (database, proxy, url) = proxied().await;
    proxy.cut();
    let host = todo().start_at(database, &url).await.expect("it starts");
    assert_eq!(status(&host, "/health/live").await, 200);
    assert_eq!(status(&host, "/health/ready").await, 503);
    let health = host.get("/health").send().await.expect("an answer");
    assert_eq!(health.status(), 503);
    let report: Value = health.json().await.expect("JSON");
    assert_eq!((&report["status"], &report["modules"][0]["database"]), (&json!("unhealthy"), &json!("down")));
    is_unavailable(&host).await;
    assert_eq!(status(&host, "/").await, 200, "what needs no database");
    proxy.restore();
    host.until("/health/ready", 200, HEALED).await;
    assert_eq!(create(&host, "first").await.status(), 201);
    assert_eq!(list(&host).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_opened_yet_is_a_database_that_is_away() {
    let database = TestDatabase::create(Database::Sqlite).await;
    let dir = database.dir().expect("a directory").join("mounted-later");
    let url = format!("sqlite://{}/test.db", dir.display());
    let host = todo().start_at(database, &url).await.expect("it starts");
    assert_eq!(status(&host, "/health/ready").await, 503);
    is_unavailable(&host).await;
    std::fs::create_dir(dir).expect("made");
    host.until("/health/ready", 200, HEALED).await;
    assert_eq!(create(&host, "first").await.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_lost_turns_ready_red_until_it_is_back() {
    for lose in [Proxy::cut, Proxy::stall] {
        let (database, proxy, url) = proxied().await;
        let host = todo().start_at(database, &url).await.expect("it starts");
        assert_eq!(create(&host, "kept").await.status(), 201);
        lose(&proxy);
        is_unavailable(&host).await;
        host.until("/health/ready", 503, NOTICED).await;
        is_unavailable(&host).await;
        assert_eq!(status(&host, "/health/live").await, 200);
        assert_eq!(status(&host, "/").await, 200, "what needs no database");
        proxy.restore();
        host.until("/health/ready", 200, HEALED).await;
        let tasks: Value = list(&host).await.json().await.expect("JSON");
        assert_eq!(tasks.as_array().map(Vec::len), Some(1), "{tasks}");
        assert_eq!(create(&host, "next").await.status(), 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ends_are_replaced_without_a_failed_read() {
    let host = todo().on(Database::Postgres).start().await;
    let pool = host.database.pool().await;
    for round in 0..3 {
        // Several connections, all used a moment ago.
        let reads: Vec<_> = (0..12).map(|_| tokio::spawn(host.get("/api/ada/tasks").by("ada").send())).collect();
        for read in reads {
            assert_eq!(read.await.expect("no panic").expect("an answer").status(), 200);
        }
        let ended = sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'innkeeper:%' AND datname = current_database()",
        );
        let ended = ended.fetch_all(&pool).await.expect("an administrator's right").len();
        assert!(ended > 0);
        for read in 0..12 {
            assert_eq!(
                list(&host).await.status(),
                200,
                "read {read} after {ended} connections were ended, round {round}"
            );
        }
    }
    pool.close().await;
}

/// What was acknowledged is there, once; what was not is there once or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_in_a_burst_of_writes_loses_and_doubles_nothing() {
    let (database, proxy, url) = proxied().await;
    let host = Arc::new(todo().start_at(database, &url).await.expect("it starts"));
    let writer = |writer: usize| {
        let host = Arc::clone(&host);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for n in 0..400 {
                let answer = create(&host, &format!("{writer}-{n}")).await;
                match answer.status().as_u16() {
                    201 => {
                        acknowledged.push(answer.json::<Value>().await.expect("JSON")["id"].as_i64().expect("an id"))
                    }
                    503 if !acknowledged.is_empty() => return acknowledged,
                    other => assert_eq!(other, 503),
                }
            }
            acknowledged
        })
    };
    let writers: Vec<_> = (0..16).map(writer).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.cut();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("no other status"));
    }
    proxy.restore();
    host.until("/health/ready", 200, HEALED).await;
    let mut kept: Vec<(i64, String)> = Vec::new();
    loop {
        let page = host
            .get(&format!("/api/ada/tasks?limit=100&offset={}", kept.len()))
            .by("ada")
            .send()
            .await
            .expect("an answer");
        let page: Vec<Value> = page.json().await.expect("JSON");
        if page.is_empty() {
            break;
        }
        kept.extend(page.iter().map(|task| (task["id"].as_i64().expect("an id"), task["title"].to_string())));
    }
    let ids: HashSet<i64> = kept.iter().map(|(id, _)| *id).collect();
    let titles: HashSet<&str> = kept.iter().map(|(_, title)| &**title).collect();
    assert!(!acknowledged.is_empty());
    assert_eq!(titles.len(), kept.len(), "a write happened twice");
    let lost: Vec<_> = acknowledged.iter().filter(|id| !ids.contains(id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?} of {}", acknowledged.len());
}

/// Nothing can heal it, so the log must say what an operator has to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_refused_late_is_told_in_the_log() {
    let (database, proxy, url) = proxied().await;
    Setup::guest("todo").start_with(database.clone()).await.expect("it starts").stop().await;
    database.meddle("todo", "UPDATE innkeeper.migrations SET checksum = 'edited'").await;
    proxy.cut();
    let todo = guest("todo").display().to_string();
    let host = HostProcess::start(&[("INNKEEPER_MODULE", &*todo), ("DATABASE_URL", &url)], "/health/live").await;
    while !host.stderr().contains("trying on") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    proxy.restore();
    let until = Instant::now() + HEALED;
    while !host.stderr().contains("was applied with another text before") {
        assert!(Instant::now() < until, "the log does not say why: {}", host.stderr());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
