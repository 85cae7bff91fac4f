//! The Model Context Protocol, spoken by hand: every byte of a request is a test's.

mod authorization;
pub mod client;
mod guests;
mod ladder;
mod legacy;
mod load;
mod replicas;
mod rest;
mod rounds;
mod stdio;
mod streams;

use crate::harness::{Setup, TestHost, module};

/// The guest with everything in it.
async fn conformance() -> TestHost {
    Setup::guest("conformance").start().await
}

/// The guest that misbehaves.
async fn probe() -> TestHost {
    Setup::modules(&module("probe", "probe", "")).start().await
}
