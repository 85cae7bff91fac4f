//! Docker: the daemon that answers, or one of our own for as long as it is needed.

use crate::{
    machine,
    process::{self, Job},
};
use anyhow::{Context, Result, bail};
use std::{
    fs::File,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a daemon may take to answer. It starts in two or three seconds; one with
/// many containers to restore takes longer.
const START: Duration = Duration::from_secs(60);

/// A daemon that answers. Dropping it ends the one that was started here.
pub(super) struct Daemon {
    _own: Option<Job>,
}

impl Daemon {
    pub(super) fn ready() -> Result<Self> {
        if machine::find_on_path("docker").is_some() && answers() {
            return Ok(Self { _own: None });
        }
        process::still_wanted()?;
        if machine::find_on_path("dockerd").is_none() || machine::find_on_path("docker").is_none() {
            machine::install_package("docker.io", "there is no Docker here")?;
            // Some systems start it by themselves.
            if answers() {
                return Ok(Self { _own: None });
            }
        }
        if !machine::is_root() {
            bail!("no Docker daemon answers, and only root can start one: start it, or run this as root");
        }
        eprintln!("no Docker daemon answers: starting one");
        let log = std::env::temp_dir().join("innkeeper-dockerd.log");
        let file = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
        let mut dockerd = Command::new("dockerd");
        let mut own = Job::spawn(dockerd.stdout(file.try_clone()?).stderr(file))?;
        let until = Instant::now() + START;
        while !answers() {
            if own.try_wait()?.is_some() || Instant::now() > until {
                bail!("the Docker daemon did not start: see {}", log.display());
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(Self { _own: Some(own) })
    }
}

fn answers() -> bool {
    let mut docker = Command::new("docker");
    let asked = docker.args(["version", "--format", "{{.Server.Version}}"]);
    process::run(asked.stdout(Stdio::null()).stderr(Stdio::null())).is_ok()
}
