//! The official conformance suite of the Model Context Protocol, against a host
//! whose guest offers everything that it asks for.

use crate::{
    machine,
    process::{self, Job},
};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

/// The only line of the suite that knows both requirement sets.
const SUITE: &str = "@modelcontextprotocol/conformance@0.2.0-alpha.12";
/// The oldest Node that it runs on.
const NODE: u32 = 22;
/// Each requirement set with the scenarios that are scored in it. Fewer would be a
/// suite that has left some out.
const REQUIREMENTS: [(&str, usize); 2] = [("2026-07-28", 37), ("2025-11-25", 30)];

/// Runs both requirement sets against a host, and prints the numbers.
pub(super) fn run(folder: &Path, url: &str) -> Result<()> {
    let mut failed = Vec::new();
    for (version, expected) in REQUIREMENTS {
        let text = suite(folder, url, version)?;
        let score = Score::read(&text).with_context(|| format!("the suite's summary is not one:\n{text}"))?;
        println!("{version}: {} of {expected} scored scenarios passed, {} checks", score.passed, score.checks);
        if score.passed != expected || !score.failed.is_empty() {
            failed.push(format!("{version}: {} passed of {expected}, failed: {:?}", score.passed, score.failed));
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("the conformance suite is not satisfied: {}", failed.join("; ")) }
}

/// What the suite says. It fails by its exit code, too; the summary says more.
fn suite(folder: &Path, url: &str, version: &str) -> Result<String> {
    let mut npx = Command::new("npx");
    npx.current_dir(folder).arg("--yes");
    if !has_node()? {
        npx.arg("--package=node@22");
    }
    npx.arg(format!("--package={SUITE}")).args(["conformance", "server", "--url", url, "--requirements", version]);
    npx.arg("-o").arg(folder.join(version));
    let log = folder.join(format!("{version}.log"));
    let output = File::create(&log)?;
    npx.stdout(output.try_clone()?).stderr(output);
    println!("\n==> {}", process::shown(&npx));
    Job::spawn(&mut npx)?.wait()?;
    Ok(fs::read_to_string(log)?)
}

fn has_node() -> Result<bool> {
    if machine::find_on_path("npx").is_none() {
        bail!("the conformance suite runs under Node with npx on the PATH: install it from https://nodejs.org");
    }
    let version = process::output(Command::new("node").arg("--version"))?;
    Ok(super::super::major(&version).is_some_and(|major| major >= NODE))
}

/// The scored part of a summary.
#[derive(Debug, Default, PartialEq, Eq)]
struct Score {
    passed: usize,
    checks: usize,
    failed: Vec<String>,
}

impl Score {
    /// Reads `✓ scenario: 3 passed, 0 failed` lines, and leaves out what the end of
    /// the summary calls not scored.
    fn read(text: &str) -> Option<Self> {
        let (_, summary) = text.split_once("=== SUMMARY ===")?;
        let (scenarios, rest) = summary.split_once("\nTotal:")?;
        let unscored: Vec<&str> =
            rest.lines().filter_map(|line| line.trim().strip_prefix(['✓', '✗'])?.split_whitespace().next()).collect();
        let mut score = Self::default();
        for line in scenarios.lines() {
            let Some((name, counts)) = line.trim().strip_prefix(['✓', '✗']).and_then(|line| line.split_once(": "))
            else {
                continue;
            };
            let name = name.trim();
            if unscored.contains(&name) {
                continue;
            }
            let mut numbers = counts.split(", ").filter_map(|part| part.split(' ').next()?.parse::<usize>().ok());
            let (passed, failed) = (numbers.next()?, numbers.next()?);
            score.checks += passed;
            // A scenario without a check has shown nothing.
            if failed == 0 && passed > 0 {
                score.passed += 1;
            } else {
                score.failed.push(name.to_owned());
            }
        }
        Some(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scored_scenarios_are_counted() {
        let text = "noise ✓ x: 1 passed, 0 failed\n=== SUMMARY ===\n✓ ping: 2 passed, 0 failed\n✗ tools-list: 3 passed, 1 failed\n\
                    ✓ nothing: 0 passed, 0 failed\n✗ tasks-lifecycle: 1 passed, 8 failed\n\nTotal: 6 passed, 9 failed\n\n\
                    Not scored for 2026-07-28: 1 scenario(s) run, 1 failing.\n  ✗ tasks-lifecycle (extension)\n";
        let failed = vec!["tools-list".to_owned(), "nothing".to_owned()];
        assert_eq!(Score::read(text), Some(Score { passed: 1, checks: 5, failed }));
        assert_eq!(Score::read("npm ERR!"), None);
    }
}
