//! Texts that the hostile guest writes while it runs: how many a call may bring, and
//! that on SQLite, too, none that the gate refuses gets to the database.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::world::hostile;
use crate::harness::{As, Database, TestHost};

/// What the gate's own tests ask it, of the tables `tasks` and `notes`.
const CASES: &str = include_str!("../../../host/src/broker/sql/policy/tests/sqlite.txt");

/// What the guest is told of each text, until one fails.
async fn run(host: &TestHost, texts: &[String]) -> Vec<Value> {
    let answer = host.post("/texts", &json!(texts)).by("mallory").send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{texts:?}");
    answer.json().await.expect("JSON")
}

/// Nothing when it worked.
fn error(outcome: &Value) -> &str {
    outcome["error"].as_str().unwrap_or_default()
}

#[track_caller]
fn all_worked(told: &[Value], texts: usize) {
    assert_eq!(told.len(), texts, "{told:?}");
    assert!(told.iter().all(|outcome| outcome["rows"].is_array()), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_brings_64_new_texts_and_no_more() {
    let host = hostile().on(Database::Sqlite).start().await;
    let many: Vec<String> = (1..=70).map(|n| format!("SELECT {n} AS n")).collect();
    let told = run(&host, &many).await;
    let (last, before) = told.split_last().expect("outcomes");
    all_worked(before, 64);
    let why = error(last);
    assert!(why.contains("TooLarge") && why.contains("at most 64 texts that were not met lately"), "{why}");
    // By now the host has met most of them, and for the next call few are new.
    all_worked(&run(&host, &many).await, 70);
    all_worked(&run(&host, &vec!["SELECT 'again and again' AS n".to_owned(); 70]).await, 70);
}

/// Every text that the gate refuses on SQLite, with the reason: on the hostile guest's
/// tables, and with files in a folder where they would be seen.
fn refused(folder: &Path) -> Vec<(String, String)> {
    let ours = |text: &str| text.replace("tasks", "secrets").replace("TASKS", "SECRETS").replace("notes", "board");
    let file = format!("'{}'", folder.join("x").display());
    let lines: Vec<&str> = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).collect();
    let cases = lines.chunks(2).filter_map(|case| Some((case[0], case[1].strip_prefix("! ")?)));
    let cases = cases.map(|(text, reason)| {
        let text = ours(text).replace("'/tmp/x'", &file).replace("'x' as y", &format!("{file} as y"));
        (text, ours(reason))
    });
    cases.collect()
}

/// What is in the module's tables, how many things its file defines, and the files beside it.
async fn state(host: &TestHost) -> (Vec<Value>, usize, BTreeSet<String>) {
    let tables = ["SELECT owner, id, body FROM secrets ORDER BY id", "SELECT id, note FROM board ORDER BY id"];
    let rows = run(host, &tables.map(str::to_owned)).await;
    all_worked(&rows, tables.len());
    let defined = host.database.meddle("hostile", "SELECT name FROM sqlite_schema").await;
    (rows, defined, files(host.database.dir().expect("a folder")))
}

fn files(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("a name"));
    // These come and go with the connections.
    names.filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_no_text_that_the_gate_refuses_gets_to_the_database() {
    let host = hostile().on(Database::Sqlite).start().await;
    let insert = "INSERT INTO secrets (owner, body) VALUES ('mallory', 'of mallory')".to_owned();
    let publish = "INSERT INTO board (note) VALUES ('of mallory')".to_owned();
    for outcome in run(&host, &[insert.clone(), insert.clone(), publish]).await {
        assert_eq!(outcome["affected"], 1, "{outcome}");
    }
    let before = state(&host).await;
    assert_eq!(before.0[0]["rows"].as_array().map(Vec::len), Some(2), "{before:?}");

    let refused = refused(host.database.dir().expect("a folder"));
    assert!(refused.len() > 150, "{} texts", refused.len());
    let mut wrong = Vec::new();
    for (text, reason) in &refused {
        let told = run(&host, std::slice::from_ref(text)).await;
        let why = error(&told[0]);
        // As the guest's language prints it, between its quotes.
        let quoted = format!("{reason:?}");
        if !why.contains("Denied") || !why.contains(&quoted[1..quoted.len() - 1]) {
            wrong.push(format!("{text}: {} and not {reason}", told[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(state(&host).await, before);
    // What is allowed goes on being so.
    let told = run(&host, &[insert]).await;
    assert_eq!(told[0]["affected"], 1, "{told:?}");
}
