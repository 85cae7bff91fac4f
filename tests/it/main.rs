//! Innkeeper from outside: real guests, real sockets, real databases.
//!
//! `cargo xtask test` builds the guests, provides Postgres and runs this.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a test that cannot go on says why by panicking")]

mod harness;

mod accounts;
mod chat;
mod cli;
mod database;
mod egress;
mod front;
mod guests;
mod hostile;
mod identity;
mod isolation;
mod keyvalue;
mod llm;
mod load;
mod logs;
mod mcp;
mod modules;
mod plugins;
mod registries;
mod sql;
mod stopping;
mod swap;
mod tasks;
mod tidy;
mod todo_mcp;
mod toolbox;
mod traces;
