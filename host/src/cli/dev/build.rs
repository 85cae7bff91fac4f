//! One run of a project's build. It ends with this value, whatever it has started.

use std::io;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A build that runs.
pub(super) struct Build {
    child: Child,
    /// It leads a group: what it starts is in it, and no signal of the terminal's.
    group: Option<Pid>,
}

/// How it ended.
pub(super) enum Ended {
    /// It says so.
    Well,
    /// Its status.
    Badly(ExitStatus),
}

impl Build {
    /// Starts a command of the shell's. What it prints is for the person at the
    /// terminal; standard output stays this program's own.
    pub(super) fn start(command: &str) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::null()).stdout(io::stderr()).stderr(Stdio::inherit()).process_group(0);
        let child = shell.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, group })
    }

    /// Waits for its end.
    pub(super) async fn wait(mut self) -> io::Result<Ended> {
        let status = self.child.wait().await?;
        Ok(if status.success() { Ended::Well } else { Ended::Badly(status) })
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // A compiler has nothing to tidy up, and one that stays holds a core. What is left
        // of one that has ended goes as well; where there is nobody, nothing happens.
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
