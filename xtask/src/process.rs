//! Child processes. Each one leads a process group of its own, and a signal
//! that reaches this process is passed on to all of them: cargo does not pass
//! a signal on to the tests it runs, nor uvicorn's parent a kill to its workers.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a child may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Takes over Ctrl-C and SIGTERM: the first one ends the children, so that
/// whoever waits for them returns and its guards clean up; a second one kills.
pub(crate) fn end_children_on_signals() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("listening for signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let again = INTERRUPTED.swap(true, Ordering::SeqCst);
            let signal = if again { Signal::KILL } else { Signal::TERM };
            for group in groups().iter() {
                signal_group(*group, signal);
            }
        }
    });
    Ok(())
}

/// Fails once a signal has asked this process to end.
pub(crate) fn still_wanted() -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        bail!("interrupted");
    }
    Ok(())
}

/// A running child and whatever it started; dropping it ends them.
pub(crate) struct Job {
    child: Child,
    group: Pid,
    ended: bool,
}

impl Job {
    /// Starts `command` as the leader of a new process group.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        still_wanted()?;
        // Outside the terminal's own group, reading from it would stop a child.
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting `{}`", shown(command)))?;
        let group = Pid::from_child(&child);
        groups().push(group);
        let job = Self { child, group, ended: false };
        // A signal that came between the spawn and the line above missed it.
        still_wanted()?;
        Ok(job)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until the child ends by itself.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().context("waiting for a child")?;
        self.forget();
        still_wanted()?;
        Ok(status)
    }

    /// The child's exit status, if it has ended.
    pub(crate) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait().context("waiting for a child")?;
        if status.is_some() {
            self.forget();
        }
        Ok(status)
    }

    fn forget(&mut self) {
        self.ended = true;
        groups().retain(|group| *group != self.group);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        signal_group(self.group, Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        // Also when the leader has ended: its group may have other members.
        signal_group(self.group, Signal::KILL);
        // It is gone or just killed, so this neither blocks nor matters.
        let _ = self.child.wait();
        self.forget();
    }
}

/// Runs `command` to its end and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = Job::spawn(command)?.wait()?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// Like [`run`], and returns what the command wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let mut job = Job::spawn(command.stdout(Stdio::piped()))?;
    let text = match job.take_stdout() {
        Some(stdout) => std::io::read_to_string(stdout)?,
        None => String::new(),
    };
    let status = job.wait()?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(text)
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signal_group(group: Pid, signal: Signal) {
    // It fails when the group has just ended, which is what was wanted.
    let _ = kill_process_group(group, signal);
    // Whoever has been stopped notices a signal only when it goes on.
    let _ = kill_process_group(group, Signal::CONT);
}
