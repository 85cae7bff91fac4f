//! `cargo xtask bench`: all contenders side by side, in one run on one
//! machine. The rounds are interleaved, so that a noisy minute hurts everyone
//! alike, and every number is a median. Everything stays on 127.0.0.1.

mod chat;
mod contender;
mod link;
mod report;
mod server;
mod token;
mod workload;
mod wrk;

use crate::{
    machine,
    postgres::{self, Cluster, Durability},
    process, workspace,
};
use anyhow::{Context, Result};
use clap::builder::RangedU64ValueParser;
use contender::{Contender, Site, Stand};
use report::{Load, Report, Start};
use server::{Server, timed_start};
use std::{fs, path::PathBuf, process::ExitCode, thread, time::Duration};
use workload::{Client, Workload};

const WARM_STARTS: usize = 5;
const COLD_STARTS: usize = 3;

#[derive(Clone, clap::Args)]
pub(crate) struct Args {
    /// Rounds per workload and contender; the medians are reported
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(3..=99))]
    rounds: usize,
    /// Seconds per round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Measure for one second per round: to see that it works, not to quote
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Write the results to this file, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure only the chats
    #[arg(long, conflicts_with_all = ["no_chats", "quick"])]
    chats: bool,
    /// Leave out the chats
    #[arg(long)]
    no_chats: bool,
    /// Leave out `wasmtime serve`, which may have to be built for half an hour
    #[arg(long)]
    no_wasmtime: bool,
    /// Measure only these contenders
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Contender::ALL)]
    only: Vec<Contender>,
}

impl Args {
    /// The length of one round.
    fn round_seconds(&self) -> u64 {
        if self.quick { 1 } else { self.seconds }
    }

