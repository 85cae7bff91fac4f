//! What is refused at start, each with a sentence that names the module and the
//! reason; and that nothing was changed by the attempt.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use innkeeper::config::Compile;
use innkeeper::registry::Source;
use innkeeper::registry::artifact::Artifacts;
use innkeeper::registry::compile::Compiler;
use serde_json::json;

use crate::harness::{Database, HostProcess, Setup, TestDatabase, TestHost, binary, guest};

/// Why a host of this setup does not start.
async fn refusal(setup: Setup, database: &TestDatabase) -> String {
    match setup.start_with(database.clone()).await {
        Ok(_) => panic!("it started"),
        Err(error) => innkeeper::fault::chain(&error),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_cannot_be_served_is_refused_with_its_name_and_the_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("notes.wasm");
    let database = TestDatabase::create(Database::Sqlite).await;
    let wat = |text: &str| wat::parse_str(text).expect("valid text");
    for (bytes, sentence) in [
        (None, "cannot read"),
        (
            Some(b"#!/bin/sh\n".to_vec()),
            "is not a WebAssembly component (it is not WebAssembly at all); build it for the target wasm32-wasip2",
        ),
        (Some(Vec::new()), "is not a WebAssembly component"),
        (
            Some(wat("(module)")),
            "is not a WebAssembly component (it is a core module); build it for the target wasm32-wasip2",
        ),
        (Some(wat("(component)")[..7].to_vec()), "is not a WebAssembly component"),
        (
            Some(wat("(component (import \"acme:unknown/thing@1.0.0\" (instance)))")),
            "imports `acme:unknown/thing@1.0.0`, which this host does not provide",
        ),
        (
            Some(wat("(component (import \"wasi:blobstore/blobstore@0.2.0\" (instance)))")),
            "imports `wasi:blobstore/blobstore@0.2.0`, which this host does not provide",
        ),
        (Some(wat("(component)")), "exports nothing that can be served; export wasi:http/incoming-handler"),
    ] {
        if let Some(bytes) = bytes {
            std::fs::write(&file, bytes).expect("written");
        }
        let why = refusal(Setup::module(&file), &database).await;
        assert!(why.starts_with("module `notes`: ") && why.contains(sentence), "no `{sentence}` in: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_its_grant_is_refused_with_the_line_that_grants_it() {
    let database = TestDatabase::create(Database::Sqlite).await;
    let setup = Setup::guest("todo").file("[[module]]\nname = \"tasks\"\nsource = \"replaced\"\n");
    let why = refusal(setup, &database).await;
    // All at once, whatever the guest asks for beside it.
    assert!(why.starts_with("module `tasks`: imports `innkeeper:backend/accounts@0.1.0` and "), "{why}");
    let rest = ["sql", "llm", "toolbox"].map(|name| format!("`innkeeper:backend/{name}@0.1.0`")).join(" and ");
    assert!(why.contains(&format!("{rest} without a grant")), "{why}");
    let hint =
        "add `grants = { accounts = true, sql = \"main\", llm = [\"default\"], toolbox = [\"*\"] }` to the module";
    assert!(why.contains(hint), "{why}");
}

/// Declared statements are one grant, and texts that are written later another.
#[tokio::test(flavor = "multi_thread")]
async fn declared_statements_alone_do_not_let_a_module_write_texts() {
    let database = TestDatabase::create(Database::Sqlite).await;
    let file = "[[module]]\nname = \"hostile\"\nsource = \"replaced\"\ngrants = { sql = \"main\" }\n";
    let why = refusal(Setup::guest("hostile").file(file), &database).await;
    let sentence = "module `hostile`: imports `innkeeper:backend/sql-text@0.1.0` without a grant; ";
    assert!(why.starts_with(sentence), "{why}");
    assert!(why.contains("add `grants = { sql = { database = \"main\", free = true } }` to the module"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_the_gate_refuses_is_named_with_what_is_wrong() {
    for database in Database::BOTH {
        let database = TestDatabase::create(database).await;
        let why = refusal(Setup::guest("bad-statement"), &database).await;
        assert!(why.starts_with("module `bad-statement`: statement `sleep` is refused: "), "{why}");
        assert!(why.contains("; statement `show` is refused: "), "not all at once: {why}");
        assert!(why.contains("pg_sleep"), "{why}");
    }
}

fn as_probe(guest_name: &str) -> Setup {
    let file = "[[module]]\nname = \"sql-probe\"\nsource = \"replaced\"\ngrants = { sql = \"main\" }\n";
    Setup::module(&guest(guest_name)).file(file)
}

async fn names(host: &TestHost) -> serde_json::Value {
    let answer = host.post("/run", &json!({ "statement": "names" })).send().await.expect("an answer");
    answer.json::<serde_json::Value>().await.expect("JSON")["ok"][0]["rows"].clone()
}

/// A database on which the first version of `sql-probe` has written a row.
async fn used(database: Database) -> TestDatabase {
    let host = as_probe("sql-probe").on(database).start().await;
    let row = json!({ "statement": "unique", "params": [{ "text": "kept" }, "null", { "integer": 1 }] });
    assert_eq!(host.post("/run", &row).send().await.expect("an answer").status(), 200);
    host.stop().await.1
}

async fn is_as_before(database: TestDatabase) {
    let host = as_probe("sql-probe").start_with(database).await.expect("the old version starts");
    assert_eq!(names(&host).await, json!([{ "name": "kept" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_fails_leaves_the_old_schema_and_its_data() {
    for kind in Database::BOTH {
        let database = used(kind).await;
        let why = refusal(as_probe("broken-migration"), &database).await;
        assert!(
            why.starts_with("module `sql-probe`: migration 2 `fail half-way` failed, nothing of it was kept: "),
            "{why}"
        );
        let tables = match kind {
            Database::Sqlite => "SELECT 1 FROM sqlite_schema WHERE name = 'half_way'",
            Database::Postgres => "SELECT 1 FROM pg_class WHERE relname = 'half_way'",
        };
        assert_eq!(database.meddle("sql-probe", tables).await, 0, "half of it was kept on {kind:?}");
        is_as_before(database).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_not_the_modules_is_refused() {
    for kind in Database::BOTH {
        let (ledger, owner, columns, first) = match kind {
            Database::Sqlite => ("innkeeper_migrations", "", "", ""),
            Database::Postgres => ("innkeeper.migrations", " WHERE module = 'sql-probe'", "module, ", "'sql-probe', "),
        };
        let database = used(kind).await;
        let ahead = format!("INSERT INTO {ledger} ({columns}version, name, checksum) VALUES ({first}2, 'later', 'x')");
        database.meddle("sql-probe", &ahead).await;
        let why = refusal(as_probe("sql-probe"), &database).await;
        let sentence = "module `sql-probe`: the database has migration 2 applied, and this module knows 1; deploy the newer module";
        assert!(why.starts_with(sentence), "{why}");
        let less = if owner.is_empty() { " WHERE version = 2".to_owned() } else { format!("{owner} AND version = 2") };
        database.meddle("sql-probe", &format!("DELETE FROM {ledger}{less}")).await;
        is_as_before(database.clone()).await;

        database.meddle("sql-probe", &format!("UPDATE {ledger} SET checksum = 'edited'{owner}")).await;
        let why = refusal(as_probe("sql-probe"), &database).await;
        let sentence =
            "module `sql-probe`: migration 1 `make the tables` was applied with another text before; restore its text";
        assert!(why.starts_with(sentence), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_together_on_a_fresh_database_all_come_up() {
    let database = TestDatabase::create(Database::Postgres).await;
    let start = || tokio::spawn(Setup::guest("todo").start_with(database.clone()));
    let starting = [start(), start(), start(), start()];
    for host in starting {
        let host = host.await.expect("no panic").unwrap_or_else(|error| panic!("{}", innkeeper::fault::chain(&error)));
        assert_eq!(host.get("/health/ready").send().await.expect("an answer").status(), 200);
    }
}

fn only_artefact(dir: &Path) -> PathBuf {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut artefacts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"));
    let only = artefacts.next().expect("an artefact");
    assert!(artefacts.next().is_none(), "more than one artefact");
    only
}

/// Only the host writes artefacts, so one that is written anew was not loaded.
#[tokio::test]
async fn an_artefact_that_this_host_did_not_write_is_compiled_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = innkeeper::engine::build(1).expect("an engine");
    let compiler = || Compiler::new(binary(), Compile::default());
    let artifacts = Arc::new(Artifacts::open(dir.path(), compiler()).expect("a private directory"));
    let wasm = wat::parse_str("(component (core module $m (func (export \"f\"))) (core instance (instantiate $m)))")
        .expect("valid");
    artifacts.component(&engine, Source::new("none.wasm", wasm.clone())).await.expect("compiled");
    let path = only_artefact(dir.path());
    let good = std::fs::read(&path).expect("written");
    let last = good.len() - 1;
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let flips = [0, 31, 32, 33, 100, last / 2, last].map(flipped);
    let cuts = [0, 1, 32, 33, last / 2, last].map(|length| good[..length].to_vec());
    let longer = [good.clone(), vec![0]].concat();
    for tampered in flips.into_iter().chain(cuts).chain([longer]) {
        std::fs::write(&path, &tampered).expect("tampered");
        artifacts.component(&engine, Source::new("none.wasm", wasm.clone())).await.expect("compiled anew");
        assert!(std::fs::read(&path).expect("there") != tampered, "{} bytes were loaded", tampered.len());
    }

    // One that is whole, and was written for another component.
    let other = tempfile::tempdir().expect("a directory");
    std::fs::copy(dir.path().join("cache.key"), other.path().join("cache.key")).expect("copied");
    let others = Arc::new(Artifacts::open(other.path(), compiler()).expect("a private directory"));
    others
        .component(&engine, Source::new("none.wasm", wat::parse_str("(component)").expect("valid")))
        .await
        .expect("compiled");
    let foreign = std::fs::read(only_artefact(other.path())).expect("written");
    std::fs::write(&path, &foreign).expect("replaced");
    artifacts.component(&engine, Source::new("none.wasm", wasm.clone())).await.expect("compiled anew");
    assert!(std::fs::read(&path).expect("there") != foreign, "another component's code was loaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_serves_from_a_tampered_cache_and_repairs_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let cache = dir.path().display().to_string();
    let start = async || Setup::guest("hello").env("INNKEEPER_CACHE_DIR", &cache).start().await;
    start().await.stop().await;
    let path = only_artefact(dir.path());
    let mut tampered = std::fs::read(&path).expect("written");
    let middle = tampered.len() / 2;
    tampered[middle] ^= 1;
    std::fs::write(&path, &tampered).expect("tampered");
    let host = start().await;
    assert_eq!(host.get("/").send().await.expect("an answer").status(), 200);
    assert!(std::fs::read(&path).expect("there") != tampered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_others_may_write_to_is_refused() {
    for mode in [0o777, 0o770, 0o702] {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).expect("changed");
        let database = TestDatabase::create(Database::Sqlite).await;
        let cache = dir.path().display().to_string();
        let why = refusal(Setup::guest("hello").env("INNKEEPER_CACHE_DIR", &cache), &database).await;
        assert!(
            why.contains("may be written by other users") && why.contains("chmod 700") && why.contains(&cache),
            "{mode:o}: {why}"
        );
    }
}

fn artefacts(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).count()
}

/// What was compiled beforehand leaves nothing in the cache.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_comes_compiled_is_not_compiled_again() {
    let modules = tempfile::tempdir().expect("a directory");
    let wasm = modules.path().join("hello.wasm");
    std::fs::copy(guest("hello"), &wasm).expect("copied");
    let finished = HostProcess::run(&["compile", &wasm.display().to_string()], &[]).await;
    assert!(finished.status.success(), "{}", finished.stderr);
    let compiled = wasm.with_extension("cwasm");
    let good = std::fs::read(&compiled).expect("written");
    let compiles = async || {
        let cache = tempfile::tempdir().expect("a directory");
        let setup = Setup::module(&wasm).env("INNKEEPER_CACHE_DIR", &cache.path().display().to_string());
        let host = setup.start().await;
        assert_eq!(host.get("/").send().await.expect("an answer").status(), 200);
        artefacts(cache.path()) > 0
    };
    assert!(!compiles().await, "what was compiled beforehand is used");

    // By whom it was written decides.
    let mode = |mode| std::fs::set_permissions(&compiled, std::fs::Permissions::from_mode(mode)).expect("changed");
    mode(0o666);
    assert!(compiles().await, "a file that others may write");
    mode(0o644);
    let folder =
        |mode| std::fs::set_permissions(modules.path(), std::fs::Permissions::from_mode(mode)).expect("changed");
    folder(0o777);
    assert!(compiles().await, "a folder that others may write");
    folder(0o755);
    assert!(!compiles().await, "as it was");

    // And what it was made of.
    std::fs::write(&compiled, &good[..good.len() / 2]).expect("cut");
    assert!(compiles().await, "a file that was cut");
    let mut other = good.clone();
    other[0] ^= 1;
    std::fs::write(&compiled, &other).expect("replaced");
    assert!(compiles().await, "another component's file");
}
