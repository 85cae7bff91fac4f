//! `cargo xtask interop`: what others wrote, beside Innkeeper: Better Auth and a
//! model's server under Node, ChatKit's own types under Python, and the conformance
//! suite and the clients of the Model Context Protocol. And guests in languages whose
//! tools others wrote, and the tool that pushes components to registries.

mod guests;
mod mcp;
mod wkg;

use crate::{
    machine,
    postgres::{self, Cluster, Durability},
    process, python, test, workspace,
};
use anyhow::{Context, Result, bail};
use std::{fs, path::PathBuf, process::Command, process::ExitCode};

/// The oldest Node that the pinned Better Auth runs on.
const NODE: u32 = 20;
/// What is installed, and what runs it.
const FILES: [&str; 6] =
    ["package.json", "package-lock.json", "server.mjs", "read_chatkit.py", "mcp_clients.mjs", "mcp_client.py"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only what speaks the Model Context Protocol
    #[arg(long)]
    mcp: bool,
    /// Run only the guests in Python and JavaScript, and what `innkeeper new` makes
    #[arg(long, conflicts_with = "mcp")]
    guests: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    check_node()?;
    workspace::ensure_wasm_target()?;
    if args.mcp {
        mcp::run(&install()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let installed = if args.guests { folder()? } else { install()? };
    guests::build(&installed)?;
    guests::of_rust()?;
    process::run(workspace::cargo().args(["build", "--package", "innkeeper"]))?;
    // Dropped at the end of this function, whatever happens before.
    let cluster = Cluster::start(postgres::programs()?, Durability::Off)?;
    let mut tests = workspace::cargo();
    tests.args(["test", "--package", "innkeeper-tests", "--test", "interop", "--no-fail-fast"]);
    if args.guests {
        tests.args(["--", "guests::", "projects::"]);
    } else {
        let [registry, skopeo] = machine::registry()?;
        tests.env("INNKEEPER_TEST_REGISTRY", registry).env("INNKEEPER_TEST_SKOPEO", skopeo);
        tests.env("INNKEEPER_TEST_WKG", wkg::prepare()?);
    }
    test::environment(&mut tests, Some(&cluster.url("postgres")));
    process::run(tests.env("INNKEEPER_TEST_INTEROP", &installed))?;
    if !args.guests {
        mcp::run(&installed)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check_node() -> Result<()> {
    let needed = format!("`cargo xtask interop` needs Node {NODE} or newer with npm on the PATH");
    if machine::find_on_path("node").is_none() || machine::find_on_path("npm").is_none() {
        bail!("{needed}, and there is none: install it from https://nodejs.org");
    }
    let version = process::output(Command::new("node").arg("--version"))?;
    if major(&version).is_none_or(|major| major < NODE) {
        bail!("{needed}, and this is {}", version.trim());
    }
    Ok(())
}

/// The 20 of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Where everything is installed: outside the source tree.
fn folder() -> Result<PathBuf> {
    let folder = workspace::target()?.join("interop");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Installs exactly what the lock file names.
fn install() -> Result<PathBuf> {
    let folder = folder()?;
    for file in FILES {
        let from = workspace::root().join("tests/interop").join(file);
        fs::copy(&from, folder.join(file)).with_context(|| format!("copying {}", from.display()))?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]);
    process::run(&mut npm).context("installing what package.json names")?;
    python::environment(&folder.join("python"), &workspace::root().join("tests/interop/requirements.txt"))
        .context("installing what requirements.txt names")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(major("v20.11.1\n"), Some(20));
        assert_eq!(major("v8.0.0"), Some(8));
        assert_eq!(major("20.11.1"), None);
        assert_eq!(major(""), None);
    }
}
