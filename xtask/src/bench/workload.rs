//! The workloads: what is asked, what a right answer is, and the todos
//! that have to be there first.

use super::token;
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::{
    Agent,
    http::{self, Response},
};

/// How many todos the reader has, and how many of them are asked for.
const TODOS: usize = 1000;
const PAGE: usize = 20;

/// What every contender's todo consists of.
const FIELDS: [&str; 10] =
    ["id", "user_id", "title", "description", "completed", "priority", "due_date", "tags", "created_at", "updated_at"];

const MCP_VERSION: &str = "2026-07-28";
/// It says one sentence.
const TOOL: &str = "test_simple_text";

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    Hello,
    List,
    Create,
    Tool,
}

impl Workload {
    pub(crate) const ALL: [Self; 4] = [Self::Hello, Self::List, Self::Create, Self::Tool];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello JSON",
            Self::List => "list 20 of 1,000 todos",
            Self::Create => "create a todo",
            Self::Tool => "call a tool (MCP)",
        }
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Hello | Self::List => "GET",
            Self::Create | Self::Tool => "POST",
        }
    }

    /// Readers and writers are two users, so that the list stays as it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Hello => "/",
            Self::List => "/api/reader/tasks?limit=20",
            Self::Create => "/api/writer/tasks",
            Self::Tool => "/mcp",
        }
    }

    pub(crate) fn body(self) -> Option<Value> {
        match self {
            Self::Hello | Self::List => None,
            Self::Create => Some(todo("Buy milk")),
            Self::Tool => Some(tool_call()),
        }
    }

    /// Beside the usual ones.
    pub(crate) fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Hello | Self::List | Self::Create => &[],
            Self::Tool => &[
                ("Accept", "application/json, text/event-stream"),
                ("MCP-Protocol-Version", MCP_VERSION),
                ("Mcp-Method", "tools/call"),
                ("Mcp-Name", TOOL),
            ],
        }
    }

    /// Whether it is a signed-in user who asks.
    fn has_caller(self) -> bool {
        matches!(self, Self::List | Self::Create)
    }

    fn check(self, status: u16, body: &Value) -> Result<()> {
        let expected = if self == Self::Create { 201 } else { 200 };
        ensure!(status == expected, "the status is {status} instead of {expected}: {body}");
        match self {
            Self::Hello => ensure!(body["message"].is_string(), "no message in {body}"),
            Self::List => {
                let todos = body.as_array().context("the list is no array")?;
                ensure!(todos.len() == PAGE, "{} todos instead of {PAGE}", todos.len());
                todos.iter().try_for_each(check_todo)?;
                let newest = format!("Todo {TODOS}");
                ensure!(todos[0]["title"] == newest, "the newest todo is not first: {}", todos[0]);
            }
            Self::Create => {
                check_todo(body)?;
                ensure!(body["title"] == "Buy milk", "another todo was created: {body}");
            }
            Self::Tool => ensure!(body["result"]["content"][0]["text"].is_string(), "no text in {body}"),
        }
        Ok(())
    }
}

/// A request of the protocol's newest version, which needs no session.
fn tool_call() -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MCP_VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": TOOL, "arguments": {}, "_meta": meta });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params })
}

fn todo(title: &str) -> Value {
    json!({
        "title": title,
        "description": "Two litres, and something for the cat.",
        "priority": "high",
        "due_date": "2030-12-31T18:00:00Z",
        "tags": ["shopping", "home"],
    })
}

fn check_todo(todo: &Value) -> Result<()> {
    let fields = todo.as_object().with_context(|| format!("not a todo: {todo}"))?;
    let right = fields.len() == FIELDS.len() && FIELDS.iter().all(|name| fields.contains_key(*name));
    ensure!(right, "a todo has the fields {}, and this one has not: {todo}", FIELDS.join(", "));
    ensure!(todo["tags"] == json!(["shopping", "home"]), "the tags are not kept: {todo}");
    for name in ["due_date", "created_at", "updated_at"] {
        let utc = todo[name].as_str().is_some_and(|date| date.ends_with('Z'));
        ensure!(utc, "`{name}` does not end in Z: {todo}");
    }
    Ok(())
}

/// An HTTP client that is signed in as the reader and as the writer.
pub(crate) struct Client {
    agent: Agent,
    reader: String,
    writer: String,
}

