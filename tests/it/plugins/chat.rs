//! Plugins as tools of the todo guest's chat: whatever becomes of a call, the model
//! has an answer and the chat goes on.

use serde_json::{Value, json};

use super::{PLUGINS, answered};
use crate::harness::{As, Database, KEY, OpenAi, Setup, TestHost, Turn, guest, module};

/// A chat that is granted these tools, beside the plugins and a module that misbehaves.
async fn chat(model: &OpenAi, database: Database, toolbox: &str, config: &str) -> TestHost {
    let todo = format!(
        "[[module]]\nname = \"todo\"\nsource = {:?}\nroute = \"/\"\n\
         grants = {{ sql = \"main\", accounts = false, llm = [\"default\"], toolbox = {toolbox} }}\nconfig = {{ {config} }}\n",
        guest("todo"),
    );
    let plugins = PLUGINS.iter().map(|name| module(name, name, ""));
    let probe = module("probe", "probe", "limits = { wall = \"2s\", cpu = \"500ms\" }");
    let modules: String = [todo, probe].into_iter().chain(plugins).collect();
    let setup = Setup::modules(&modules).on(database);
    setup.env("OPENAI_BASE_URL", &model.url()).env("OPENAI_API_KEY", KEY).start().await
}

/// Says something as Ada.
async fn say(host: &TestHost, message: &str) -> Value {
    let (status, said) = answered(host.post("/api/chat", &json!({ "message": message })).by("ada")).await;
    assert_eq!(status, 200, "{said}");
    said
}

/// The names of the tools that the model was told of.
fn told_of(model: &OpenAi) -> Vec<String> {
    let request = model.last();
    let name = |tool: &Value| tool["function"]["name"].as_str().expect("a name").to_owned();
    request["tools"].as_array().expect("tools").iter().map(name).collect()
}

