//! `innkeeper call`: one tool from a shell, and whose fault it is when it gives nothing.

use serde_json::{Value, json};

use super::{EX_CONFIG, expect, file};
use crate::harness::{Database, Finished, HostProcess, TestDatabase, guest, module};

const EX_DATAERR: i32 = 65;
const EX_SOFTWARE: i32 = 70;
const DEV: (&str, &str) = ("INNKEEPER_DEV", "1");

async fn call(config: &str, args: &[&str], vars: &[(&str, &str)]) -> Finished {
    let config = file(config);
    let path = config.path().display().to_string();
    HostProcess::run(&[&["call", "--config", &path], args].concat(), vars).await
}

#[track_caller]
fn printed(finished: &Finished) -> Value {
    expect(finished, 0, &[]);
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("no JSON: {}", finished.stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_a_configured_module_prints_its_answer() {
    let config = module("days", "dates", "") + &module("probe", "probe", "");
    let day = r#"{"when":"next friday","relative_to":"2026-11-18"}"#;
    let answer = call(&config, &["days", "resolve_date", day], &[]).await;
    assert_eq!(printed(&answer), json!({"date": "2026-11-27", "weekday": "Friday", "days_away": 9}));
    assert_eq!(answer.stderr, "", "nothing of the host's own is said");
    // A tool without structured content prints the other.
    let nobody = printed(&call(&config, &["probe", "whoami"], &[]).await);
    assert_eq!(nobody[0]["text"], "nobody");
    let bob = printed(&call(&config, &["probe", "whoami", "{}", "--as", "bob"], &[DEV]).await);
    assert_eq!(bob[0]["text"], "bob []");
    let token = crate::harness::token("ada");
    let ada = printed(&call(&config, &["probe", "whoami"], &[("INNKEEPER_TOKEN", &token)]).await);
    assert_eq!(ada[0]["text"], "ada []");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_at_fault_is_in_the_sentence_and_in_the_code() {
    let config = module("days", "dates", "") + &module("probe", "probe", "[module.limits]\ncpu = \"100ms\"");
    for (args, code, words) in [
        (&["days", "resolve_date", r#"{"when":"soon"}"#][..], 1, "the tool refused: This is no date"),
        (&["days", "resolve_date", "{}"], EX_DATAERR, "what was asked for is not to be had: Invalid arguments"),
        (&["days", "resolve_date", "[]"], EX_DATAERR, "one JSON object"),
        (&["days", "resolve_dat"], EX_DATAERR, "has no tool `resolve_dat`; it has resolve_date"),
        (&["probe", "scoped"], EX_DATAERR, "lacks a scope"),
        (&["probe", "trap"], EX_SOFTWARE, "the guest is at fault: "),
        (&["probe", "spin"], EX_SOFTWARE, "limits.cpu"),
        (&["probe", "structured_wrong"], EX_SOFTWARE, "does not fit its schema"),
        (&["nobody", "resolve_date"], 1, "there is no module `nobody`; configured: days, probe"),
        (&["days", "resolve_date", "{}", "--as", "bob"], 1, "INNKEEPER_DEV=1"),
    ] {
        let ended = call(&config, args, &[]).await;
        expect(&ended, code, &[words]);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
    let garbage = [("INNKEEPER_TOKEN", "garbage.garbage.garbage")];
    expect(&call(&config, &["probe", "whoami"], &garbage).await, EX_CONFIG, &["INNKEEPER_TOKEN"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_configured_gets_nothing_of_the_configured_database() {
    let database = TestDatabase::create(Database::Sqlite).await;
    let vars = [("DATABASE_URL", database.url()), DEV];
    let file = |name: &str| guest(name).display().to_string();
    let dates = call("", &[&file("dates"), "resolve_date", r#"{"when":"today"}"#], &vars).await;
    assert_eq!(printed(&dates)["days_away"], 0);
    // What nobody granted it, it does not get.
    let todo = call("", &[&file("todo"), "list_tasks", "{}", "--as", "ada"], &vars).await;
    expect(&todo, EX_CONFIG, &["module `todo`: imports", "without a grant", "accounts = true", "llm = "]);
    let missing = call("", &["./nowhere.wasm", "x"], &vars).await;
    expect(&missing, EX_CONFIG, &["cannot read ./nowhere.wasm"]);
    // What stores something does it elsewhere.
    let probe = call("", &[&file("sql-probe"), "x"], &vars).await;
    expect(&probe, EX_DATAERR, &["module `sql-probe` has no tool `x`; it has no tools"]);
    let path = database.url().strip_prefix("sqlite://").expect("SQLite");
    assert!(!std::path::Path::new(path).exists(), "{path} was made");
}
