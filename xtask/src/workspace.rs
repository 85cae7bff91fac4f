//! Where things are in the repository, and how they are built.

use crate::{machine, process};
use anyhow::{Context, Result, bail};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// What guests are built for.
pub(crate) const WASM: &str = "wasm32-wasip2";

/// The guests that people run: the default one, and the plugins. All others are
/// fixtures of tests.
pub(crate) const SHIPPED: [&str; 4] = ["todo", "dates", "text", "bill"];

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The guests' workspace.
pub(crate) fn guest() -> PathBuf {
    root().join("guest")
}

/// A cargo command for the host's workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo says of this program is not said of what is built: build scripts that
    // look at it (ring's) would run again, and half of the tree with them, each time
    // after a plain `cargo build`.
    let own = env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    });
    own.for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// A cargo command for the guests' workspace. Its target directory is fixed:
/// the guests are looked for there, whatever `CARGO_TARGET_DIR` says.
pub(crate) fn guest_cargo(verb: &str) -> Command {
    let mut command = cargo();
    command.current_dir(guest()).arg(verb).arg("--target-dir").arg(guest().join("target"));
    command
}

/// Where `guest_cargo("build")` with `--release` leaves the components.
pub(crate) fn guest_components() -> PathBuf {
    guest().join("target").join(WASM).join("release")
}

/// The command that builds every guest the way they are shipped.
pub(crate) fn build_guests() -> Command {
    let mut command = guest_cargo("build");
    command.args(["--release", "--workspace"]);
    command
}

/// The host workspace's target directory, also when it was configured away.
pub(crate) fn target() -> Result<PathBuf> {
    let mut command = cargo();
    let text = process::output(command.args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let dir = metadata["target_directory"].as_str().context("cargo names no target directory")?;
    Ok(dir.into())
}

/// This machine's own target triple.
pub(crate) fn host_triple() -> Result<String> {
    let text = process::output(rustc().arg("-vV"))?;
    let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.context("rustc names no host triple")?.to_owned())
}

/// Adds the guests' target to the toolchain when it is not there yet.
pub(crate) fn ensure_wasm_target() -> Result<()> {
    if has_wasm_target()? {
        return Ok(());
    }
    if machine::find_on_path("rustup").is_none() {
        bail!(
            "the Rust target {WASM} is missing and there is no rustup to add it: \
             install rustup from https://rustup.rs, or the target with your own toolchain"
        );
    }
    eprintln!("adding the Rust target {WASM}");
    let mut rustup = Command::new("rustup");
    rustup.current_dir(root()).args(["target", "add", WASM]);
    process::run(&mut rustup).with_context(|| format!("the Rust target {WASM} is missing and rustup could not add it"))
}

fn has_wasm_target() -> Result<bool> {
    let dir = process::output(rustc().args(["--print", "target-libdir", "--target", WASM]))?;
    Ok(Path::new(dir.trim()).is_dir())
}

fn rustc() -> Command {
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(root());
    command
}
