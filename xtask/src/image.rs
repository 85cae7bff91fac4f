//! `cargo xtask image`: the container image, by the real `docker build`, with what
//! takes the space and the time. `--test` runs it as an orchestrator would, and
//! checks the manifests it is deployed by.

mod builder;
mod daemon;
mod manifests;
mod network;
mod proof;
mod sizes;

use crate::{
    process::{self, Job},
    workspace,
};
use anyhow::{Context, Result, bail};
use daemon::Daemon;
use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// Steps that took less are not worth a line.
const LONG: Duration = Duration::from_secs(2);
/// What docker passes on to each step, where the machine needs one of them.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run the image, prove what it promises, and check the manifests
    #[arg(long)]
    test: bool,
    /// Test the image of that name as it is, and build none
    #[arg(long, requires = "test", conflicts_with = "twice")]
    built: bool,
    /// Build it again from nothing, and compare what went in
    #[arg(long)]
    twice: bool,
    /// Build in this image; the default is the Dockerfile's, or one made here where
    /// no registry can be reached
    #[arg(long, value_name = "IMAGE")]
    builder: Option<String>,
    /// Package this guest
    #[arg(long, value_name = "PACKAGE", default_value = "todo")]
    guest: String,
    /// The image's name
    #[arg(long, default_value = "innkeeper:dev")]
    tag: String,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    // Both are dropped at the end of this function, whatever happens before.
    let _daemon = Daemon::ready()?;
    if !args.built {
        build(args)?;
    }
    if args.test {
        manifests::check()?;
        proof::run(&args.tag)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn build(args: &Args) -> Result<()> {
    let builder = builder::choose(args.builder.as_deref())?;
    let recipe = Recipe { builder: builder.as_deref(), guest: &args.guest };
    recipe.build(&args.tag, &[])?;
    sizes::print(&args.tag, &recipe.stage("host")?)?;
    if args.twice {
        let again = format!("{}-again", args.tag);
        recipe.build(&again, &["--no-cache"])?;
        sizes::compare(&args.tag, &again)?;
    }
    Ok(())
}

/// How the image is built.
struct Recipe<'a> {
    builder: Option<&'a str>,
    guest: &'a str,
}

impl Recipe<'_> {
    /// Builds it, and says how long its steps took.
    fn build(&self, tag: &str, more: &[&str]) -> Result<()> {
        let mut build = self.command(tag)?;
        build.args(more).arg(".");
        println!("==> {}", process::shown(&build));
        let started = Instant::now();
        let mut job = Job::spawn(build.stdout(Stdio::piped()))?;
        let output = BufReader::new(job.take_stdout().context("no output to read")?);
        // The classic builder's steps begin with a line each; another one's are not told.
        let mut steps: Vec<(String, Instant)> = Vec::new();
        for line in output.lines() {
            let line = line?;
            if line.starts_with("Step ") {
                steps.push((line.clone(), Instant::now()));
            }
            println!("{line}");
        }
        if !job.wait()?.success() {
            bail!("the image was not built");
        }
        println!("\n{tag} was built in {:.0} s", started.elapsed().as_secs_f64());
        let ends = steps.iter().skip(1).map(|(_, at)| *at).chain([Instant::now()]);
        for ((step, began), end) in steps.iter().zip(ends) {
            let took = end - *began;
            if took >= LONG {
                println!("    {:>5.0} s  {step}", took.as_secs_f64());
            }
        }
        Ok(())
    }

    /// The image of a stage, which is there already.
    fn stage(&self, stage: &str) -> Result<String> {
        let tag = format!("innkeeper-stage:{stage}");
        process::output(self.command(&tag)?.args(["--quiet", "--target", stage, "."]))?;
        Ok(tag)
    }

    fn command(&self, tag: &str) -> Result<Command> {
        let mut build = Command::new("docker");
        build.current_dir(workspace::root()).args(["build", "--tag", tag]);
        for (name, value) in [("GUEST", self.guest.to_owned()), ("REVISION", revision()?)] {
            build.arg("--build-arg").arg(format!("{name}={value}"));
        }
        for name in PROXIES.into_iter().filter(|name| env::var_os(name).is_some()) {
            build.args(["--build-arg", name]);
        }
        if let Some(builder) = self.builder {
            build.arg("--build-arg").arg(format!("BUILDER_IMAGE={builder}"));
            // An image of this machine alone is nothing that BuildKit finds, and its
            // own network does not reach what this machine's does.
            build.args(["--network", "host"]).env("DOCKER_BUILDKIT", "0");
        }
        Ok(build)
    }
}

/// The commit, or `unknown` outside of a clone.
fn revision() -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(workspace::root()).args(["rev-parse", "HEAD"]).stderr(Stdio::null());
    let revision = process::output(&mut git).map(|text| text.trim().to_owned());
    process::still_wanted()?;
    Ok(revision.unwrap_or_else(|_| "unknown".to_owned()))
}
