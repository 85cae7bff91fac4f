//! Modules that store things: migrations on the way, and connections that go.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::editions::{Shelf, another, change, modules, swapped};
use crate::harness::{As, Database, Proxy, Setup, TestDatabase, TestHost, guest};

fn built(name: &str) -> Vec<u8> {
    std::fs::read(guest(name)).expect("built")
}

async fn hostile(shelf: &Shelf, database: &TestDatabase, url: &str) -> TestHost {
    shelf.put("hostile", &built("hostile"));
    let file = shelf.module("hostile", "grants = { sql = { database = \"main\", free = true } }");
    let setup = Setup::modules(&file.replace("route = \"/hostile\"", "route = \"/\"")).env("INNKEEPER_WATCH", "0");
    setup.start_at(database.clone(), url).await.expect("the host starts")
}

async fn declared(host: &TestHost, statement: &str) -> Value {
    let asked = host.post("/declared", &json!(statement)).by("mallory").send().await.expect("an answer");
    asked.json().await.expect("JSON")
}

/// The old version's code goes on with the new version's tables: while its last calls
/// end, and after it was called back.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_taken_back_goes_on_with_what_the_newer_one_has_migrated() {
    for kind in Database::BOTH {
        let shelf = Shelf::new();
        let database = TestDatabase::create(kind).await;
        let host = hostile(&shelf, &database, database.url()).await;
        declared(&host, "keep-for-mallory").await;
        shelf.put("hostile", &built("later"));
        swapped(&host, "/modules/hostile").await;
        let marked = json!([{"owner": "mallory", "body": "of mallory, marked"}]);
        let seen = host.get("/").by("mallory").send().await.expect("an answer");
        assert_eq!(seen.json::<Value>().await.expect("JSON"), marked, "{kind:?}");
        swapped(&host, "/modules/hostile/rollback").await;
        assert!(declared(&host, "read-all").await.to_string().contains("of mallory, marked"), "{kind:?}");
        declared(&host, "keep-for-mallory").await;
        assert_eq!(host.get("/health/ready").send().await.expect("an answer").status(), 200);

        // A version that does not fit the tables any more stays where it is.
        swapped(&host, "/modules/hostile").await;
        database.meddle("hostile", "ALTER TABLE board RENAME COLUMN note TO remark").await;
        let (status, told) = change(&host, "/modules/hostile/rollback").await;
        let why = told["detail"].as_str().expect("a reason");
        assert!(status == 422 && why.contains("module `hostile`: statement `publish`: "), "{kind:?}: {why}");
        let seen = host.get("/").by("mallory").send().await.expect("an answer");
        assert_eq!(seen.status(), 200, "{kind:?}");
    }
}

/// A lost database is set up again when it is back, and is ahead of the version that
/// was taken back by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_taken_back_outlives_the_loss_of_its_database() {
    let shelf = Shelf::new();
    let database = TestDatabase::create(Database::Postgres).await;
    let proxy = Proxy::before(database.url()).await;
    let host = hostile(&shelf, &database, &proxy.url(database.url())).await;
    shelf.put("hostile", &built("later"));
    proxy.cut();
    host.until("/health/ready", 503, Duration::from_secs(8)).await;
    // Whoever cannot be prepared is not served; the database is to blame.
    let (status, told) = change(&host, "/modules/hostile").await;
    assert!(status == 503 && told["detail"].as_str().expect("a reason").contains("cannot be reached"), "{told}");
    proxy.restore();
    host.until("/health/ready", 200, Duration::from_secs(12)).await;
    swapped(&host, "/modules/hostile").await;
    swapped(&host, "/modules/hostile/rollback").await;
    proxy.cut();
    host.until("/health/ready", 503, Duration::from_secs(8)).await;
    proxy.restore();
    host.until("/health/ready", 200, Duration::from_secs(12)).await;
    assert!(declared(&host, "keep-for-mallory").await["error"].is_null());
    assert!(declared(&host, "read-all").await.to_string().contains("of mallory"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_fails_and_a_database_that_is_ahead_keep_a_new_version_out() {
    for kind in Database::BOTH {
        let shelf = Shelf::new();
        shelf.put("sql-probe", &built("sql-probe"));
        let file = shelf.module("sql-probe", "grants = { sql = \"main\" }");
        let file = file.replace("route = \"/sql-probe\"", "route = \"/\"");
        let host = Setup::modules(&file).env("INNKEEPER_WATCH", "0").on(kind).start().await;
        let row = json!({ "statement": "unique", "params": [{ "text": "kept" }, "null", { "integer": 1 }] });
        assert_eq!(host.post("/run", &row).send().await.expect("an answer").status(), 200);
        let sentences =
            [("broken-migration", "nothing of it was kept"), ("bad-statement", "statement `sleep` is refused")];
        for (name, sentence) in sentences {
            shelf.put("sql-probe", &built(name));
            let (status, told) = change(&host, "/modules/sql-probe").await;
            let why = told["detail"].as_str().expect("a reason");
            assert!(status == 422 && why.contains(sentence), "{kind:?}: {why}");
            let names = host.post("/run", &json!({ "statement": "names" })).send().await.expect("an answer");
            let names: Value = names.json().await.expect("JSON");
            assert_eq!(names["ok"][0]["rows"], json!([{ "name": "kept" }]), "{kind:?}");
        }
    }
}

/// Each version has connections of its own, and closes them when it is not called any
/// more: what is kept for a way back has none.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_versions_that_were_replaced_are_closed() {
    let shelf = Shelf::new();
    let database = TestDatabase::create(Database::Postgres).await;
    shelf.put("todo", &built("todo"));
    let grants = "grants = { sql = \"main\", accounts = false, llm = [], toolbox = [] }";
    let file = shelf.module("todo", grants).replace("route = \"/todo\"", "route = \"/\"");
    let setup = Setup::modules(&format!("[database]\nconnections = 4\n{file}")).env("INNKEEPER_WATCH", "0");
    let host = setup.start_with(database.clone()).await.expect("the host starts");
    let busy = || async {
        let asked = (0..16).map(|_| host.get("/api/alice/tasks").by("alice").send());
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.expect("an answer").status(), 200);
        }
    };
    for number in 1..=6 {
        busy().await;
        shelf.put("todo", &another(built("todo"), number));
        swapped(&host, "/modules/todo").await;
    }
    busy().await;
    let mut admin = database.admin().await;
    let count =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE 'innkeeper\\_%'";
    let since = Instant::now();
    loop {
        let open: u32 = admin.simple(count).await.expect("a row").cells()[0].parse().expect("a number");
        if (1..=4).contains(&open) {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{open} connections, {}", modules(&host).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    busy().await;
    // The way back opens its own again.
    swapped(&host, "/modules/todo/rollback").await;
    busy().await;
}