impl Client {
    pub(crate) fn new(secret: &str) -> Result<Self> {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(10)));
        Ok(Self {
            agent: config.build().into(),
            reader: token::sign("reader", secret)?,
            writer: token::sign("writer", secret)?,
        })
    }

    /// The token that a workload's requests carry; empty where none is needed.
    pub(crate) fn token(&self, workload: Workload) -> &str {
        match workload {
            Workload::Hello | Workload::Tool => "",
            Workload::List => &self.reader,
            Workload::Create => &self.writer,
        }
    }

    /// Asks once, and looks at the answer: only equal work can be compared.
    pub(crate) fn check(&self, base: &str, workload: Workload) -> Result<()> {
        let url = format!("{base}{}", workload.path());
        let mut request = http::Request::builder().method(workload.method()).uri(&url);
        for (name, value) in workload.headers() {
            request = request.header(*name, *value);
        }
        if workload.has_caller() {
            request = request.header("Authorization", format!("Bearer {}", self.token(workload)));
        }
        let answer = match workload.body() {
            Some(body) => self.agent.run(request.header("Content-Type", "application/json").body(body.to_string())?),
            None => self.agent.run(request.body(())?),
        };
        let (status, body) = read(answer?)?;
        workload.check(status, &body)?;
        self.check_that_strangers_are_refused(base, workload)
    }

    /// A contender that does not check the token has less to do than the rest.
    fn check_that_strangers_are_refused(&self, base: &str, workload: Workload) -> Result<()> {
        if !workload.has_caller() {
            return Ok(());
        }
        let tampered = format!("Bearer {}x", self.reader);
        let url = format!("{base}{}", Workload::List.path());
        let status = self.agent.get(&url).header("Authorization", tampered).call()?.status();
        ensure!(status == 401, "a forged token is answered with {status}");
        Ok(())
    }

    /// Gives the reader the todos that are listed, through the front door: no
    /// contender's tables have to be known.
    pub(crate) fn seed(&self, base: &str) -> Result<()> {
        let url = format!("{base}/api/reader/tasks");
        let bearer = format!("Bearer {}", self.reader);
        for number in 1..=TODOS {
            let request = self.agent.post(&url).header("Authorization", &bearer);
            let (status, body) = read(request.send_json(todo(&format!("Todo {number}")))?)?;
            if status != 201 {
                bail!("todo {number} was answered with {status}: {body}");
            }
        }
        Ok(())
    }
}

fn read(mut answer: Response<ureq::Body>) -> Result<(u16, Value)> {
    let text = answer.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok((answer.status().as_u16(), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(title: &str) -> Value {
        let mut todo = todo(title);
        for name in ["created_at", "updated_at"] {
            todo[name] = json!("2026-01-02T03:04:05Z");
        }
        todo["id"] = json!(1);
        todo["user_id"] = json!("reader");
        todo["completed"] = json!(false);
        todo
    }

    #[track_caller]
    fn check(workload: Workload, status: u16, body: &Value, expect: Result<(), &str>) {
        let found = workload.check(status, body).map_err(|error| error.to_string());
        match (found, expect) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => panic!("{found:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn right_answers_pass() {
        check(Workload::Hello, 200, &json!({ "message": "hi" }), Ok(()));
        check(Workload::Create, 201, &answered("Buy milk"), Ok(()));
        check(Workload::Tool, 200, &json!({ "result": { "content": [{ "type": "text", "text": "hi" }] } }), Ok(()));
        let mut list = vec![answered("Todo 1000")];
        list.resize(PAGE, answered("Todo 7"));
        check(Workload::List, 200, &json!(list), Ok(()));
    }

    #[test]
    fn wrong_answers_are_told_apart() {
        check(Workload::Hello, 404, &json!({ "message": "hi" }), Err("404 instead of 200"));
        check(Workload::Create, 200, &answered("Buy milk"), Err("200 instead of 201"));
        check(Workload::Create, 201, &answered("Buy beer"), Err("another todo"));
        check(Workload::Tool, 200, &json!({ "error": { "code": -32601 } }), Err("no text"));
        check(Workload::List, 200, &json!([]), Err("0 todos instead of 20"));
        check(Workload::List, 200, &json!({ "tasks": [] }), Err("no array"));
        check(Workload::List, 200, &json!(vec![answered("Todo 7"); PAGE]), Err("newest"));

        let mut local = answered("Buy milk");
        local["due_date"] = json!("2030-12-31T18:00:00+00:00");
        check(Workload::Create, 201, &local, Err("`due_date` does not end in Z"));
        let mut wider = answered("Buy milk");
        wider["category"] = json!(null);
        check(Workload::Create, 201, &wider, Err("has the fields"));
    }
}
