//! What the log gets of answers that fail: one line, and nothing that is secret or
//! somebody's words.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{fmt, registry};

use super::Upstream;
use crate::broker::llm::{Format, LlmError, Message, Part, Request, ToolChoice};
use crate::config::{Dialect, LlmModel, LlmTimeouts, Quirks};
use crate::telemetry::silence;

const KEY: &str = "canary-Zq8RtY2mWx";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks a server that answers with this; the error, and what was logged.
async fn ask(answer: String) -> (LlmError, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("bound")).parse().expect("a URL");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let _ = stream.read(&mut [0; 8 << 10]);
        let _ = stream.write_all(answer.as_bytes());
    });
    let config = LlmModel {
        alias: "default".to_owned(),
        model: "m".to_owned(),
        dialect: Dialect::Chat,
        base_url,
        key: Some(KEY.to_owned().into()),
        quirks: Quirks::default(),
        max_output_tokens: 100,
        timeouts: LlmTimeouts::default(),
    };
    let request = Request {
        model: None,
        messages: vec![Message::User(vec![Part::Text("the prompt".to_owned())])],
        tools: Vec::new(),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        max_output_tokens: Some(10),
        temperature: None,
        effort: None,
        format: Format::Text,
        stop: Vec::new(),
    };
    let lines = Lines::default();
    let kept = lines.clone();
    let log = fmt::layer().with_ansi(false).with_writer(move || kept.clone());
    let _logging = tracing::subscriber::set_default(registry().with(silence()).with(log));
    let upstream = Upstream::new(&config).expect("an upstream");
    let error = match upstream.open(&request).await {
        Err(error) => error,
        Ok(mut answer) => loop {
            match answer.next().await.expect("an error") {
                Ok(_) => {}
                Err(error) => break error,
            }
        },
    };
    let logged = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    (error, logged)
}

#[tokio::test]
async fn a_failure_is_logged_once_and_without_secrets() {
    let body = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}\n","code":"invalid_api_key"}}}}"#);
    let refusal = format!("HTTP/1.1 401 X\r\nx-request-id: req_7\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let in_stream = format!(
        "{STREAM}data: {{\"choices\":[{{\"delta\":{{\"content\":\"said so far\"}}}}]}}\n\n\
        data: {{\"error\":{{\"code\":400,\"message\":\"no: {KEY}\"}}}}\n\n"
    );
    let garbage = format!(
        "{STREAM}data: {{\"choices\":[{{\"delta\":{{\"content\":\"said so far\"}}}}]}}\n\n\
        data: {{\"said so far\": {KEY}\n\n"
    );
    for (answer, says) in
        [(refusal, "Incorrect API key provided: [secret]"), (in_stream, "no: [secret]"), (garbage, "")]
    {
        let (error, logged) = ask(answer).await;
        let lines: Vec<&str> = logged.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
        assert_eq!(lines.len(), 1, "{logged}");
        assert!(lines[0].contains("default") && lines[0].contains(says), "{logged}");
        for secret in [KEY, "Zq8RtY", "the prompt", "said so far"] {
            assert!(!logged.contains(secret), "{secret} is in {logged}");
            // What broke off is the guest's own, and goes to it alone.
            let shown = format!("{error}");
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
