//! Language models: the wire to their servers, and what guests get of it.

mod budgets;
mod grants;
mod probe;
mod secrets;
mod upstream;
mod upstream_raw;
mod upstream_script;
mod waits;
