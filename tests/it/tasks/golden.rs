//! What FastAPI answered, step by step; `golden/tasks.json` says how to read it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::todo;
use crate::harness::{Database, Raw, TestHost, token};

#[derive(Deserialize)]
struct Golden {
    scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    name: String,
    #[serde(default)]
    config: Map<String, Value>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    method: String,
    path: String,
    #[serde(default = "the_user")]
    user: Value,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<String>,
    bytes_hex: Option<String>,
    save: Option<String>,
    expect: Expect,
}

#[derive(Deserialize)]
struct Expect {
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<Value>,
    body_text: Option<String>,
    titles: Option<Vec<String>>,
}

fn the_user() -> Value {
    json!("user")
}

/// What the placeholders stand for.
struct Names(Vec<(String, String)>);

impl Names {
    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

fn bytes(step: &Step) -> Vec<u8> {
    match (&step.body, &step.bytes_hex) {
        (Some(body), _) => body.clone().into_bytes(),
        (None, Some(hex)) => {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
        }
        (None, None) => Vec::new(),
    }
}

fn request(step: &Step, names: &Names, host: &str) -> Vec<u8> {
    let body = bytes(step);
    let mut head = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n", step.method, names.fill(&step.path));
    if let Some(user) = step.user.as_str() {
        head.push_str(&format!("authorization: Bearer {}\r\n", token(names.get(user))));
    }
    for (name, value) in &step.headers {
        head.push_str(&format!("{name}: {}\r\n", value.as_str().expect("text")));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [head.into_bytes(), body].concat()
}

fn is_time(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((second, fraction)) = text.strip_suffix('Z').map(|text| text.split_once('.').unwrap_or((text, "0")))
    else {
        return false;
    };
    let form: String = second.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form == "0000-00-00T00:00:00" && digits(fraction)
}

fn fits(expected: &Value, got: &Value, names: &Names) -> bool {
    match (expected, got) {
        (Value::String(text), _) if text == "<int>" => got.is_i64(),
        (Value::String(text), Value::String(got)) if text == "<time>" => is_time(got),
        (Value::String(text), Value::String(got)) => names.fill(text) == *got,
        (Value::Array(all), Value::Array(got)) => {
            all.len() == got.len() && all.iter().zip(got).all(|(one, got)| fits(one, got, names))
        }
        (Value::Object(all), Value::Object(got)) => {
            all.len() == got.len() && all.iter().all(|(key, one)| got.get(key).is_some_and(|got| fits(one, got, names)))
        }
        _ => expected == got,
    }
}

/// How an answer differs from what FastAPI gave.
async fn replay(step: &Step, names: &mut Names, connection: &mut Raw, host: &str) -> Option<String> {
    connection.send(request(step, names, host)).await.expect("sent");
    let answer = if step.method == "HEAD" { connection.head().await } else { connection.answer().await };
    let answer = answer.expect("a whole answer").expect("an answer");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(name) = &step.save {
        names.0.push((name.clone(), body["id"].to_string()));
    }
    let titles = || {
        body.as_array()
            .map(|tasks| tasks.iter().map(|task| task["title"].as_str().unwrap_or("?").to_owned()).collect::<Vec<_>>())
    };
    let header =
        |(name, value): (&String, &Value)| answer.header(name) == Some(&*names.fill(value.as_str().expect("text")));
    let expect = &step.expect;
    let same = answer.status == expect.status
        && expect.headers.iter().all(header)
        && expect.body.as_ref().is_none_or(|expected| fits(expected, &body, names))
        && expect.body_text.as_ref().is_none_or(|expected| *expected == text)
        && expect.titles.as_ref().is_none_or(|expected| titles().as_ref() == Some(expected));
    (!same).then(|| format!("{} {} {:?}\n{}{text}", step.method, step.path, step.body, answer.head))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_fastapis_to_the_letter() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/tasks.json")).expect("golden answers");
    for database in Database::BOTH {
        let mut hosts: Vec<(&Map<String, Value>, TestHost)> = Vec::new();
        let mut differences = Vec::new();
        for (number, scenario) in golden.scenarios.iter().enumerate() {
            // Users of a scenario's own find the database as empty as a new one.
            let at = match hosts.iter().position(|(config, _)| **config == scenario.config) {
                Some(at) => at,
                None => {
                    hosts.push((&scenario.config, todo(database, &scenario.config).await));
                    hosts.len() - 1
                }
            };
            let address = hosts[at].1.address;
            let names = [
                ("user", format!("ada-{number}")),
                ("other", format!("bob-{number}")),
                ("origin", format!("http://{address}")),
            ];
            let mut names = Names(names.map(|(name, value)| (name.to_owned(), value)).into());
            let mut connection = Raw::connect(address).await;
            for step in &scenario.steps {
                if let Some(difference) = replay(step, &mut names, &mut connection, &address.to_string()).await {
                    differences.push(format!("{}: {difference}", scenario.name));
                }
            }
        }
        assert!(
            differences.is_empty(),
            "{} differences on {database:?}:\n{}",
            differences.len(),
            differences.join("\n\n")
        );
    }
}
