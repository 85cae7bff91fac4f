//! Settings that the operator gave this module (`config = { … }` in
//! `innkeeper.toml`). Nothing secret belongs there: a guest reads all of it.

use crate::bindings::wasi::config::store;

/// The setting's value, or none when the operator set none.
pub fn get(key: &str) -> Option<String> {
    // The host serves settings from memory: both error cases of the interface
    // belong to remote stores, and there is nothing a guest could do in one.
    store::get(key).ok().flatten()
}
