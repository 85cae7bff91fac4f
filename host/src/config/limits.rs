//! Every limit that an operator may turn, each with what breaks on either side.

use std::time::Duration;

/// What one module may use. Each is per call, but for `concurrency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleLimits {
    /// Bytes of linear memories and tables together. Too low: calls end with an
    /// allocation failure. Too high: `concurrency` times this is what the module
    /// can take from the machine.
    pub memory: usize,
    /// Time that guest code may run. Too low: honest work is cut off. Too high:
    /// one looping request holds a core for so long.
    pub cpu: Duration,
    /// Time from the guest's first instruction to the last byte of its answer.
    /// Waits for a language model are not in it: they have `llm_time`. Too low:
    /// slow databases and slow readers are cut off. Too high: a stuck call holds
    /// its instance for so long.
    pub wall: Duration,
    /// Calls at once. Too low: 503 under load. Too high: one module starves the
    /// others of instances.
    pub concurrency: u32,
    /// Calls of the host's own functions (`identity`, `sql`, `llm`); those of WASI count as
    /// CPU time. Too low: chatty guests fail. Too high: a flood
    /// of cheap calls is stopped by `cpu` only.
    pub host_calls: u32,
    /// Rows in one SQL result. Too low: long lists fail. Too high: the host
    /// holds them all in memory while the guest reads them.
    pub sql_rows: u32,
    /// Bytes of one SQL result, and of the parameters of one statement up to a
    /// quarter of it. The same trade as `sql_rows`.
    pub sql_bytes: usize,
    /// Time for one SQL call, the wait for a connection included. Too low: cold
    /// databases fail. Too high: stuck statements hold connections.
    pub sql_time: Duration,
    /// Time that one call may wait for language models, all its requests together;
    /// `wall` stands still meanwhile. Too low: long chats end early. Too high: slow
    /// models hold instances, and with them places of other callers, for so long.
    pub llm_time: Duration,
    /// Requests that one call may send by HTTP, refused ones included. Too low: guests
    /// that gather from many places fail. Too high: one call of a client is that many
    /// requests to somebody else.
    pub http_requests: u32,
    /// Bytes of the body of one such request, and of its answer. They pass through as
    /// the guest takes them, so that this bounds what is transferred and not memory.
    pub http_bytes: usize,
}

impl Default for ModuleLimits {
    fn default() -> Self {
        Self {
            memory: 32 << 20,
            cpu: Duration::from_secs(2),
            wall: Duration::from_secs(10),
            concurrency: 256,
            host_calls: 10_000,
            sql_rows: 10_000,
            sql_bytes: 4 << 20,
            sql_time: Duration::from_secs(5),
            llm_time: Duration::from_secs(300),
            http_requests: 16,
            http_bytes: 4 << 20,
        }
    }
}

/// Bytes of one body. Todos and chat messages are a few kilobytes.
pub const BODY_BYTES: usize = 1 << 20;

/// The largest `memory` a module may ask for: what one slot of the pool holds.
pub const MEMORY_CEILING: usize = 256 << 20;

/// `64KiB`, `32MiB`, `1GiB`, or plain bytes.
pub(super) fn parse_bytes(text: &str) -> Option<usize> {
    let (digits, scale) = match text.trim() {
        t if t.ends_with("GiB") => (t.trim_end_matches("GiB"), 1 << 30),
        t if t.ends_with("MiB") => (t.trim_end_matches("MiB"), 1 << 20),
        t if t.ends_with("KiB") => (t.trim_end_matches("KiB"), 1 << 10),
        t => (t, 1),
    };
    digits.trim().parse::<usize>().ok()?.checked_mul(scale).filter(|bytes| *bytes > 0)
}

/// `50ms`, `2s`, `5m`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.trim() {
        t if t.ends_with("ms") => (t.trim_end_matches("ms"), 1),
        t if t.ends_with('s') => (t.trim_end_matches('s'), 1_000),
        t if t.ends_with('m') => (t.trim_end_matches('m'), 60_000),
        _ => return None,
    };
    let millis = digits.trim().parse::<u64>().ok()?.checked_mul(unit)?;
    (millis > 0).then(|| Duration::from_millis(millis))
}
