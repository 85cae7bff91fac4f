//! What this machine has, and what may be installed on it.

use crate::process;
use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The first file called `name` on the PATH.
pub(crate) fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// PgBouncer, on the PATH or where Debian puts it; installs it where that is
/// possible.
pub(crate) fn pgbouncer() -> Result<PathBuf> {
    const DEBIAN: &str = "/usr/sbin/pgbouncer";
    let find = || find_on_path("pgbouncer").or_else(|| Some(PathBuf::from(DEBIAN)).filter(|file| file.is_file()));
    if let Some(file) = find() {
        return Ok(file);
    }
    install_package("pgbouncer", "there is no PgBouncer here")?;
    find().with_context(|| format!("there is still no {DEBIAN}"))
}

/// A registry of artifacts, and what pushes to it, on the PATH; installs them where that
/// is possible. The names of the programs are those of Debian's packages.
pub(crate) fn registry() -> Result<[PathBuf; 2]> {
    let program = |name: &str, why: &str| {
        if let Some(file) = find_on_path(name) {
            return Ok(file);
        }
        install_package(name, why)?;
        find_on_path(name).with_context(|| format!("there is still no `{name}` on the PATH"))
    };
    Ok([
        program("docker-registry", "there is no registry here")?,
        program("skopeo", "nothing here pushes to a registry")?,
    ])
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Installs a Debian package, or says in one sentence what to do instead.
pub(crate) fn install_package(package: &str, why: &str) -> Result<()> {
    if !is_root() || find_on_path("apt-get").is_none() {
        bail!("{why}: install `{package}` (on Debian: sudo apt-get install {package})");
    }
    eprintln!("{why}: installing the package `{package}`");
    if apt_get(&["install", package]).is_ok() {
        return Ok(());
    }
    apt_get(&["update"])
        .and_then(|()| apt_get(&["install", package]))
        .with_context(|| format!("{why}, and `{package}` could not be installed"))
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["--yes", "--quiet", "--no-install-recommends"]).args(args);
    process::run(command.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::io::stderr()))
}

/// One line that says what the numbers were measured on.
pub(crate) fn describe() -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| env::consts::ARCH.into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024 / 1024);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let disk = file_system(&env::temp_dir());
    format!("{cpu}, {cores} cores, {memory} GiB, Linux {}, database on {disk}, load {load} at the start", kernel.trim())
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A database on tmpfs never waits for a disk, so the reader has to know.
fn file_system(dir: &Path) -> String {
    let mut stat = Command::new("stat");
    let kind = process::output(stat.args(["--file-system", "--format=%T"]).arg(dir));
    kind.map_or_else(|_| "an unknown file system".into(), |kind| kind.trim().to_owned())
}
