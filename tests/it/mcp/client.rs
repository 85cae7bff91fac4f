//! Requests of the newer protocol, and sessions of the older.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::TestHost;

pub const MODERN: &str = "2026-07-28";
pub const ACCEPT: &str = "application/json, text/event-stream";

/// What every message of the newer protocol says.
pub fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}, "sampling": {}, "roots": {}},
    })
}

/// A message of the newer protocol. `params` without what each says.
pub fn message(method: &str, params: Value) -> Value {
    let mut params = params;
    if params.get("_meta").is_none() {
        params["_meta"] = meta();
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// The request for a message, with its headers.
pub fn post(host: &TestHost, message: &Value) -> RequestBuilder {
    let mut request = raw(host, message.to_string()).header("mcp-protocol-version", MODERN);
    request = request.header("mcp-method", message["method"].as_str().unwrap_or_default());
    let named = match message["method"].as_str() {
        Some("tools/call" | "prompts/get") => message["params"]["name"].as_str(),
        Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => message["params"]["uri"].as_str(),
        _ => None,
    };
    if let Some(name) = named {
        request = request.header("mcp-name", name);
    }
    request
}

/// A body with the headers that every era wants.
pub fn raw(host: &TestHost, body: impl Into<reqwest::Body>) -> RequestBuilder {
    let request = host.request(Method::POST, "/mcp").header("accept", ACCEPT);
    request.header("content-type", "application/json").body(body)
}

/// Status and message of an answer that is one.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let streamed = is_stream(&answer);
    let text = answer.text().await.expect("text");
    if streamed {
        return (status, messages(&text).pop().expect("a last message"));
    }
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn is_stream(answer: &Response) -> bool {
    answer.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// The messages of a whole stream.
pub fn messages(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

/// Calls a method of the newer protocol.
pub async fn call(host: &TestHost, method: &str, params: Value) -> (u16, Value) {
    answer(post(host, &message(method, params))).await
}

/// Calls a tool.
pub async fn tool(host: &TestHost, name: &str, arguments: Value) -> (u16, Value) {
    call(host, "tools/call", json!({"name": name, "arguments": arguments})).await
}

/// The first text of a tool's answer.
pub fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}

/// A session of the older protocol.
pub struct Session<'h> {
    pub host: &'h TestHost,
    pub id: String,
    pub token: Option<String>,
}

pub const LEGACY: &str = "2025-11-25";

/// `initialize`, as a client of the older protocol says it.
pub fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": LEGACY,
        "capabilities": {"elicitation": {}, "roots": {}},
        "clientInfo": {"name": "old", "version": "1"},
    }})
}

impl<'h> Session<'h> {
    pub async fn begin(host: &'h TestHost, token: Option<String>) -> Self {
        let mut request = raw(host, initialize().to_string());
        if let Some(token) = &token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let id = answer.headers()["mcp-session-id"].to_str().expect("visible").to_owned();
        let told = messages(&answer.text().await.expect("text"));
        assert_eq!(told[0]["result"]["protocolVersion"], LEGACY);
        let session = Self { host, id, token };
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(session.post(&ready).send().await.expect("an answer").status(), 202);
        session
    }

    pub fn post(&self, message: &Value) -> RequestBuilder {
        self.at(self.host, message)
    }

    /// The same session at another host.
    pub fn at(&self, host: &TestHost, message: &Value) -> RequestBuilder {
        self.signed(raw(host, message.to_string()))
    }

    pub fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("mcp-session-id", &self.id).header("mcp-protocol-version", LEGACY);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn call(&self, method: &str, params: Value) -> (u16, Value) {
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        answer(self.post(&message)).await
    }
}

/// The messages of a stream that goes on, one after the other.
pub struct Stream {
    answer: Response,
    text: String,
}

impl Stream {
    pub fn new(answer: Response) -> Self {
        assert!(is_stream(&answer), "{:?} is no stream", answer.headers());
        Self { answer, text: String::new() }
    }

    /// The next message; none when the stream has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.find('\n') {
                let line: String = self.text.drain(..=end).collect();
                match line.strip_prefix("data:").map(str::trim) {
                    Some(data) if !data.is_empty() => return Some(serde_json::from_str(data).expect("JSON")),
                    _ => continue,
                }
            }
            let more = tokio::time::timeout(Duration::from_secs(20), self.answer.chunk());
            let more = more.await.expect("a message in time").ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&more).expect("UTF-8"));
        }
    }
}
