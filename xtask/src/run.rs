//! `cargo xtask run`: from a fresh clone to a served request.

use crate::{process, workspace};
use anyhow::{Context, Result};
use std::{env, os::unix::process::CommandExt, process::Command, process::ExitCode};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for `innkeeper serve`
    #[arg(last = true)]
    serve: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    workspace::ensure_wasm_target()?;
    let mut guests = workspace::guest_cargo("build");
    // The plugins as well, for a configuration file that names them.
    guests.arg("--release").args(workspace::SHIPPED.map(|guest| format!("--package={guest}")));
    process::run(&mut guests)?;
    process::run(workspace::cargo().args(["build", "--release", "--package", "innkeeper"]))?;

    let mut innkeeper = Command::new(workspace::target()?.join("release/innkeeper"));
    innkeeper.arg("serve").args(&args.serve);
    if env::var_os("INNKEEPER_DEV").is_none() {
        innkeeper.env("INNKEEPER_DEV", "1");
    }
    if env::var_os("INNKEEPER_MODULE").is_none() {
        innkeeper.env("INNKEEPER_MODULE", workspace::guest_components().join("todo.wasm"));
    }
    process::still_wanted()?;
    // The host takes this process's place: signals and the exit code are its own.
    Err(innkeeper.exec()).context("starting innkeeper")
}
