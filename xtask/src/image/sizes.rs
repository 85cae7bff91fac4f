//! What takes the space in the image, and whether two images are the same.

use crate::process;
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

const MIB: f64 = 1024.0 * 1024.0;
/// Uncompressed, compressed: what the image may take.
const GOALS: (f64, f64) = (25.0, 10.0);
/// How much smaller the image is than what it was built in.
const SMALLER: f64 = 20.0;

/// The files of an image, by what they are for.
const PARTS: [(&str, &str); 6] = [
    ("app/innkeeper", "the host"),
    (".cwasm", "the guest, compiled"),
    (".wasm", "the guest"),
    (".cdx.json", "the lists of crates (CycloneDX)"),
    ("ca-certificates.crt", "certificates"),
    ("", "the rest"),
];

/// Prints the table.
pub(super) fn print(tag: &str, stage: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let archive = export(tag, folder.path())?;
    let mut parts: BTreeMap<usize, u64> = BTreeMap::new();
    for (path, size) in entries(&archive)? {
        let part = PARTS.iter().position(|(end, _)| path.ends_with(end)).context("the last one fits all")?;
        *parts.entry(part).or_default() += size;
    }
    println!("\n| part | MiB |\n|---|--:|");
    for (part, size) in &parts {
        println!("| {} | {:.2} |", PARTS[*part].1, *size as f64 / MIB);
    }
    let whole = parts.values().sum::<u64>() as f64 / MIB;
    let compressed = compressed(&archive)? as f64 / MIB;
    let stage = size(stage)? as f64 / MIB;
    println!("| **all of it** (at most {}) | {whole:.2} |", GOALS.0);
    println!("| compressed (at most {}) | {compressed:.2} |", GOALS.1);
    println!("| the stage it was built in: {:.0} times as much (at least {SMALLER}) | {stage:.0} |", stage / whole);
    Ok(())
}

/// Fails unless two images have the same files.
pub(super) fn compare(one: &str, other: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut sums = Vec::new();
    for tag in [one, other] {
        let archive = export(tag, folder.path())?;
        let mut sum = Command::new("sh");
        // Paths and contents: the archive itself also has the times of folders that
        // Docker makes.
        sum.args(["-c", "mkdir out && tar -xf \"$1\" -C out && cd out && find app etc -type f | sort | xargs sha256sum; cd .. && rm -r out", "sh"]);
        sums.push(process::output(sum.current_dir(folder.path()).arg(&archive))?);
    }
    let (one, other) = (&sums[0], &sums[1]);
    for line in one.lines() {
        println!("{}  {line}", if other.lines().any(|same| same == line) { "same " } else { "OTHER" });
    }
    if one != other {
        bail!("two builds of one commit differ");
    }
    Ok(())
}

/// The files of an image, as an archive.
fn export(tag: &str, folder: &Path) -> Result<std::path::PathBuf> {
    let archive = folder.join("image.tar");
    let id = process::output(Command::new("docker").args(["create", tag]))?;
    let id = id.trim();
    let exported = process::run(Command::new("docker").args(["export", id, "--output"]).arg(&archive));
    process::run(Command::new("docker").args(["rm", "--volumes", id]).stdout(Stdio::null()))?;
    exported.map(|()| archive)
}

/// Each file with its size, of what `tar` lists.
fn entries(archive: &Path) -> Result<Vec<(String, u64)>> {
    let mut tar = Command::new("tar");
    let list = process::output(tar.args(["--list", "--verbose", "--file"]).arg(archive))?;
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let size = words.nth(2)?.parse().ok()?;
        Some((words.nth(2)?.to_owned(), size))
    };
    list.lines().map(|line| entry(line).with_context(|| format!("tar lists `{line}`"))).collect()
}

/// As a registry keeps it.
fn compressed(archive: &Path) -> Result<u64> {
    let packed = archive.with_extension("gz");
    let file = fs::File::create(&packed)?;
    process::run(Command::new("gzip").arg("--stdout").arg(archive).stdout(file))?;
    Ok(fs::metadata(packed)?.len())
}

fn size(tag: &str) -> Result<u64> {
    let mut docker = Command::new("docker");
    let text = process::output(docker.args(["image", "inspect", "--format", "{{.Size}}", tag]))?;
    text.trim().parse().with_context(|| format!("docker says that {tag} has the size `{text}`"))
}
