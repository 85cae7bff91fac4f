//! Guests in Python and JavaScript, made into components by those languages' own tools.

use crate::{
    process, python,
    workspace::{self, root},
};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// The guests in Python: their folders, their worlds, and what else they read.
const PYTHON: [(&str, &str, &[&str]); 2] =
    [("expenses", "storing-plugin", &[]), ("tasks", "storing-web", &["guest/todo/sql"])];

/// Makes all of them, below this folder, where the tests look for them.
pub(super) fn build(folder: &Path) -> Result<()> {
    let began = Instant::now();
    let out = folder.join("guests");
    of_python(&folder.join("guests-python"), &folder.join("guests-python-source"), &made(&out, "python")?)?;
    of_javascript(&folder.join("guests-javascript"), &made(&out, "javascript")?)?;
    eprintln!("made the guests in Python and JavaScript in {} s", began.elapsed().as_secs());
    Ok(())
}

fn made(out: &Path, language: &str) -> Result<PathBuf> {
    let folder = out.join(language);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn of_python(environment: &Path, source: &Path, out: &Path) -> Result<()> {
    // Python leaves what it compiles beside the source.
    copy_tree(&root().join("guest/python"), source)?;
    python::environment(environment, &source.join("requirements.txt")).context("installing componentize-py")?;
    for (name, world, others) in PYTHON {
        let mut tests = Command::new(environment.join("bin/python"));
        tests.current_dir(source.join(name)).env("PYTHONPATH", source);
        process::run(tests.args(["-m", "unittest"])).with_context(|| format!("the tests of {name}"))?;
        let mut make = Command::new(environment.join("bin/componentize-py"));
        make.arg("--quiet").arg("--wit-path").arg(root().join("wit")).args(["--world", world, "componentize"]);
        for path in [source.join(name), source.into()].into_iter().chain(others.iter().map(|path| root().join(path))) {
            make.arg("--python-path").arg(path);
        }
        process::run(make.args(["app", "--output"]).arg(out.join(format!("{name}.wasm"))))
            .with_context(|| format!("making a component of {name}"))?;
    }
    Ok(())
}

fn of_javascript(copy: &Path, out: &Path) -> Result<()> {
    copy_tree(&root().join("guest/javascript"), copy)?;
    let mut npm = Command::new("npm");
    npm.current_dir(copy).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    // Half a minute and as many megabytes as it takes, when nothing has changed.
    let (lock, installed) = (copy.join("package-lock.json"), copy.join("installed.json"));
    if fs::read(&lock)? != fs::read(&installed).unwrap_or_default() {
        process::run(&mut npm).context("installing componentize-js")?;
        fs::copy(&lock, &installed)?;
    }
    let mut tests = Command::new("node");
    process::run(tests.current_dir(copy).args(["--test", "memory", "tasks"]))?;
    let mut build = Command::new("node");
    process::run(build.current_dir(copy).arg("build.mjs").arg(out).arg(root()))
        .context("making components of JavaScript")
}

/// Copies a folder without what is made in it.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir()
                && ["build", "node_modules", "__pycache__"].iter().any(|made| entry.file_name() == *made) => {}
            kind if kind.is_dir() => copy_tree(&entry.path(), &target)?,
            kind if kind.is_file() => drop(fs::copy(entry.path(), target)?),
            _ => bail!("{} is neither a file nor a folder", entry.path().display()),
        }
    }
    Ok(())
}

/// What is needed of Rust: the guest that the others are held against.
pub(super) fn of_rust() -> Result<()> {
    process::run(workspace::guest_cargo("build").args(["--release", "--package", "todo"]))
}
