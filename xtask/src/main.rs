//! The project's own verbs, behind `cargo xtask`. Each verb is one file; what
//! they share is in `workspace`, `process`, `machine` and `postgres`.
#![allow(clippy::print_stdout, reason = "a developer's tool talks on its terminal")]

mod bench;
mod check;
mod image;
mod interop;
mod machine;
mod postgres;
mod process;
mod python;
mod run;
mod test;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Build, test and measure Innkeeper
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build the todo guest and the host, then serve on port 8000
    Run(run::Args),
    /// Run every test, on SQLite and on a real Postgres
    Test(test::Args),
    /// Check formatting, lints, licences and sources
    Check,
    /// Run the real Better Auth under Node, and the conformance suite of MCP
    Interop(interop::Args),
    /// Build the container image, and prove what it promises
    Image(image::Args),
    /// Measure Innkeeper beside native code, FastAPI and `wasmtime serve`
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let verb = Cli::parse().verb;
    let outcome = process::end_children_on_signals().and_then(|()| match verb {
        Verb::Run(args) => run::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Check => check::run(),
        Verb::Interop(args) => interop::run(&args),
        Verb::Image(args) => image::run(&args),
        Verb::Bench(args) => bench::run(&args),
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