    fn describe(&self) -> String {
        format!(
            "medians of {} interleaved rounds of {} s, {} connections, wrk with one thread",
            self.rounds,
            self.round_seconds(),
            self.connections
        )
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let machine = machine::describe();
    wrk::ensure()?;
    let (ready, missing) = prepare(args)?;

    let cluster = Cluster::start(postgres::programs()?, Durability::Normal)?;
    let site = Site::new(&cluster)?;
    let mut report = Report::new(machine, args.describe(), missing);

    if !args.no_chats && !args.quick {
        report.chats = chat::measure(&ready, &site)?;
    }
    if args.chats {
        return finish(args, report);
    }
    let mut servers = Vec::new();
    for stand in ready.iter().flat_map(|contender| contender.stands()) {
        eprintln!("starting {}", stand.name);
        let (server, start) = start(stand, &site)?;
        servers.push(server);
        report.starts.push(start);
    }
    let client = Client::new(&site.secret)?;
    for server in servers.iter().filter(|server| server.stand.serves(Workload::List)) {
        client.seed(&server.base).with_context(|| format!("filling {}", server.stand.name))?;
    }
    for database in Contender::ALL.map(Contender::database) {
        cluster.sql(database, "VACUUM ANALYZE")?;
    }

    for workload in Workload::ALL {
        let mut rivals: Vec<&mut Server> = servers.iter_mut().filter(|server| server.stand.serves(workload)).collect();
        report.loads.extend(measure(args, workload, &mut rivals, &client, &cluster)?);
    }
    for (server, start) in servers.iter().zip(&mut report.starts) {
        start.loaded_mib = server.peak.resident;
    }
    // On a quiet machine: the others would only wait.
    drop(servers);
    report.far = measure_far(args, &ready, &site, &client, &cluster)?;
    finish(args, report)
}

/// Judges, and shows.
fn finish(args: &Args, mut report: Report) -> Result<ExitCode> {
    report.judge();
    print!("{}", report.to_markdown());
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the contenders. One that this machine cannot have is left out and
/// named; our own code failing to build is an error.
fn prepare(args: &Args) -> Result<(Vec<Contender>, Vec<String>)> {
    let mut ready = Vec::new();
    let mut missing = Vec::new();
    for contender in Contender::ALL {
        let name = contender.name();
        if !args.only.contains(&contender) {
            missing.push(format!("{name}: not asked for (--only)"));
        } else if args.no_wasmtime && contender == Contender::Wasmtime {
            missing.push(format!("{name}: left out (--no-wasmtime)"));
        } else if let Err(error) = contender.prepare() {
            process::still_wanted()?;
            if contender.is_ours() {
                return Err(error);
            }
            missing.push(format!("{name}: {error:#}"));
        } else {
            ready.push(contender);
        }
    }
    if ready.iter().any(|contender| contender.needs_guests()) {
        workspace::ensure_wasm_target()?;
        process::run(&mut workspace::build_guests())?;
    }
    Ok((ready, missing))
}

/// Times the starts of one server, and leaves it running.
fn start(stand: &'static Stand, site: &Site) -> Result<(Server, Start)> {
    let mut cold = Vec::new();
    if stand.compiles {
        for _ in 0..COLD_STARTS {
            site.forget_compiled(stand)?;
            cold.push(timed_start(stand, site, None)?.1);
        }
    } else {
        // Fills what the system caches: the first start reads from the disk.
        timed_start(stand, site, None)?;
    }
    let mut warm = Vec::new();
    for _ in 1..WARM_STARTS {
        warm.push(timed_start(stand, site, None)?.1);
    }
    let (mut server, last) = timed_start(stand, site, None)?;
    warm.push(last);
    thread::sleep(Duration::from_secs(1));
    server.note_memory()?;
    let start = Start {
        server: stand.name,
        cold_ms: (!cold.is_empty()).then(|| report::median(&cold)),
        warm_ms: report::median(&warm),
        idle_mib: server.peak.resident,
        loaded_mib: 0.0,
        size_mib: contender::size_mib(stand)?,
    };
    Ok((server, start))
}

/// One connection to each of those that use Postgres, which is a slow link away:
/// what a request waits for, in round trips.
fn measure_far(args: &Args, ready: &[Contender], site: &Site, client: &Client, cluster: &Cluster) -> Result<Vec<Load>> {
    let args = Args { connections: 1, ..args.clone() };
    let link = site.link()?;
    let mut loads = Vec::new();
    for workload in [Workload::List, Workload::Create] {
        let stands = ready.iter().flat_map(|contender| contender.stands()).filter(|stand| stand.serves(workload));
        let servers = stands.map(|stand| Ok(timed_start(stand, site, Some(link))?.0)).collect::<Result<Vec<_>>>();
        let mut servers = servers.context("starting over the slow link")?;
        let mut rivals: Vec<&mut Server> = servers.iter_mut().collect();
        loads.extend(measure(&args, workload, &mut rivals, client, cluster)?);
    }
    Ok(loads)
}

/// One workload: every rival in every round, and another one first each time.
fn measure(
    args: &Args,
    workload: Workload,
    rivals: &mut [&mut Server],
    client: &Client,
    cluster: &Cluster,
) -> Result<Vec<Load>> {
    let mut rounds = vec![Vec::new(); rivals.len()];
    for round in 0..=args.rounds {
        for turn in 0..rivals.len() {
            let index = (round + turn) % rivals.len();
            let server = &mut *rivals[index];
            let name = server.stand.name;
            client.check(&server.base, workload).with_context(|| format!("asking {name}"))?;
            // Or one contender's writes are flushed while another is measured.
            cluster.sql("postgres", "CHECKPOINT")?;
            // Round 0 only warms up.
            let seconds = if round == 0 { 1 } else { args.round_seconds() };
            let load = wrk::Load { workload, seconds, connections: args.connections };
            let sample =
                wrk::run(&load, client, server).with_context(|| format!("measuring {name}: {}", workload.name()))?;
            let wrk::Sample { requests_per_s, p50_ms, p99_ms } = &sample;
            let workload = workload.name();
            eprintln!("{workload}, round {round}, {name}: {requests_per_s:.0}/s, {p50_ms:.2} and {p99_ms:.2} ms");
            if round > 0 {
                rounds[index].push(sample);
            }
        }
    }
    let named = rivals.iter().zip(&rounds);
    Ok(named.map(|(server, rounds)| Load::new(workload, server.stand.contender, rounds)).collect())
}
