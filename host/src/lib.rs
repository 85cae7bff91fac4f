//! Innkeeper hosts guests: one process serves HTTP and runs backend logic as
//! sandboxed WebAssembly components.
//!
//! The host owns every socket, secret and connection; a guest owns the logic,
//! and can do exactly what it was granted. `docs/architecture.md` walks one
//! request through the modules below; they are listed in that order, and
//! arrows point down only (`tests/it/tidy.rs` holds the table).

pub mod cli;

pub mod app;
pub mod server;

pub mod admin;
pub mod front;

pub mod mcp;
pub mod swap;

pub mod offers;

pub mod dispatch;
pub mod registry;

pub mod broker;
pub mod engine;
pub mod instance;
pub mod otlp;

pub mod bindings;
pub mod call;
pub mod config;
pub mod database;
pub mod fault;
pub mod memory;
pub mod telemetry;
pub mod tls;

/// The product's name in environment variables (`INNKEEPER_…`), metrics and
/// file names: a second spelling would be for ever.
pub const NAME: &str = "innkeeper";

/// This build, as `innkeeper --version`, `/health` and the compile cache show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
