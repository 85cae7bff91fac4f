//! A container as an orchestrator runs it: nothing may be written but `/data`, no
//! right is left, and 128 MiB are all there is.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use tokio::process::Command;

use crate::harness::{Database, SECRET, TestDatabase, http_client, kilobytes};

/// What every container is run with.
const RESTRICTED: [&str; 10] = [
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=65532",
    "--memory=128m",
    "--memory-swap=128m",
    // What the manifests set beside this much memory.
    "--env=INNKEEPER_MAX_IN_FLIGHT=128",
    "--env=INNKEEPER_LOG_FORMAT=json",
    // This machine, where the scripted model listens.
    "--add-host=model.internal:host-gateway",
    // What the tests run is the image's own business.
    "--pull=never",
];

/// What `cargo xtask image --test` tells.
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by `cargo xtask image --test`, which runs this"))
}

/// What Docker says; not whether it is good.
pub async fn docker(args: &[&str]) -> Output {
    let output = Command::new("docker").args(args).stdin(Stdio::null()).output();
    tokio::time::timeout(Duration::from_secs(90), output).await.expect("Docker ends").expect("Docker runs")
}

/// What Docker says when all is well.
async fn said(args: &[&str]) -> String {
    let output = docker(args).await;
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A database on the server that has a name in the containers' network.
pub async fn database() -> (TestDatabase, String) {
    let database = TestDatabase::create(Database::Postgres).await;
    let mut url = reqwest::Url::parse(database.url()).expect("a URL");
    url.set_host(Some(&told("INNKEEPER_TEST_POSTGRES_NAME"))).expect("a name");
    (database, url.into())
}

/// How a container is run.
#[derive(Clone)]
pub struct Setup {
    options: Vec<String>,
    command: Vec<String>,
}

impl Setup {
    pub fn new() -> Self {
        let network = format!("--network={}", told("INNKEEPER_TEST_NETWORK"));
        let options = RESTRICTED.map(str::to_owned).into_iter().chain([network]).collect();
        Self { options, command: Vec::new() }
    }

    /// With the secret that tests sign by.
    pub fn signed() -> Self {
        Self::new().env("BETTER_AUTH_SECRET", SECRET)
    }

    pub fn env(self, name: &str, value: &str) -> Self {
        self.option(&format!("--env={name}={value}"))
    }

    /// Any option of `docker run`; the last one of a kind counts.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// In the network of another one, as two containers of one pod are.
    pub fn beside(mut self, other: &Container) -> Self {
        // Names are the other one's business.
        self.options.retain(|option| !option.starts_with("--network=") && !option.starts_with("--add-host="));
        self.option(&format!("--network=container:{}", other.id))
    }

    /// Instead of `serve`.
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Makes it, and does not start it.
    pub async fn create(&self) -> Container {
        let image = told("INNKEEPER_TEST_IMAGE");
        let mut args: Vec<&str> = vec!["create"];
        args.extend(self.options.iter().map(String::as_str));
        args.push(&image);
        args.extend(self.command.iter().map(String::as_str));
        Container { id: said(&args).await, client: http_client() }
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(&self) -> Container {
        let container = self.create().await;
        container.start().await;
        container.until_ready().await;
        container
    }

    /// Runs it to its end: the exit code, and what it has logged.
    pub async fn run(&self) -> (i64, String) {
        let container = self.create().await;
        container.start().await;
        let code = container.wait().await;
        (code, container.logs().await)
    }
}

/// A container, gone with this value and its volumes with it.
pub struct Container {
    pub id: String,
    client: reqwest::Client,
}

impl Container {
    pub async fn start(&self) {
        said(&["start", &self.id]).await;
    }

    /// Part of what Docker knows of it.
    pub async fn inspect(&self, format: &str) -> String {
        said(&["inspect", "--format", format, &self.id]).await
    }

    /// Where it is in the network; another place after a restart.
    pub async fn address(&self) -> SocketAddr {
        self.place().await.expect("a container that runs has an address")
    }

    /// None while it is being started: Docker says that it runs a moment before it
    /// knows where.
    async fn place(&self) -> Option<SocketAddr> {
        let ip = self.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}").await;
        Some(SocketAddr::new(ip.parse().ok()?, 8000))
    }

    pub async fn until_ready(&self) -> SocketAddr {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(self.inspect("{{.State.Running}}").await == "true", "it ended: {}", self.logs().await);
            if let Some(address) = self.place().await {
                let asked = self.client.get(format!("http://{address}/health/ready")).send().await;
                if asked.is_ok_and(|answer| answer.status() == 200) {
                    return address;
                }
            }
            assert!(Instant::now() < until, "not ready: {}", self.logs().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address().await))
    }

    pub async fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path).await
    }

    pub async fn signal(&self, name: &str) {
        said(&["kill", "--signal", name, &self.id]).await;
    }

    /// As `docker stop` and Kubernetes do; the host gives itself 25 seconds.
    pub async fn stop(&self) {
        said(&["stop", "--time", "35", &self.id]).await;
    }

    /// Its exit code.
    pub async fn wait(&self) -> i64 {
        said(&["wait", &self.id]).await.parse().expect("a number")
    }

    pub async fn logs(&self) -> String {
        let output = docker(&["logs", &self.id]).await;
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// One more process in it: whether it is content, and what it says.
    pub async fn exec(&self, command: &[&str]) -> (bool, String) {
        let output = docker(&[&["exec", &self.id], command].concat()).await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// How much memory of its first process is resident, in MiB.
    pub async fn resident_mib(&self) -> f64 {
        let pid = self.inspect("{{.State.Pid}}").await;
        kilobytes(pid, "VmRSS") as f64 / 1024.0
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let args = ["rm", "--force", "--volumes", &self.id];
        let _ = std::process::Command::new("docker").args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
