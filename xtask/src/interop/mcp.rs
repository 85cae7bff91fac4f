//! The Model Context Protocol, as others speak it: the official conformance suite,
//! and the official clients.

mod suite;

use crate::{
    postgres,
    process::{self, Job},
    workspace,
};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use ureq::Agent;

/// A host that has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the hosts' tokens are signed with.
const SECRET: &str = "for-tests-of-interoperability-only";

/// The conformance suite, then the clients that are installed in this folder.
pub(super) fn run(installed: &Path) -> Result<()> {
    process::run(workspace::guest_cargo("build").args(["--release", "--package=conformance", "--package=todo"]))?;
    process::run(workspace::cargo().args(["build", "--package", "innkeeper"]))?;
    let folder = tempfile::tempdir()?;
    let conformance = Host::start(folder.path(), "conformance")?;
    suite::run(folder.path(), &conformance.url)?;
    let todo = Host::start(folder.path(), "todo")?;
    let token = process::output(innkeeper(folder.path())?.args(["token", "--user", "ada"]))?;
    for (program, script) in
        [(Path::new("node"), "mcp_clients.mjs"), (&installed.join("python/bin/python"), "mcp_client.py")]
    {
        let mut client = Command::new(program);
        client.current_dir(installed).arg(script).args([&todo.url, &conformance.url, token.trim()]);
        process::run(&mut client).with_context(|| format!("the clients of {script}"))?;
    }
    Ok(())
}

/// A host that serves one guest of ours.
struct Host {
    url: String,
    _job: Job,
}

/// Our own command line, with the environment that all of these hosts have.
fn innkeeper(folder: &Path) -> Result<Command> {
    let mut command = Command::new(workspace::target()?.join("debug/innkeeper"));
    command.current_dir(folder).env("INNKEEPER_CACHE_DIR", folder.join("cache")).env("BETTER_AUTH_SECRET", SECRET);
    command.env("INNKEEPER_ADMIN_LISTEN", "off").env_remove("DATABASE_URL");
    Ok(command)
}

impl Host {
    fn start(folder: &Path, guest: &str) -> Result<Self> {
        let port = postgres::free_port()?;
        let log = folder.join(format!("{guest}.log"));
        let output = File::create(&log)?;
        let mut command = innkeeper(folder)?;
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        command.env("INNKEEPER_MODULE", workspace::guest_components().join(format!("{guest}.wasm")));
        command.stdout(output.try_clone()?).stderr(output);
        let mut job = Job::spawn(&mut command)?;
        let ready = format!("http://127.0.0.1:{port}/health/ready");
        let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(2)));
        let (agent, began) = (Agent::from(config.build()), Instant::now());
        while agent.get(&ready).call().is_err() {
            process::still_wanted()?;
            if job.try_wait()?.is_some() || began.elapsed() > PATIENCE {
                bail!("the host did not start; it said:\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { url: format!("http://127.0.0.1:{port}/mcp"), _job: job })
    }
}
