//! `cargo xtask test`: every test there is, with a real Postgres. It goes on
//! after a failure, and names what it had to leave out.

mod summary;

use crate::{
    machine,
    postgres::{self, Cluster, Durability},
    process::{self, Job},
    workspace,
};
use anyhow::{Context, Result};
use std::{
    env, io,
    io::{BufRead, BufReader, Write},
    process::{Command, ExitCode, Stdio},
};
use summary::{Part, Summary};

const DATABASE_URL: &str = "INNKEEPER_TEST_DATABASE_URL";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the tests whose name contains this
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    workspace::ensure_wasm_target()?;
    let mut summary = Summary::default();
    summary.add("build of the guests", build()?);

    // Dropped at the end of this function, whatever happens before.
    let (_cluster, url) = match database() {
        Ok((cluster, url)) => (cluster, Some(url)),
        Err(reason) => {
            process::still_wanted()?;
            summary.skip(&format!("everything on Postgres: {reason:#}; or set {DATABASE_URL}"));
            (None, None)
        }
    };
    let bouncer = machine::pgbouncer().map_err(|reason| {
        summary.skip(&format!("everything through PgBouncer: {reason:#}"));
    });
    process::still_wanted()?;
    let registry = machine::registry().map_err(|reason| {
        summary.skip(&format!("modules from a registry: {reason:#}"));
    });
    process::still_wanted()?;
    for (name, mut command) in parts()? {
        if let Some(filter) = &args.filter {
            command.args(["--", filter]);
        }
        environment(&mut command, url.as_deref());
        if let Ok(file) = &bouncer {
            command.env("INNKEEPER_TEST_PGBOUNCER", file);
        }
        if let Ok([registry, skopeo]) = &registry {
            command.env("INNKEEPER_TEST_REGISTRY", registry).env("INNKEEPER_TEST_SKOPEO", skopeo);
        }
        summary.add(name, stream(&mut command)?);
    }

    let ci = env::var("CI").is_ok_and(|value| value == "true");
    print!("{}", summary.report(ci));
    Ok(if summary.is_good(ci) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is tested, the quickest to fail first.
fn parts() -> Result<[(&'static str, Command); 4]> {
    let mut guests = workspace::guest_cargo("test");
    guests.args(["--target", &workspace::host_triple()?]);
    // Those whose logic has unit tests that run without a host, and their SDK.
    guests.args(workspace::SHIPPED.iter().chain(&["innkeeper-guest"]).map(|guest| format!("--package={guest}")));
    // What the SDK's documentation shows needs a host.
    guests.args(["--lib", "--bins"]);
    Ok([
        ("unit tests of the guests", guests),
        ("unit tests of the host", cargo_test("innkeeper")),
        ("unit tests of xtask", cargo_test("xtask")),
        ("integration tests", cargo_test("innkeeper-tests")),
    ]
    .map(|(name, mut command)| {
        command.arg("--no-fail-fast");
        (name, command)
    }))
}

fn cargo_test(package: &str) -> Command {
    let mut command = workspace::cargo();
    command.args(["test", "--package", package]);
    command
}

/// The guests, and the binary that some integration tests run: a test target
/// does not build the binary of another package.
fn build() -> Result<Part> {
    let mut host = workspace::cargo();
    host.args(["build", "--package", "innkeeper"]);
    let built = process::run(&mut workspace::build_guests()).and_then(|()| process::run(&mut host));
    process::still_wanted()?;
    Ok(built.map_or_else(
        |error| {
            eprintln!("{error:#}");
            Part { broken: true, ..Part::default() }
        },
        |()| Part::default(),
    ))
}

/// The database that the environment names, or a private cluster.
fn database() -> Result<(Option<Cluster>, String)> {
    match env::var(DATABASE_URL) {
        Ok(url) if !url.is_empty() => Ok((None, url)),
        _ => {
            let cluster = Cluster::start(postgres::programs()?, Durability::Off)?;
            let url = cluster.url("postgres");
            Ok((Some(cluster), url))
        }
    }
}

/// What the integration tests have to know.
pub(crate) fn environment(command: &mut Command, url: Option<&str>) {
    command.env("INNKEEPER_TEST_GUESTS", workspace::guest_components());
    match url {
        Some(url) => command.env(DATABASE_URL, url),
        None => command.env_remove(DATABASE_URL),
    };
    if let Some(dir) = postgres::find_programs() {
        command.env("INNKEEPER_TEST_PG_BIN", dir);
    }
}

/// Runs one part, passes its output on line by line and counts in it.
fn stream(command: &mut Command) -> Result<Part> {
    println!("\n==> {}", process::shown(command));
    let mut job = Job::spawn(command.stdout(Stdio::piped()))?;
    let mut output = BufReader::new(job.take_stdout().context("no output to read")?);
    let mut part = Part::default();
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        part.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    part.broken = !job.wait()?.success() && part.failed == 0;
    Ok(part)
}
