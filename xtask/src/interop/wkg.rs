//! `wkg`, with which authors of components push them to registries.

use crate::{machine, process, workspace};
use anyhow::{Context, Result};
use std::{path::PathBuf, process::Command};

const VERSION: &str = "0.16.1";

/// One of this version: on the PATH, or built here once.
pub(super) fn prepare() -> Result<PathBuf> {
    let root = workspace::target()?.join("interop/wkg");
    let built = root.join("bin/wkg");
    let found = [machine::find_on_path("wkg"), Some(built.clone()).filter(|file| file.is_file())];
    for file in found.into_iter().flatten() {
        if process::output(Command::new(&file).arg("--version"))?.trim().ends_with(VERSION) {
            return Ok(file);
        }
    }
    eprintln!("building wkg {VERSION}, which takes some minutes, once");
    let mut cargo = workspace::cargo();
    cargo.args(["install", "wkg", "--version", VERSION, "--locked", "--debug"]);
    // Nobody debugs it here.
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").arg("--root").arg(root);
    process::run(&mut cargo).context("building wkg")?;
    Ok(built)
}
