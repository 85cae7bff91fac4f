//! What a hostile module's slow statements cost: their own call, at their time,
//! and nobody else's.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::world::hostile_within;
use crate::harness::{As, Database, Setup, TestHost, guest, report};

const ROWS: usize = 30;
/// Thirty own rows, five times joined: 24 million rows, of which none is found.
const SLOW: &str = "SELECT count(*) FROM board AS a, board AS b, board AS c, board AS d, board AS e \
                    WHERE concat(a.note, b.note, c.note, d.note, e.note) = 'x'";

/// How long a call may take whose statement has a second.
const ENDED: Duration = Duration::from_millis(1_900);

/// The hostile guest and the todo guest, in one host.
async fn both() -> TestHost {
    let (hostile, todo) = (guest("hostile").display().to_string(), guest("todo").display().to_string());
    let modules = format!(
        "[[module]]\nname = \"hostile\"\nsource = {hostile:?}\nroute = \"/\"\n\
         grants = {{ sql = {{ database = \"main\", free = true }} }}\nlimits = {{ sql_time = \"1s\", concurrency = 40 }}\n\
         [[module]]\nname = \"todo\"\nsource = {todo:?}\nroute = \"/api\"\ngrants = {{ sql = \"main\", accounts = false, llm = [], toolbox = [] }}\n\
         [database]\nurl = \"env:DATABASE_URL\"\nconnections = 4\n"
    );
    Setup::modules(&modules).on(Database::Postgres).start().await
}

async fn hostile(host: &TestHost, text: &str) -> String {
    send(host, "/texts", &[text]).await
}

async fn send(host: &TestHost, path: &str, texts: &[&str]) -> String {
    let answer = host.post(path, &json!(texts)).by("mallory").send().await.expect("an answer");
    answer.text().await.expect("a body")
}

/// The rows that the slow statement joins.
async fn fill(host: &TestHost) {
    let rows: Vec<String> = (0..ROWS).map(|n| format!("('{n}')")).collect();
    let filled = hostile(host, &format!("INSERT INTO board (note) VALUES {}", rows.join(", "))).await;
    assert!(!filled.contains("error"), "{filled}");
}

/// The slow statement alone, and after a write in one transaction with it: both end at
/// their time, nothing is kept, and the next call is answered at once.
pub(super) async fn end_at_their_time(host: &TestHost, place: &str) {
    const COUNT: &str = "SELECT count(*) AS n FROM board";
    fill(host).await;
    let batch = ["INSERT INTO board (note) VALUES ('of half a batch')", SLOW, COUNT];
    for (path, texts) in [("/texts", &[SLOW][..]), ("/batch", &batch[..])] {
        let started = Instant::now();
        let slow = send(host, path, texts).await;
        let took = started.elapsed();
        assert!(slow.contains("Timeout"), "{place}, {path}: {slow}");
        assert!(took < ENDED, "{place}, {path}: {took:?}");
        let started = Instant::now();
        let kept: Value = serde_json::from_str(&hostile(host, COUNT).await).expect("JSON");
        let next = started.elapsed();
        assert_eq!(kept[0]["rows"], json!([{ "n": ROWS }]), "{place}, {path}: {kept}");
        assert!(next < Duration::from_secs(1), "{place}, {path}: the next call took {next:?}");
        // A write needs what the slow statement has had: SQLite has one writer.
        let started = Instant::now();
        let written = hostile(host, "UPDATE board SET note = concat(note, '')").await;
        let write = started.elapsed();
        assert!(!written.contains("error"), "{place}, {path}: {written}");
        assert!(write < Duration::from_secs(1), "{place}, {path}: the next write took {write:?}");
        report(&format!("{place}, {path}: ended after {took:.2?}, the next read took {next:.2?}, a write {write:.2?}"));
    }
}

/// The same again and again, as nobody but a hostile client does.
async fn insist(request: RequestBuilder) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..5 {
        let request = request.try_clone().expect("a body that can be sent again");
        answers.push(request.send().await.expect("an answer").text().await.expect("a body"));
    }
    answers
}

async fn running(host: &TestHost) -> i64 {
    let pool = host.database.pool().await;
    let text = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%concat%' AND pid <> pg_backend_pid()";
    let running = sqlx::query_scalar(text).fetch_one(&pool).await.expect("a number");
    pool.close().await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_statements_end_at_their_time_and_stop_no_other_module() {
    let host = both().await;
    fill(&host).await;
    let started = Instant::now();
    let alone = hostile(&host, SLOW).await;
    assert!(alone.contains("Timeout"), "{alone}");
    assert!(started.elapsed() < ENDED, "{:?}", started.elapsed());

    let many: Vec<_> =
        (0..30).map(|_| tokio::spawn(insist(host.post("/texts", &json!([SLOW])).by("mallory")))).collect();
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let started = Instant::now();
        let made =
            host.post("/api/ada/tasks", &json!({ "title": n.to_string() })).by("ada").send().await.expect("an answer");
        assert_eq!(made.status(), 201);
        slowest = slowest.max(started.elapsed());
        // A module that has no connection free is busy, and the host is ready.
        let ready = host.get("/health/ready").send().await.expect("an answer");
        assert_eq!(ready.status(), 200, "{}", ready.text().await.expect("a body"));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    // Two processors, and four backends that want them for themselves.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let tasks: Value =
        host.get("/api/ada/tasks").by("ada").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(tasks.as_array().map(Vec::len), Some(20));
    for one in many {
        for answer in one.await.expect("no panic") {
            // The last: a connection was being opened when the time was over.
            assert!(["Timeout", "Busy", "Unavailable"].iter().any(|end| answer.contains(end)), "{answer}");
        }
    }
    // The server's own work has ended with the calls.
    let until = Instant::now() + Duration::from_secs(2);
    while running(&host).await > 0 {
        assert!(Instant::now() < until, "a statement outlives its call");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!hostile(&host, "SELECT count(*) AS n FROM board").await.contains("error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_statement_takes_its_whole_transaction_with_it_on_either_database() {
    for database in Database::BOTH {
        let host = hostile_within("1s").on(database).start().await;
        end_at_their_time(&host, &format!("{database:?}")).await;
    }
}
