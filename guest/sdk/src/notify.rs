//! What a guest says while it works. Nobody answers and nothing fails: what the
//! client did not ask for goes nowhere.

use serde::Serialize;

use crate::bindings::innkeeper::backend::notify as wit;

pub use wit::{Audience, Level, Listing};

/// How far the call has come, out of `total` when that is known. What is not more
/// than the last time is dropped.
pub fn progress(done: f64, total: Option<f64>, message: Option<&str>) {
    wit::progress(done, total, message);
}

/// A line for the client's log, and for the host's. What does not serialise is no line.
pub fn log(level: Level, data: &impl Serialize) {
    if let Ok(data) = serde_json::to_string(data) {
        wit::log(level, None, &data);
    }
}

/// A list is another one than before, for the caller or for everybody.
pub fn list_changed(which: Listing, audience: Audience) {
    wit::list_changed(which, audience);
}

/// A resource is another one than before. Its address starts with a prefix that
/// this module declares.
pub fn resource_updated(uri: &str, audience: Audience) {
    wit::resource_updated(uri, audience);
}
