//! What the image is deployed by: each overlay is rendered, checked against the
//! schemas of Kubernetes, and read by what looks for weaknesses, as the Dockerfile is.

use crate::{machine, process, python, workspace};
use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The component that no overlay has: it needs definitions that not every cluster has.
const WATCHED: &str = "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../production]
components: [../../components/metrics]
";
/// A newer one, and the oldest release that the manifests are written for: `sleep` of `preStop` is on
/// by default from 1.30 on.
const RELEASES: [&str; 2] = ["1.34", "1.30"];

pub(super) fn check() -> Result<()> {
    let folder = workspace::target()?.join("manifests");
    let tools = folder.join("python");
    python::environment(&tools, &workspace::root().join("deploy/checks/requirements.txt"))?;
    let (copy, rendered) = (folder.join("deploy"), folder.join("rendered"));
    for folder in [&copy, &rendered] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    fs::create_dir_all(&rendered)?;
    // What is filled in for the checks must not be applied by mistake.
    process::run(Command::new("cp").arg("-r").arg(workspace::root().join("deploy")).arg(&copy))?;
    let watched = copy.join("overlays/production-watched");
    fs::create_dir_all(&watched)?;
    fs::write(watched.join("kustomization.yaml"), WATCHED)?;
    for overlay in overlays(&copy)? {
        let name = overlay.file_name().context("a folder has a name")?.to_string_lossy().into_owned();
        let file = rendered.join(format!("{name}.yaml"));
        fs::write(&file, render(&overlay)?)?;
        for release in RELEASES {
            let mut validate = Command::new(tools.join("bin/kubernetes-validate"));
            process::run(
                validate.args(["--strict", "--quiet", "--no-warn", "--kubernetes-version", release]).arg(&file),
            )
            .with_context(|| format!("the overlay {name} is nothing that Kubernetes {release} takes"))?;
        }
        println!("==> {name}: valid for Kubernetes {}", RELEASES.join(" and "));
    }
    let dockerfile = workspace::root().join("Dockerfile");
    weaknesses(&tools, "kubernetes", &["--directory".as_ref(), rendered.as_ref()])?;
    weaknesses(&tools, "dockerfile", &["--file".as_ref(), dockerfile.as_ref()])?;
    process::run(Command::new(tools.join("bin/hadolint")).arg(&dockerfile))?;
    println!("==> checkov and hadolint: nothing but what is explained where it is");
    Ok(())
}

/// Fails on every finding that is not explained beside it.
fn weaknesses(tools: &Path, framework: &str, what: &[&OsStr]) -> Result<()> {
    let mut checkov = Command::new(tools.join("bin/checkov"));
    // It would ask its makers' server what to advise.
    checkov.args(["--quiet", "--compact", "--skip-download", "--framework", framework]).args(what);
    process::run(&mut checkov)
}

/// The manifests of an overlay, with secrets of nobody's where it wants a file of them.
fn render(overlay: &Path) -> Result<String> {
    let example = overlay.join("secrets.env.example");
    if example.exists() {
        fs::copy(&example, overlay.join("secrets.env"))?;
    }
    let mut command = if machine::find_on_path("kustomize").is_some() {
        Command::new("kustomize")
    } else if machine::find_on_path("kubectl").is_some() {
        Command::new("kubectl")
    } else {
        bail!("neither kubectl nor kustomize is on the PATH, and one of them renders the manifests");
    };
    let verb = if command.get_program() == "kubectl" { "kustomize" } else { "build" };
    process::output(command.arg(verb).arg(overlay))
}

fn overlays(deploy: &Path) -> Result<Vec<PathBuf>> {
    let folder = deploy.join("overlays");
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
    found.sort();
    if found.is_empty() {
        bail!("no overlay is in {}", folder.display());
    }
    Ok(found)
}
