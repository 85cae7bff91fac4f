//! A host with the guest that asks whatever a test wants asked.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{As, KEY, OpenAi, Setup, TestHost};

/// A host whose probe may ask this server. `file` is more of its configuration, in
/// which `{limits}` are the probe's.
pub fn setup(model: &OpenAi, limits: &str, file: &str) -> Setup {
    let module = format!(
        "[[module]]\nname = \"llm-probe\"\nsource = \"replaced\"\ngrants = {{ llm = [\"default\"] }}\nlimits = {{ {limits} }}\n"
    );
    with_model(Setup::guest("llm-probe").file(file).file(&module), model)
}

/// The environment that configures the default model.
pub fn with_model(setup: Setup, model: &OpenAi) -> Setup {
    setup.env("OPENAI_API_KEY", KEY).env("OPENAI_BASE_URL", &model.url())
}

/// A request in the interface's own words.
pub fn says(text: &str) -> Value {
    json!({
        "model": null, "messages": [{ "User": [{ "Text": text }] }], "tools": [], "tool_choice": "Auto",
        "parallel_tool_calls": null, "max_output_tokens": null, "temperature": null, "effort": null,
        "format": "Text", "stop": [],
    })
}

/// The same with other fields.
pub fn with(mut request: Value, fields: Value) -> Value {
    for (key, value) in fields.as_object().expect("fields") {
        request[key] = value.clone();
    }
    request
}

/// Asks, as this user or as nobody.
pub async fn ask(host: &TestHost, path: &str, who: Option<&str>, request: &Value) -> Value {
    let request = host.post(path, request);
    let request = if let Some(who) = who { request.by(who) } else { request };
    let answer = request.send().await.expect("an answer");
    let (status, text) = (answer.status(), answer.text().await.expect("a text"));
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// What is counted for a scope and a unit, as a caller reads it.
pub async fn used(host: &TestHost, who: Option<&str>, scope: &str, unit: &str) -> u64 {
    let request = host.get("/allowances");
    let request = if let Some(who) = who { request.by(who) } else { request };
    let all: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    let rows = all["ok"].as_array().unwrap_or_else(|| panic!("a list, not {all}"));
    let row = rows.iter().find(|row| row["scope"] == scope && row["unit"] == unit);
    row.unwrap_or_else(|| panic!("no {unit} of {scope} in {all}"))["used"].as_u64().expect("a number")
}

/// Waits until so much is counted: settling happens behind the answer.
pub async fn settles(host: &TestHost, who: Option<&str>, scope: &str, unit: &str, expected: u64) {
    for _ in 0..200 {
        if used(host, who, scope, unit).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(used(host, who, scope, unit).await, expected, "{unit} of {scope}");
}

/// Waits for a minute that has some seconds left: its end would begin another count.
pub async fn early_in_a_minute() {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() % 60;
    if second >= 50 {
        tokio::time::sleep(Duration::from_secs(61 - second)).await;
    }
}

/// The limit that an answer says was met.
#[track_caller]
pub fn exceeded(answer: &Value) -> &Value {
    let limit = &answer["error"]["BudgetExceeded"];
    assert!(limit.is_object(), "no limit was met: {answer}");
    limit
}
