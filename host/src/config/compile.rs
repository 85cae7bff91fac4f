//! How much compiling a module may take.

use std::time::Duration;

/// How much compiling a module may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compile {
    /// Bytes. Too low: large guests are refused; one with an interpreter takes about
    /// 1 GiB. Too high: a hostile one takes so much from those who answer requests.
    pub memory: usize,
    /// Time of a core, in whole seconds. The same trade.
    pub cpu: Duration,
}

impl Default for Compile {
    fn default() -> Self {
        Self { memory: 2 << 30, cpu: Duration::from_secs(60) }
    }
}
