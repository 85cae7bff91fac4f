//! Language models: the wire to their servers, and what guests get of it.

mod upstream;
mod upstream_raw;
