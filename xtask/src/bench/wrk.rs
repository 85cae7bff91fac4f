//! The load generator: wrk, one thread, a closed loop.

use super::{
    server::Server,
    workload::{Client, Workload},
};
use crate::{
    machine,
    process::{self, Job},
    workspace,
};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    io::read_to_string,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// How often a server's memory is looked at while it works.
const LOOK: Duration = Duration::from_millis(250);

/// What one round showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) requests_per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// The line that `bench/wrk.lua` prints; times in microseconds.
#[derive(Deserialize)]
struct Line {
    requests: f64,
    duration: f64,
    p50: f64,
    p99: f64,
    refused: u64,
    broken: u64,
}

/// Installs wrk where that is possible.
pub(crate) fn ensure() -> Result<()> {
    match machine::find_on_path("wrk") {
        Some(_) => Ok(()),
        None => machine::install_package("wrk", "the load generator wrk is missing"),
    }
}

/// What one round asks of a server.
pub(crate) struct Load {
    pub(crate) workload: Workload,
    pub(crate) seconds: u64,
    pub(crate) connections: u32,
}

/// Runs one round, and watches the server's memory meanwhile.
pub(crate) fn run(load: &Load, client: &Client, server: &mut Server) -> Result<Sample> {
    let Load { workload, seconds, connections } = load;
    let mut wrk = Command::new("wrk");
    wrk.arg("-t1").arg(format!("-c{connections}")).arg(format!("-d{seconds}s"));
    wrk.arg("--script").arg(workspace::root().join("bench/wrk.lua"));
    wrk.arg(format!("{}{}", server.base, workload.path())).args(["--", workload.method()]);
    wrk.arg(client.token(*workload)).args(workload.body().map(|body| body.to_string()));
    wrk.args(workload.headers().iter().flat_map(|(name, value)| [name, value]));

    let mut job = Job::spawn(wrk.stdout(Stdio::piped()))?;
    let stdout = job.take_stdout().context("wrk has no output")?;
    let status = loop {
        if let Some(status) = job.try_wait()? {
            break status;
        }
        server.note_memory()?;
        thread::sleep(LOOK);
    };
    process::still_wanted()?;
    let output = read_to_string(stdout)?;
    if !status.success() {
        bail!("wrk failed: {status}\n{output}");
    }
    parse(&output)
}

fn parse(output: &str) -> Result<Sample> {
    let line = output.lines().rfind(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("wrk printed no result:\n{output}"))?;
    let line: Line = serde_json::from_str(line).with_context(|| format!("reading {line}"))?;
    if line.refused + line.broken > 0 {
        bail!("{} answers were errors and {} connections broke", line.refused, line.broken);
    }
    if line.requests == 0.0 {
        bail!("not one request was answered");
    }
    Ok(Sample { requests_per_s: line.requests / (line.duration / 1e6), p50_ms: line.p50 / 1e3, p99_ms: line.p99 / 1e3 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, expect: Result<Sample, &str>) {
        let found = parse(output).map_err(|error| error.to_string());
        match (found, expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect),
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
            (found, expect) => panic!("{found:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn the_last_line_is_the_result() {
        check(
            "Running 2s test\n  Latency   1.0ms\nTransfer/sec: 2.1MB\n\
             {\"requests\":20500,\"duration\":2050000,\"p50\":1500,\"p99\":4250,\"refused\":0,\"broken\":0}\n",
            Ok(Sample { requests_per_s: 10_000.0, p50_ms: 1.5, p99_ms: 4.25 }),
        );
    }

    #[test]
    fn a_round_with_errors_is_no_measurement() {
        let line = |requests: u32, refused: u32, broken: u32| {
            format!(
                "{{\"requests\":{requests},\"duration\":1,\"p50\":1,\"p99\":1,\
                 \"refused\":{refused},\"broken\":{broken}}}"
            )
        };
        check(&line(5, 1, 0), Err("1 answers were errors"));
        check(&line(5, 0, 2), Err("2 connections broke"));
        check(&line(0, 0, 0), Err("not one request"));
        check("unable to connect", Err("no result"));
    }
}
