//! How modules are swapped.

use super::flag;
use crate::config::limits::parse_duration;
use crate::config::raw::RawSwap;
use crate::config::{Env, Problems, Swap};

/// What a new version is judged by.
const CALLS: u32 = 100;

pub(super) fn build(raw: RawSwap, env: &Env, problems: &mut Problems) -> Swap {
    let RawSwap { watch, rollback_failures, rollback_window, generation_header } = raw;
    let default = Swap::default();
    let watch = flag(env, "INNKEEPER_WATCH", problems).or(watch).unwrap_or(default.watch);
    let header = flag(env, "INNKEEPER_GENERATION_HEADER", problems).or(generation_header);
    let rollback_failures = rollback_failures.unwrap_or(default.rollback_failures);
    if rollback_failures > CALLS {
        let what = format!("{rollback_failures} is not from 0 to {CALLS}");
        problems.push("swap.rollback_failures", what, "it counts in the last hundred calls; 0 is never");
    }
    let rollback_window = match rollback_window.as_deref() {
        None => default.rollback_window,
        Some(text) => parse_duration(text).unwrap_or_else(|| {
            problems.push("swap.rollback_window", format!("`{text}` is not a duration"), "write it as 30s or 10m");
            default.rollback_window
        }),
    };
    let generation_header = header.unwrap_or(default.generation_header);
    Swap { watch, rollback_failures, rollback_window, generation_header }
}
