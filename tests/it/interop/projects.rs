//! What `innkeeper new` makes: built and tested by each language's own tools, as its
//! README says, and served.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{As, Setup, binary, report};

/// Runs a line of the README, in the project.
#[track_caller]
fn run(project: &Path, line: &str) -> String {
    let mut shell = Command::new("sh");
    // The tests' own cargo would build into this repository's folder.
    shell.current_dir(project).args(["-ec", line]).env_remove("CARGO_TARGET_DIR").env("INNKEEPER_DEV", "1");
    let output = shell.output().expect("it runs");
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{line}\n{}\n{}", told(&output.stdout), told(&output.stderr));
    told(&output.stdout)
}

/// What the README says between `## Build and test` and the end of its block.
fn said(project: &Path) -> Vec<String> {
    let readme = std::fs::read_to_string(project.join("README.md")).expect("a README");
    let block = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    block.lines().map(|line| line.split("        #").next().unwrap_or(line).to_owned()).collect()
}

async fn builds_tests_and_answers(lang: &str, http: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let name = if http { format!("my-{lang}-notes") } else { format!("my-{lang}-slug") };
    let new = format!("{} new {name} --lang {lang}{}", binary().display(), if http { " --http" } else { "" });
    run(folder.path(), &new);
    let project = folder.path().join(&name);
    for line in said(&project) {
        run(&project, &line);
    }
    let config = std::fs::read_to_string(project.join("innkeeper.toml")).expect("a configuration");
    let source = config.split("source = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a source");
    let size = std::fs::metadata(project.join(source)).expect("what was built").len();
    report(&format!("{name}: {} KiB", size >> 10));
    if http {
        let here = config.replace(source, &project.join(source).display().to_string());
        let host = Setup::modules(&here).start().await;
        let added = host.post("/notes", &json!({"text": " Buy milk "})).by("ada").send().await.expect("an answer");
        assert_eq!(added.status(), 201);
        let list = async |user: &str| {
            let answer = host.get("/notes").by(user).send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
            answer.json::<Value>().await.expect("JSON")
        };
        assert_eq!(list("ada").await, json!([{"id": 1, "text": "Buy milk"}]));
        assert_eq!(list("bob").await, json!([]));
        assert_eq!(host.get("/notes").send().await.expect("an answer").status(), 401);
        let empty = host.post("/notes", &json!({"text": " "})).by("ada").send().await.expect("an answer");
        assert_eq!(empty.status(), 422);
    } else {
        let call =
            |title: &str| format!("{} call {name} slug '{{\"title\":\"{title}\"}}' --as alice", binary().display());
        assert_eq!(run(&project, &call("Hello, World!")).trim(), r#"{"slug":"hello-world"}"#);
        assert_eq!(
            run(&project, &format!("! {} 2>&1", call("?!"))).trim(),
            "error: the tool refused: The title has no letters."
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_rust() {
    builds_tests_and_answers("rust", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_for_http_in_rust() {
    builds_tests_and_answers("rust", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_python() {
    builds_tests_and_answers("python", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_for_http_in_python() {
    builds_tests_and_answers("python", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_javascript() {
    builds_tests_and_answers("javascript", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_for_http_in_javascript() {
    builds_tests_and_answers("javascript", true).await;
}
