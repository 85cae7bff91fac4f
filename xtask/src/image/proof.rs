//! The running image, proved by `tests/it/image.rs`.

use super::network::{NAME, Network};
use crate::{process, test, workspace};
use anyhow::Result;

pub(super) fn run(tag: &str) -> Result<()> {
    workspace::ensure_wasm_target()?;
    // Another guest than the image's own, to mount.
    process::run(workspace::guest_cargo("build").args(["--release", "--package", "misbehave"]))?;
    let network = Network::start(tag)?;
    let mut tests = workspace::cargo();
    tests.args(["test", "--package", "innkeeper-tests", "--test", "image", "--no-fail-fast"]);
    // One after the other: they measure, and the machine is one.
    tests.args(["--", "--test-threads=1"]);
    test::environment(&mut tests, Some(&network.url()));
    tests.env("INNKEEPER_TEST_IMAGE", tag).env("INNKEEPER_TEST_NETWORK", &network.name);
    process::run(tests.env("INNKEEPER_TEST_POSTGRES_NAME", NAME))
}
