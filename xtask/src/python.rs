//! Virtual environments of Python, for what only Python has.

use crate::{machine, process};
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command};

/// A virtual environment with exactly what a requirements file lists. One that is
/// there already is kept.
pub(crate) fn environment(folder: &Path, requirements: &Path) -> Result<()> {
    let installed = folder.join("installed.txt");
    let text = fs::read_to_string(requirements).with_context(|| format!("reading {}", requirements.display()))?;
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == text) {
        return Ok(());
    }
    let make = || {
        let mut python = Command::new("python3");
        process::run(python.args(["-m", "venv", "--clear"]).arg(folder))
    };
    // Debian's Python comes without the part that makes environments.
    if make().is_err() {
        machine::install_package("python3-venv", "Python cannot make a virtual environment")?;
        make()?;
    }
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    process::run(pip.stdout(std::io::stderr()))?;
    Ok(fs::write(installed, text)?)
}
