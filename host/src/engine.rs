//! The one engine of the process: how guests are compiled, where their memory
//! lies, and the clock that interrupts them.
//!
//! Guests are WASI 0.2 components, one instance per request. Everything that a
//! component could use beyond that is off, because what is off cannot be
//! attacked.

mod turn;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, ModuleVersionStrategy, OptLevel, PoolingAllocationConfig,
    Strategy,
};

pub use turn::{Turn, Turns};

use crate::config::limits::MEMORY_CEILING;

/// How often the epoch moves on while calls run. Shorter: budgets are kept more exactly,
/// and an honest call waits less beside guests that loop, each of which has a core for
/// so long. Longer: fewer interruptions of honest guests.
const TICK: Duration = Duration::from_millis(2);
/// The same while none runs: what a call that begins then may have to itself. Shorter: an
/// idle host wakes up for nothing more often.
const IDLE_TICK: Duration = Duration::from_millis(5);

/// Calls that run.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A call that runs, for as long as this lives.
#[derive(Debug)]
struct Running(());

impl Running {
    /// One more.
    fn begin() -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// wasmtime and this build. An artefact of another version is another artefact:
/// wasmtime itself only compares its *major* version, and would load code that
/// was miscompiled by an older patch.
const ARTEFACT_VERSION: &str = concat!("wasmtime-48.0.8+innkeeper-", env!("CARGO_PKG_VERSION"));

/// Slots that were used and are not, up to which a module that has none of its own left
/// gets one that nobody has used yet. Fewer: of many modules that take turns, each
/// clears the others' slots away. More: every version that is swapped in leaves slots
/// behind, half a megabyte each, until all that there are have been used.
const WARM_SLOTS: u32 = 64;

/// The architecture that this host runs on. Naming it keeps Cranelift from asking
/// the processor what else it can do.
const TARGET: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

/// Makes the engine for `instances` calls at once, and starts its clock.
///
/// # Errors
/// When the machine cannot reserve the address space for the pool.
pub fn build(instances: u32) -> wasmtime::Result<Engine> {
    let engine = Engine::new(&config(instances))?;
    start_clock(&engine);
    Ok(engine)
}

/// Makes an engine that compiles for the other one, and runs nothing: where memory lies
/// does not count for what code looks like, and none is set aside.
///
/// # Errors
/// When this machine is not one that code is made for.
pub fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&code())
}

/// An engine that compiles for every machine of this architecture, and not for the
/// features of this one's processor. What it compiles, [`build`]'s engines load.
///
/// # Errors
/// When this machine is not one that code is made for.
pub fn portable() -> wasmtime::Result<Engine> {
    let mut config = code();
    config.target(TARGET)?;
    Engine::new(&config)
}

fn config(instances: u32) -> Config {
    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    config
}

/// Everything that shapes code.
fn code() -> Config {
    let mut config = Config::new();
    config
        // Winch had three memory-safety advisories in 2026 and knows no epochs.
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true)
        .epoch_interruption(true)
        // A call is a plain fibre then: no event loop and no task per host call.
        .concurrency_support(false)
        // 4 GiB of address space and a guard make bounds checks free.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        // 1.5 MiB of the fibre's stack are left for host functions.
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20)
        .async_stack_zeroing(true)
        // Traps are told by their kind, and guests are stripped: no tables for
        // unwinding and backtraces that nobody reads.
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(None);
    // The cargo features stay compiled in, see Cargo.toml; guests get none of it.
    config
        .gc_support(false)
        .wasm_exceptions(false)
        .wasm_threads(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_stack_switching(false);
    // Refused only for a version longer than 255 bytes.
    let version = ModuleVersionStrategy::Custom(ARTEFACT_VERSION.to_owned());
    config.module_version(version).expect("the version is short");
    config
}

/// Slots for `instances` calls. Every cap is set: the defaults are unlimited in
/// several places.
fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        // A component of Rust has three core modules, of JavaScript four, and of Python,
        // whose parts are linked as they are on other systems, fourteen. They are
        // counted and not set aside: fewer, and a guest in Python leaves the others none.
        .total_core_instances(instances * 16)
        // One memory each, until now, and two tables.
        .total_memories(instances * 2)
        .total_tables(instances * 2)
        .max_core_instances_per_component(64)
        .max_memories_per_component(4)
        .max_tables_per_component(32)
        .max_memory_size(MEMORY_CEILING)
        .table_elements(20_000)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        // Cleared by hand instead of being given back to the kernel: cheaper, as
        // long as it is about what a request dirties. The kernel says which pages
        // those are, where it can (Linux 6.7 and later).
        .linear_memory_keep_resident(512 << 10)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(32 << 10)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(WARM_SLOTS)
        .decommit_batch_size(32);
    pool
}

/// One thread for the life of the engine. It holds the engine weakly, so that
/// dropping the last user of the engine ends it.
fn start_clock(engine: &Engine) {
    let engine = engine.weak();
    let ticker = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            // Nothing hangs on the exact number: a tick more or less.
            let is_idle = RUNNING.load(Ordering::Relaxed) == 0;
            thread::sleep(if is_idle { IDLE_TICK } else { TICK });
        }
    };
    let spawned = thread::Builder::new().name("epoch".to_owned()).spawn(ticker);
    // Without the clock no guest could be interrupted: better no host at all.
    spawned.expect("the system can start a thread");
}
