//! The container image, run as an orchestrator runs it: without rights, on a file
//! system that is read-only, with 128 MiB. Docker and Postgres are real; the model
//! follows a script.
//!
//! `cargo xtask image --test` builds the image, provides the rest and runs this.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a test that cannot go on says why by panicking")]

#[path = "image/balancer.rs"]
mod balancer;
#[path = "image/container.rs"]
mod container;
#[path = "image/endings.rs"]
mod endings;
#[path = "image/figures.rs"]
mod figures;
#[allow(dead_code, unused_imports, reason = "the other tests use the rest of it")]
mod harness;
#[path = "image/refusals.rs"]
mod refusals;
#[path = "image/writers.rs"]
mod writers;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use container::{Container, Setup, database};
use harness::{As, KEY, OpenAi, SECRET, Turn, guest};

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn add(container: &Container, title: &str) -> Value {
    let request = container.request(Method::POST, "/api/tasks").await.json(&json!({ "title": title })).by("ada");
    let (status, task) = answer(request).await;
    assert_eq!(status, 201, "{task}");
    task
}

async fn titles(container: &Container) -> Vec<String> {
    let (status, tasks) = answer(container.get("/api/ada/tasks").await.by("ada")).await;
    assert_eq!(status, 200, "{tasks}");
    let title = |task: &Value| task["title"].as_str().expect("a title").to_owned();
    tasks.as_array().expect("a list").iter().map(title).collect()
}

/// A message of the Model Context Protocol, as Ada.
async fn mcp(container: &Container, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut request = container.request(Method::POST, "/mcp").await.by("ada");
    // The name by which this machine's clients know it.
    request = request.header("host", "localhost:8000").header("accept", "application/json, text/event-stream");
    request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", method);
    if let Some(name) = params["name"].as_str() {
        request = request.header("mcp-name", name);
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = request.json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{method}");
    let text = answer.text().await.expect("a text");
    let text = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
        .rfind(|data| !data.is_empty())
        .unwrap_or(&text);
    serde_json::from_str(text).expect("JSON")
}

/// A folder of secrets that everybody may read, as a Secret is mounted.
fn secrets(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("everybody reads it");
    for (name, secret) in files {
        std::fs::write(folder.path().join(name), format!("{secret}\n")).expect("written");
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_tasks_a_chat_and_tools_with_secrets_from_files_and_a_postgres_that_has_a_name() {
    let (_database, url) = database().await;
    let model = OpenAi::for_containers(vec![
        Turn::calls([("add_task", json!({"title": "Buy milk"}))]),
        Turn::text("I added milk."),
    ])
    .await;
    let secrets = secrets(&[("database", &url), ("auth", SECRET), ("model", KEY)]);
    let setup = Setup::new()
        .option(&format!("--volume={}:/run/secrets:ro", secrets.path().display()))
        .env("NEON_DATABASE_URL_FILE", "/run/secrets/database")
        .env("BETTER_AUTH_SECRET_FILE", "/run/secrets/auth")
        .env("OPENAI_API_KEY_FILE", "/run/secrets/model")
        .env("OPENAI_BASE_URL", &model.url_of("model.internal"));
    let container = setup.start().await;

    add(&container, "Water the plants").await;
    let request = container.request(Method::POST, "/api/ada/chat").await.json(&json!({"message": "milk"})).by("ada");
    let (status, said) = answer(request).await;
    assert_eq!((status, &said["response"]), (200, &json!("I added milk.")), "{said}");
    assert_eq!(titles(&container).await, ["Buy milk", "Water the plants"]);

    let tools = mcp(&container, "tools/list", json!({})).await;
    let names: Vec<&str> =
        tools["result"]["tools"].as_array().expect("tools").iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"add_task") && names.contains(&"list_tasks"), "{names:?}");
    let told = mcp(&container, "tools/call", json!({"name": "add_task", "arguments": {"title": "By a tool"}})).await;
    assert!(!told["result"]["isError"].as_bool().unwrap_or(false), "{told}");
    assert_eq!(titles(&container).await, ["By a tool", "Buy milk", "Water the plants"]);

    let (status, health) = answer(container.get("/health").await).await;
    assert_eq!(status, 200, "{health}");
    assert!(health.to_string().contains("row-level-security"), "{health}");
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(answer(container.get(path).await).await.0, 200, "{path}");
    }
    let logs = container.logs().await;
    for secret in [&url, SECRET, KEY] {
        assert!(!logs.contains(secret), "a secret is in the log");
    }
    assert!(!container.inspect("{{json .Config.Env}}").await.contains(SECRET));
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_it_keeps_todos_in_a_file_and_writes_nowhere_else() {
    let container = Setup::signed().env("OPENAI_API_KEY", "").start().await;
    add(&container, "kept").await;
    assert_eq!(container.inspect("{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}").await, "65532 true");
    // What it came with needed no compiler.
    assert!(!container.logs().await.contains("anew"), "{}", container.logs().await);
    container.stop().await;
    container.start().await;
    container.until_ready().await;
    assert_eq!(titles(&container).await, ["kept"]);
    // No key is no model, and everything else is there.
    let request = container.request(Method::POST, "/api/ada/chat").await.json(&json!({"message": "hi"})).by("ada");
    assert_eq!(answer(request).await.0, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_hears_from_the_program_itself_how_it_is() {
    let (_database, url) = database().await;
    let container = Setup::signed().env("DATABASE_URL", &url).option("--health-interval=1s").start().await;
    let until = Instant::now() + Duration::from_secs(20);
    while container.inspect("{{.State.Health.Status}}").await != "healthy" {
        assert!(Instant::now() < until, "{}", container.inspect("{{json .State.Health}}").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(container.exec(&["/app/innkeeper", "health", "--live"]).await.0);
    // And nothing else is there to be run.
    for program in ["sh", "/bin/sh", "/bin/ls", "apt-get"] {
        let (ran, why) = container.exec(&[program]).await;
        let missing = ["executable file not found", "no such file"].iter().any(|words| why.contains(words));
        assert!(!ran && missing, "{program}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_guest_is_mounted_and_named() {
    // As Kubernetes mounts an `emptyDir`: it is root's, and everybody writes there.
    let data = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o777)).expect("everybody writes there");
    let setup = Setup::signed()
        .option(&format!("--volume={}:/guests/other.wasm:ro", guest("misbehave").display()))
        .option(&format!("--volume={}:/data", data.path().display()))
        .env("INNKEEPER_MODULE", "/guests/other.wasm");
    let container = setup.start().await;
    let told = container.get("/behave").await.send().await.expect("an answer").text().await.expect("a text");
    assert_eq!(told, "behaves");
    // Compiled here, and kept where something may be kept.
    assert_eq!(container.get("/api/tasks").await.send().await.expect("an answer").text().await.unwrap(), "behaves");
}
