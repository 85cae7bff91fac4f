//! `cargo xtask check`: everything that can be said about the code without
//! running it. It goes on after a failure, so that one run shows all of them.

use crate::{machine, process, workspace};
use anyhow::Result;
use std::process::{Command, ExitCode};

const LINTS: [&str; 3] = ["--", "-D", "warnings"];
const DENY: [&str; 3] = ["bans", "licenses", "sources"];

pub(crate) fn run() -> Result<ExitCode> {
    workspace::ensure_wasm_target()?;
    let mut checks = vec![
        format(workspace::cargo()),
        format(in_guest(workspace::cargo())),
        lint(workspace::cargo(), &["--workspace", "--all-targets"]),
        lint(in_guest(workspace::cargo()), &["--workspace"]),
    ];
    let deny = machine::find_on_path("cargo-deny").is_some();
    if deny {
        checks.push(deny_list("Cargo.toml"));
        checks.push(deny_list("guest/Cargo.toml"));
    }

    let mut failed = 0;
    for mut check in checks {
        println!("==> {}", process::shown(&check));
        if let Err(error) = process::run(&mut check) {
            process::still_wanted()?;
            eprintln!("{error:#}");
            failed += 1;
        }
    }
    if !deny {
        println!("skipped: licences, bans and sources, for want of `cargo install cargo-deny`");
    }
    println!("{}", if failed == 0 { "all checks passed".into() } else { format!("{failed} failed") });
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_guest(mut cargo: Command) -> Command {
    cargo.current_dir(workspace::guest());
    cargo
}

fn format(mut cargo: Command) -> Command {
    cargo.args(["fmt", "--all", "--check"]);
    cargo
}

fn lint(mut cargo: Command, what: &[&str]) -> Command {
    cargo.arg("clippy").args(what).args(LINTS);
    cargo
}

/// One `deny.toml` for both workspaces.
fn deny_list(manifest: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["deny", "--manifest-path", manifest, "check", "--config"]);
    cargo.arg(workspace::root().join("deny.toml")).args(DENY);
    cargo
}
