//! The image that the image is built in: the Dockerfile's own, or, where no registry
//! can be reached, a Debian made here with what this machine has.

use crate::{machine, process, workspace};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What the build needs beside rustup: the linker, the C library as an archive, and
/// the certificates that the image gets.
const PACKAGES: &str = "gcc,libc6-dev,ca-certificates";
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where the builder keeps this machine's certificates: not among the ones that the
/// image gets.
const CARRIED: &str = "/usr/local/share/ca-of-the-builder.crt";
const CARGO_HOME: &str = "/usr/local/cargo";
const RUSTUP_HOME: &str = "/usr/local/rustup";

/// The builder to name to `docker build`; none for the Dockerfile's own.
pub(super) fn choose(named: Option<&str>) -> Result<Option<String>> {
    if let Some(named) = named {
        return Ok(Some(named.to_owned()));
    }
    if is_here(&default_image()?) || pull(&default_image()?) {
        return Ok(None);
    }
    process::still_wanted()?;
    let made = format!("innkeeper-builder:{}", fingerprint()?);
    if !is_here(&made) {
        eprintln!("no registry can be reached: making {made} with debootstrap");
        make(&made)?;
    }
    Ok(Some(made))
}

/// What the Dockerfile says.
fn default_image() -> Result<String> {
    let file = fs::read_to_string(workspace::root().join("Dockerfile")).context("reading the Dockerfile")?;
    let image = file.lines().find_map(|line| line.strip_prefix("ARG BUILDER_IMAGE="));
    Ok(image.context("the Dockerfile names no BUILDER_IMAGE")?.to_owned())
}

fn is_here(image: &str) -> bool {
    quietly(&["image", "inspect", image])
}

fn pull(image: &str) -> bool {
    quietly(&["pull", "--quiet", image])
}

fn quietly(args: &[&str]) -> bool {
    process::run(Command::new("docker").args(args).stdout(Stdio::null()).stderr(Stdio::null())).is_ok()
}

/// What the builder is made from, as a tag: another toolchain is another builder.
fn fingerprint() -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(include_str!("builder.rs"));
    hash.update(toolchain()?.display().to_string());
    hash.update(mirror()?.0);
    hash.update(fs::read(bundle()).unwrap_or_default());
    Ok(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}

fn make(tag: &str) -> Result<()> {
    if !machine::is_root() {
        bail!("only root can make one: name an image with `--builder`");
    }
    if machine::find_on_path("debootstrap").is_none() {
        machine::install_package("debootstrap", "there is no debootstrap here")?;
    }
    let folder = tempfile::Builder::new().prefix("innkeeper-builder-").tempdir()?;
    let root = folder.path().join("root");
    let (mirror, release) = mirror()?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), &release]).arg(&root).arg(&mirror);
    process::run(debootstrap.stdout(Stdio::null()))?;
    for cache in ["var/cache/apt", "var/lib/apt/lists"] {
        fs::remove_dir_all(root.join(cache)).with_context(|| format!("removing {cache}"))?;
    }
    carry_rust(&root)?;
    fs::copy(bundle(), below(&root, CARRIED)?).context("copying the certificates of this machine")?;
    import(&root, tag)
}

/// This machine's toolchain, without its documentation, and rustup for the rest.
fn carry_rust(root: &Path) -> Result<()> {
    let from = toolchain()?;
    // Its folder may have another name: `stable` may be the one that is asked for.
    let active =
        process::output(Command::new("rustup").current_dir(workspace::root()).args(["show", "active-toolchain"]))?;
    let name = active.split_whitespace().next().context("rustup names no toolchain")?;
    let to = root.join(RUSTUP_HOME.trim_start_matches('/')).join("toolchains");
    fs::create_dir_all(&to)?;
    let mut copy = Command::new("cp");
    process::run(copy.args(["--recursive", "--dereference"]).arg(&from).arg(to.join(name)))?;
    fs::remove_dir_all(to.join(name).join("share/doc")).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let rustup = machine::find_on_path("rustup").context("there is no rustup on the PATH")?;
    let rustup = rustup.canonicalize().context("following rustup")?;
    for program in ["rustup", "cargo", "rustc"] {
        let to = below(root, &format!("{CARGO_HOME}/bin/{program}"))?;
        fs::copy(&rustup, to).with_context(|| format!("copying rustup as {program}"))?;
    }
    Ok(())
}

/// The folder of the toolchain that builds this.
fn toolchain() -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    let folder = process::output(rustc.current_dir(workspace::root()).args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(folder.trim()))
}

/// Where this machine's packages come from, and of which release they are.
fn mirror() -> Result<(String, String)> {
    let release = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    let release = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let release = release.context("/etc/os-release names no release")?.trim_matches('"').to_owned();
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"]);
    let mirrors = process::output(apt.arg(format!("Codename: {release}"))).context("asking apt for its mirror")?;
    process::still_wanted()?;
    let mirror = mirrors.lines().next().context("apt has no mirror of this release: run `apt-get update`")?;
    Ok((mirror.to_owned(), release))
}

/// The certificates that this machine's programs trust.
fn bundle() -> PathBuf {
    env::var_os("SSL_CERT_FILE").map_or_else(|| BUNDLE.into(), PathBuf::from)
}

fn import(root: &Path, tag: &str) -> Result<()> {
    let settings = format!(
        "ENV PATH={CARGO_HOME}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
         RUSTUP_HOME={RUSTUP_HOME} CARGO_HOME={CARGO_HOME} SSL_CERT_FILE={CARRIED} CARGO_HTTP_CAINFO={CARRIED}"
    );
    let archive = root.with_extension("tar");
    process::run(
        Command::new("tar").arg("--create").arg("--file").arg(&archive).arg("--directory").arg(root).arg("."),
    )?;
    let mut import = Command::new("docker");
    import.args(["import", "--change", &settings]).arg(&archive).arg(tag);
    process::run(import.stdout(Stdio::null()))
}

/// A path below `root`, with the folders that lead there.
fn below(root: &Path, path: &str) -> Result<PathBuf> {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    Ok(path)
}
