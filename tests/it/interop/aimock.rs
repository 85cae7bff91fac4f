//! A model's server that others wrote: `@copilotkit/aimock`, under Node.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::harness::http_client;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/aimock");

/// A server of its own for one test; it ends with it.
pub struct Aimock {
    address: String,
    client: Client,
    _child: Child,
}

impl Aimock {
    /// Answers as the files in `tests/interop/aimock` say, and nothing else.
    pub async fn start() -> Self {
        let folder = std::env::var("INNKEEPER_TEST_INTEROP").expect("run this by `cargo xtask interop`");
        // It takes no port 0.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let child = Command::new("node")
            .args(["node_modules/@copilotkit/aimock/dist/cli.js", "--strict", "-f", SCRIPT])
            .args(["-p", &free.port().to_string()])
            .current_dir(folder)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let (address, client) = (format!("http://{free}"), http_client());
        let until = Instant::now() + Duration::from_secs(20);
        while client.get(format!("{address}/health")).send().await.is_err() {
            assert!(Instant::now() < until, "it does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { address, client, _child: child }
    }

    /// What `OPENAI_BASE_URL` wants.
    pub fn url(&self) -> String {
        format!("{}/v1", self.address)
    }

    /// Every request that it had.
    pub async fn requests(&self) -> Vec<Value> {
        let journal = self.client.get(format!("{}/__aimock/journal", self.address)).send().await.expect("an answer");
        journal.json::<Value>().await.expect("JSON").as_array().expect("a list").clone()
    }
}
