//! How much compiling a module may take.

use std::time::Duration;

use crate::config::limits::{parse_bytes, parse_duration};
use crate::config::raw::RawCompile;
use crate::config::{Compile, Problems};

/// Less does not hold the compiler itself, and more no machine has.
const MEMORY: std::ops::RangeInclusive<usize> = 64 << 20..=64 << 30;
/// A process counts whole seconds, and nobody waits for hours.
const CPU: std::ops::RangeInclusive<u64> = 1..=3_600;

pub(super) fn build(raw: RawCompile, problems: &mut Problems) -> Compile {
    let RawCompile { memory, cpu } = raw;
    let default = Compile::default();
    let memory = memory.map(|text| (parse_bytes(&text).filter(|bytes| MEMORY.contains(bytes)), text));
    let memory = match memory {
        None => default.memory,
        Some((Some(bytes), _)) => bytes,
        Some((None, text)) => {
            let what = format!("`{text}` is not a size from 64 MiB to 64 GiB");
            problems.push("compile.memory", what, "write it as 512MiB or 2GiB");
            default.memory
        }
    };
    let whole = |time: &Duration| time.subsec_nanos() == 0 && CPU.contains(&time.as_secs());
    let cpu = match cpu.map(|text| (parse_duration(&text).filter(whole), text)) {
        None => default.cpu,
        Some((Some(time), _)) => time,
        Some((None, text)) => {
            let what = format!("`{text}` is not a number of whole seconds up to an hour");
            problems.push("compile.cpu", what, "write it as 30s or 2m");
            default.cpu
        }
    };
    Compile { memory, cpu }
}
