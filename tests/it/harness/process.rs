//! The `innkeeper` binary as a process, for what only a process shows: exit
//! codes, signals, output.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::{SECRET, cache_dir, provide_tls};

/// The binary beside this test's own, which `cargo xtask test` builds; or the one that
/// `INNKEEPER_TEST_BINARY` names, such as an optimised one to measure.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("INNKEEPER_TEST_BINARY") {
        return named.into();
    }
    let own = std::env::current_exe().expect("a path");
    let binary = own.parent().and_then(|deps| deps.parent()).expect("target/debug/deps").join("innkeeper");
    assert!(binary.exists(), "{} is not there; run the tests by `cargo xtask test`, which builds it", binary.display());
    binary
}

/// A command with the environment that every test host has, and no other.
pub fn command(args: &[&str], vars: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(args)
        .env_clear()
        .env("INNKEEPER_CACHE_DIR", cache_dir())
        .env("INNKEEPER_ADMIN_LISTEN", "off")
        .env("BETTER_AUTH_SECRET", SECRET)
        .envs(vars.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What the system says of a process's memory: `VmRSS`, or `VmHWM` for the most so far.
pub fn kilobytes(pid: impl std::fmt::Display, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is running");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("a line");
    value.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A `serve` that is running. Its output goes to files, so that a talkative one
/// never waits for a reader.
pub struct HostProcess {
    pub address: SocketAddr,
    child: Child,
    dir: tempfile::TempDir,
}

/// What a finished process left.
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl HostProcess {
    /// Runs a command to its end.
    pub async fn run(args: &[&str], vars: &[(&str, &str)]) -> Finished {
        let output = command(args, vars).output();
        let output = tokio::time::timeout(Duration::from_secs(60), output).await.expect("an end").expect("it runs");
        Finished {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts `serve` on a free port, and waits until it is ready.
    pub async fn serve(vars: &[(&str, &str)]) -> Self {
        Self::start(vars, "/health/ready").await
    }

    /// Starts `serve` on a free port, and waits until this path is good.
    pub async fn start(vars: &[(&str, &str)], good: &str) -> Self {
        provide_tls();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let database = format!("sqlite://{}", dir.path().join("test.db").display());
        let file = |name: &str| std::fs::File::create(dir.path().join(name)).expect("a file");
        let mut command = command(&["serve"], &[("DATABASE_URL", &database), ("INNKEEPER_LISTEN", "127.0.0.1:0")]);
        command.envs(vars.iter().copied()).current_dir(dir.path());
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().expect("it runs");
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { address: unknown, child, dir };
        process.started(good).await;
        process
    }

    /// Waits until it says where it listens, and the path is good there.
    async fn started(&mut self, good: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let log = self.stderr();
            assert!(self.child.try_wait().expect("a state").is_none(), "it ended: {log}");
            let address = log.split("listening on ").nth(1).and_then(|rest| rest.split(['"', '\n']).next());
            if let Some(address) = address {
                self.address = address.trim().parse().expect("an address");
                let answer = reqwest::get(self.url(good)).await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{good} is not good after a minute: {}", self.stderr());
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The operator's port, where one was configured.
    pub fn admin_url(&self) -> String {
        let log = self.stderr();
        let address = log.split("modules are at ").nth(1).and_then(|rest| rest.split(['"', '\n']).next());
        format!("http://{}", address.expect("an admin port").trim())
    }

    /// A page of the operator's port.
    pub async fn admin(&self, path: &str) -> String {
        let url = format!("{}{path}", self.admin_url());
        reqwest::get(url).await.expect("an answer").text().await.expect("a text")
    }

    /// The number that the system knows it by.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it is running")
    }

    /// Kilobytes that it has in memory, and its open files.
    pub fn held(&self) -> (u64, usize) {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it is running");
        (kilobytes(self.pid(), "VmRSS"), files.count())
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has logged so far.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.path().join(name)).expect("a file")).into_owned()
    }

    /// Sends a signal (`TERM`, `KILL`).
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it is running").to_string();
        let killed = Command::new("kill").args([&format!("-{name}"), &pid]).status().await.expect("kill runs");
        assert!(killed.success());
    }

    /// Waits for its end.
    pub async fn wait(mut self) -> Finished {
        let status = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        let status = status.expect("an end").expect("it ran");
        Finished { status, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Stops it as an orchestrator does.
    pub async fn stop(self) -> Finished {
        self.signal("TERM").await;
        self.wait().await
    }
}
