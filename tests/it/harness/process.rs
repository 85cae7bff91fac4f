//! The `innkeeper` binary as a process, for what only a process shows: exit
//! codes, signals, output.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::{SECRET, cache_dir};

/// The binary beside this test's own. `cargo xtask test` builds it.
pub fn binary() -> PathBuf {
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

/// A `serve` that is running.
pub struct HostProcess {
    pub address: SocketAddr,
    child: Child,
    _dir: tempfile::TempDir,
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

    /// Starts `serve` on a free port, and waits until it is live.
    pub async fn serve(vars: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // Taken and given back: another process could come in between, and then
        // the test says so.
        let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
        let database = format!("sqlite://{}", dir.path().join("test.db").display());
        let mut command = command(&["serve"], &[("DATABASE_URL", &database)]);
        command.envs(vars.iter().copied()).env("INNKEEPER_LISTEN", address.to_string()).current_dir(dir.path());
        let child = command.spawn().expect("it runs");
        let process = Self { address, child, _dir: dir };
        process.until("/health/ready").await;
        process
    }

    async fn until(&self, path: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Ok(answer) = reqwest::get(format!("http://{}{path}", self.address)).await
                && answer.status().is_success()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} is not good after 30 seconds");
    }

    /// Sends a signal (`TERM`, `KILL`).
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it is running").to_string();
        let killed = Command::new("kill").args([&format!("-{name}"), &pid]).status().await.expect("kill runs");
        assert!(killed.success());
    }

    /// Waits for its end.
    pub async fn wait(self) -> Finished {
        let output = tokio::time::timeout(Duration::from_secs(60), self.child.wait_with_output());
        let output = output.await.expect("an end").expect("it ran");
        Finished {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