/// What the model read as the results of the calls in its last request.
fn results(model: &OpenAi) -> Vec<Value> {
    let request = model.last();
    let messages = request["messages"].as_array().expect("messages").iter();
    let results = messages.filter(|message| message["role"] == "tool");
    results.map(|result| serde_json::from_str(result["content"].as_str().expect("a text")).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_helps_the_chat_beside_its_own_tools() {
    for database in Database::BOTH {
        let day = json!({ "when": "next friday", "relative_to": "2026-11-18" });
        let model = OpenAi::start(vec![
            Turn::calls([("resolve_date", day)]),
            Turn::calls([("add_task", json!({ "title": "Pay rent", "due_date": "2026-11-27" }))]),
            Turn::text("Rent is due on Friday."),
        ])
        .await;
        let host = chat(&model, database, "[\"dates\"]", "").await;
        let said = say(&host, "pay rent next friday").await;
        assert_eq!(said["response"], "Rent is due on Friday.");
        let friday = json!({ "date": "2026-11-27", "weekday": "Friday", "days_away": 9 });
        assert_eq!(results(&model)[0], json!({ "success": true, "result": friday }));
        assert_eq!(said["tool_calls"][0]["result"]["result"], friday, "clients see it as the model does: {said}");
        assert_eq!(said["tool_calls"][1]["result"]["success"], true);
        // What is granted, and nothing of what is there beside it.
        let tools = told_of(&model);
        assert!(tools.contains(&"resolve_date".to_owned()) && tools.contains(&"add_task".to_owned()), "{tools:?}");
        assert_eq!(tools.len(), 8, "{tools:?}");
        let system = model.last()["messages"][0]["content"].to_string();
        assert!(system.contains("Tools that are not about todos"), "{system}");
        model.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_traps_or_stalls_or_refuses_is_an_answer_to_the_model() {
    let calls = [
        ("trap", json!({})),
        ("spin", json!({})),
        ("sleep", json!({ "ms": 60_000 })),
        ("resolve_date", json!({ "when": "soon" })),
        ("resolve_date", json!({ "day": "tomorrow" })),
        ("split_bill", json!({ "total": 12 })),
        ("whoami", json!({})),
        ("no_such_tool", json!({})),
    ];
    let model = OpenAi::start(vec![Turn::calls(calls), Turn::text("That did not go well.")]).await;
    let host = chat(&model, Database::Sqlite, "[\"*\"]", "").await;
    assert_eq!(say(&host, "do it all").await["response"], "That did not go well.");
    let results = results(&model);
    assert_eq!(results.len(), 8, "one answer for each call: {results:?}");
    let failed = |why: &str| json!({ "success": false, "error": why });
    let unavailable = |tool: &str, why: &str| failed(&format!("The tool `{tool}` is not available: {why}."));
    assert_eq!(results[0], unavailable("trap", "it failed"));
    assert_eq!(results[1], unavailable("spin", "it took too long"));
    assert_eq!(results[2], unavailable("sleep", "it took too long"));
    let error = |at: usize| results[at]["error"].as_str().unwrap_or_else(|| panic!("{}", results[at]));
    assert!(error(3).contains("next friday"), "{}", error(3));
    assert!(error(4).starts_with("The arguments do not fit"), "{}", error(4));
    assert_eq!(results[5], failed("The user has to be asked first: How many people share the bill?"));
    // For the same caller, whatever an argument says.
    assert_eq!(results[6], json!({ "success": true, "result": "ada []" }));
    assert_eq!(results[7], failed("There is no tool of this name."));
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_without_the_grant_has_its_own_tools_alone() {
    let model =
        OpenAi::start(vec![Turn::calls([("resolve_date", json!({ "when": "today" }))]), Turn::text("No.")]).await;
    let host = chat(&model, Database::Sqlite, "[]", "").await;
    say(&host, "which day is it?").await;
    assert_eq!(results(&model), [json!({ "success": false, "error": "There is no tool of this name." })]);
    assert_eq!(told_of(&model).len(), 7);
    assert!(!model.last()["messages"][0]["content"].to_string().contains("not about todos"));
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_have_the_user_look_first_at_what_may_change_something() {
    let model = OpenAi::start(vec![Turn::calls([
        ("resolve_date", json!({ "when": "today", "relative_to": "2026-11-18" })),
        ("whoami", json!({})),
    ])])
    .await;
    let host = chat(&model, Database::Sqlite, "[\"*\"]", "chat_approval = \"others\"").await;
    let asked = say(&host, "who am I?").await;
    assert_eq!(asked["finish_reason"], "approval_required", "{asked}");
    assert_eq!(asked["response"], "This needs your approval: whoami.");
    assert_eq!(asked["tool_calls"][0]["result"]["result"]["date"], "2026-11-18", "reading needs none: {asked}");
    model.then([Turn::text("You are Ada.")]);
    let decision = json!({ "approve": [asked["approval_required"][0]["id"]], "reject": [] });
    let path = format!("/api/conversations/{}/approvals", asked["conversation_id"]);
    let (status, done) = answered(host.post(&path, &decision).by("ada")).await;
    assert_eq!((status, &done["response"]), (200, &json!("You are Ada.")), "{done}");
    assert_eq!(done["tool_calls"][1]["result"]["result"], "ada []");
    model.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_cut_off_is_told_as_unknown_and_not_made_again() {
    let model = OpenAi::start(vec![Turn::calls([("sleep", json!({ "ms": 1_900 }))])]).await;
    let host = chat(&model, Database::Sqlite, "[\"probe\"]", "").await;
    let asked = host.post("/api/chat", &json!({ "message": "rest a while" })).by("ada");
    let call = tokio::spawn(asked.send());
    // The chat, and in it the tool.
    host.until_running(2).await;
    call.abort();
    host.until_running(0).await;
    model.then([Turn::text("I do not know whether I slept.")]);
    let again = json!({ "message": "and?", "conversation_id": 1 });
    let (status, said) = answered(host.post("/api/chat", &again).by("ada")).await;
    assert_eq!((status, &said["response"]), (200, &json!("I do not know whether I slept.")), "{said}");
    let told = results(&model);
    assert_eq!(told.len(), 1);
    assert!(told[0]["error"].as_str().is_some_and(|why| why.contains("is unknown")), "{told:?}");
    model.finish();
}
