//! Several modules in one file: each with its route, grants, limits and settings, and
//! what they offer together.

use serde_json::{Value, json};

use crate::harness::{As, Database, HostProcess, Setup, TestDatabase, guest, module};
use crate::mcp::client::{call, text, tool};

/// Four modules: one at the root with a database, two of one component, one without a
/// way in but its tools.
fn file() -> String {
    let todo = format!(
        "[[module]]\nname = \"todo\"\nsource = \"{}\"\nroute = \"/\"\n\
         grants = {{ sql = \"main\", accounts = false, llm = [], toolbox = [] }}\n[module.config]\ntitle_max = \"20\"\n",
        guest("todo").display()
    );
    let first = module("first", "probe", "config = { prefix = \"first://\" }\nlimits = { cpu = \"50ms\" }");
    let second = module("second", "probe", "config = { prefix = \"second://\" }\nlimits = { memory = \"8MiB\" }");
    let relay = module("relay", "relay", "grants = { toolbox = [\"first.whoami\", \"todo.add_task\"] }");
    [todo, first, second, relay].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_module_has_its_own_route_grants_limits_and_settings() {
    let host = Setup::modules(&file()).start().await;
    let modules = host.client.get(format!("http://{}/modules", host.admin)).send().await.expect("an answer");
    let modules: Value = modules.json().await.expect("JSON");
    let shown: Vec<_> =
        modules["modules"].as_array().expect("a list").iter().map(|m| (&m["name"], &m["route"])).collect();
    assert_eq!(json!(shown), json!([["todo", "/"], ["first", null], ["second", null], ["relay", "/relay"]]));
    assert_eq!(modules["generation"], 1);

    // Routes: the longest prefix wins, and the root has the rest.
    assert_eq!(host.get("/api/alice/tasks").by("alice").send().await.expect("an answer").status(), 200);
    let relayed = host.post("/relay/call", &json!({"tool": "first.whoami"})).by("bob").send().await.expect("an answer");
    assert_eq!(relayed.json::<Value>().await.expect("JSON")["text"], "bob []");

    // Settings: a title may be twenty characters long here.
    let add = async |title: String| {
        host.post("/api/alice/tasks", &json!({ "title": title })).by("alice").send().await.expect("an answer").status()
    };
    assert_eq!((add("x".repeat(20)).await.as_u16(), add("x".repeat(21)).await.as_u16()), (201, 422));

    // Limits: CPU time of the one, memory of the other.
    let failed = async |name: &str| {
        let answer = host.post(&format!("/api/tools/{name}"), &json!({})).send().await.expect("an answer");
        answer.status().as_u16()
    };
    assert_eq!((failed("first.spin").await, failed("second.eat").await), (504, 500));

    // Grants: two tools, by whatever name, and no third.
    let relay = async |name: &str, arguments: Value| {
        let request = host.post("/relay/call", &json!({"tool": name, "arguments": arguments})).by("alice");
        request.send().await.expect("an answer").json::<Value>().await.expect("JSON")
    };
    assert_eq!(relay("add_task", json!({"title": "From afar"})).await["isError"], false);
    assert_eq!(relay("list_tasks", json!({})).await, json!({"notFound": "list_tasks"}));
    assert_eq!(relay("second.whoami", json!({})).await, json!({"notFound": "second.whoami"}));
    let mine = host.get("/api/alice/tasks").by("alice").send().await.expect("an answer").text().await.expect("text");
    let his = host.get("/api/bob/tasks").by("bob").send().await.expect("an answer").text().await.expect("text");
    assert!(mine.contains("From afar") && !his.contains("From afar"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_clash_are_qualified_everywhere() {
    let host = Setup::modules(&file()).start().await;
    let by_protocol = call(&host, "tools/list", json!({})).await.1["result"]["tools"].clone();
    let by_http: Value = host.get("/api/tools").send().await.expect("an answer").json().await.expect("JSON");
    let names = |tools: &Value| -> Vec<String> {
        let tools = tools.as_array().expect("a list").iter();
        tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    };
    let (protocol, http) = (names(&by_protocol), names(&by_http["tools"]));
    assert_eq!(protocol, http);
    for name in ["first.whoami", "second.whoami", "add_task", "relay"] {
        assert!(protocol.contains(&name.to_owned()), "{name} is not among {protocol:?}");
    }
    assert!(!protocol.contains(&"whoami".to_owned()));
    assert_eq!(text(&tool(&host, "second.whoami", json!({})).await.1), "nobody");
    assert_eq!(tool(&host, "whoami", json!({})).await.1["error"]["code"], -32602);
    for (path, status) in [("second.whoami", 200), ("whoami", 404), ("todo.list_tasks", 200), ("first.list_tasks", 404)]
    {
        let request = host.post(&format!("/api/tools/{path}"), &json!({})).by("alice");
        assert_eq!(request.send().await.expect("an answer").status(), status, "{path}");
    }
    let document: Value =
        host.get("/api/tools/openapi.json").send().await.expect("an answer").json().await.expect("JSON");
    assert!(document["paths"]["/api/tools/first.whoami"].is_object());
    assert!(document["paths"]["/api/tools/whoami"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_speaks_no_http_needs_no_route() {
    let with =
        |name: &str, file: &str| format!("[[module]]\nname = \"{name}\"\nsource = \"{}\"\n", guest(file).display());
    let host = Setup::modules(&[with("probe", "probe"), with("hello", "hello")].concat()).start().await;
    assert_eq!(host.get("/").send().await.expect("an answer").status(), 200);
    assert_eq!(text(&tool(&host, "whoami", json!({})).await.1), "nobody");
    let two = [with("one", "hello"), with("two", "hello")].concat();
    let database = TestDatabase::create(Database::Sqlite).await;
    let refused = Setup::modules(&two).start_with(database).await.err().expect("a refusal").to_string();
    assert!(refused.contains("module `two`: its route `/` is that of `one` too"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_shows_the_hash_of_what_is_offered() {
    let hash = async |name: &str| {
        let shown = HostProcess::run(&["inspect", &guest(name).display().to_string()], &[]).await;
        let line = shown.stdout.lines().find_map(|line| line.strip_prefix("catalogue sha256 "));
        line.unwrap_or_else(|| panic!("no hash in {}", shown.stdout)).to_owned()
    };
    let (probe, again, relay) = (hash("probe").await, hash("probe").await, hash("relay").await);
    assert!(probe.len() == 64 && probe == again && probe != relay);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_what_modules_say_of_each_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("innkeeper.toml");
    let written = module("relay", "relay", "grants = { toolbox = [\"dates\"] }");
    std::fs::write(&path, written).expect("written");
    let finished = HostProcess::run(&["check", "--config", &path.display().to_string()], &[]).await;
    assert_eq!(finished.status.code(), Some(78), "{}", finished.stderr);
    assert!(finished.stderr.contains("there is no module `dates`"), "{}", finished.stderr);
}
