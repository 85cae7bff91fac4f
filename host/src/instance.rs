//! The sandbox of one call: what a store holds, and its limits.
//!
//! A store serves one call and is dropped with it, so nothing of one caller's
//! request is left for the next. It must stay cheap: it is made for every
//! request.

mod budget;
mod egress;
mod ended;
mod exports;
mod guest_log;
mod trial;
mod view;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Histogram};
use tokio::sync::Semaphore;
use wasmtime::component::{InstancePre, ResourceTable};
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::WasiHttpCtx;

pub use budget::{Budget, HostCallsUsedUp};
pub use ended::{Ended, Ending};
pub use exports::Exports;
pub use trial::Trial;

use crate::broker::http::Servers;
use crate::broker::{identity::Identity, keyvalue, llm, sql};
use crate::call::Call;
use crate::config::{ModuleLimits, ToolGrant};
use crate::engine::{Turn, Turns};
use crate::telemetry;

/// Bytes that one host call may lift out of a guest: the largest body chunk or
/// set of SQL parameters, with room. The default is 128 MiB *per store*.
const HOSTCALL_BYTES: usize = 4 << 20;
/// Resources of the host that a guest may hold: an honest request needs a dozen.
const RESOURCES: usize = 256;
/// Handles on either side of the component boundary.
const HANDLES: usize = 1_024;
/// Header fields in memory, which is more than on the wire.
const FIELD_BYTES: usize = 64 << 10;
/// Random bytes in one answer.
const RANDOM_BYTES: u64 = 64 << 10;

/// What all calls of a module share.
pub struct Profile {
    /// The module's name.
    pub name: Arc<str>,
    /// How much a call may use.
    pub limits: ModuleLimits,
    /// What `wasi:config` answers.
    pub settings: WasiConfigVariables,
    /// The SQL broker, when granted.
    pub sql: Option<Arc<sql::Store>>,
    /// The module's language models, when granted. There may still be none.
    pub llm: Option<llm::Access>,
    /// The broker of local accounts, when granted. They may still be off.
    pub identity: Option<Arc<Identity>>,
    /// Tools of other modules, when granted.
    pub toolbox: Option<Vec<ToolGrant>>,
    /// Keys and values, when granted.
    pub keyvalue: Option<Arc<keyvalue::Store>>,
    /// Servers that it may ask; there may be none.
    pub http: Arc<Servers>,
    /// On the cores, for its calls that take long.
    pub turns: Arc<Turns>,
    /// Requests that it served.
    pub served: Counter,
    /// How long they took.
    pub latency: Histogram,
}

impl Profile {
    /// A profile with its metrics.
    pub fn new(name: &str, limits: ModuleLimits, settings: WasiConfigVariables, sql: Option<Arc<sql::Store>>) -> Self {
        // Looked up here and not per request: a look-up makes and hashes a key.
        let served = metrics::counter!(telemetry::REQUESTS, "module" => name.to_owned(), "blame" => "none");
        let latency = metrics::histogram!(telemetry::LATENCY, "module" => name.to_owned());
        let http = Arc::new(Servers::none(name, &limits));
        Self {
            name: name.into(),
            limits,
            settings,
            sql,
            llm: None,
            toolbox: None,
            identity: None,
            keyvalue: None,
            http,
            turns: Arc::default(),
            served,
            latency,
        }
    }
}

/// A module that can be called: compiled, type-checked and vetted.
pub struct Guest {
    /// What its calls share.
    pub profile: Arc<Profile>,
    /// Ready to be instantiated.
    pub pre: InstancePre<State>,
    /// What can be called of it.
    pub exports: Exports,
    /// One permit per call.
    pub permits: Arc<Semaphore>,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Whether it is any good, when it has replaced another version.
    pub trial: OnceLock<Arc<Trial>>,
}

impl Guest {
    /// A guest from a component; none when it exports nothing that can be called.
    ///
    /// # Errors
    /// When it exports something that is not what this host calls.
    pub fn new(profile: Profile, pre: InstancePre<State>, digest: String) -> wasmtime::Result<Option<Self>> {
        let permits = Arc::new(Semaphore::new(profile.limits.concurrency as usize));
        let exports = Exports::find(&pre)?;
        let trial = OnceLock::new();
        Ok(exports.map(|exports| Self { pre, exports, profile: Arc::new(profile), permits, digest, trial }))
    }

    /// Calls that it is running.
    pub fn running(&self) -> usize {
        self.profile.limits.concurrency as usize - self.permits.available_permits()
    }

    /// A call has ended, in a way that is the guest's fault or not.
    pub fn judge(&self, has_failed: bool) {
        if let Some(trial) = self.trial.get() {
            trial.judge(has_failed);
        }
    }
}

/// What the store of one call holds.
pub struct State {
    /// The call.
    pub call: Arc<Call>,
    /// Its module.
    pub profile: Arc<Profile>,
    /// What is left of its limits.
    pub budget: Budget,
    /// Its place among those that run.
    pub turn: Turn,
    /// Whether it runs no more.
    pub ended: Ended,
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: view::Hooks,
    log: guest_log::GuestLog,
}

impl State {
    fn new(call: Arc<Call>, profile: Arc<Profile>) -> Self {
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELD_BYTES);
        let mut table = ResourceTable::with_capacity(16);
        table.set_max_capacity(RESOURCES);
        let log = guest_log::GuestLog::new(Arc::clone(&profile.name), Arc::clone(&call));
        // No arguments, no environment, no preopened directory, no network:
        // the builder's defaults, and nothing is added here.
        let wasi = WasiCtx::builder().max_random_size(RANDOM_BYTES).stdout(log.clone()).stderr(log.clone()).build();
        let budget = Budget::new(&profile.limits);
        let ended = Ended::default();
        let hooks = view::Hooks(egress::Egress::new(&profile, &call, &ended));
        let turn = Turn::begin(&profile.turns);
        Self { call, profile, budget, turn, ended, table, wasi, http, hooks, log }
    }

    /// Counts one call of a host function.
    ///
    /// # Errors
    /// When the module's `host_calls` are used up; that ends the call.
    pub fn host_call(&mut self) -> Result<(), HostCallsUsedUp> {
        self.budget.host_call()
    }

    /// A line for the host's log, under the same limits as what the guest prints.
    pub fn log_line(&self, text: &str) {
        self.log.line(text);
    }
}

/// A fresh store with every limit set.
pub fn store(engine: &Engine, profile: &Arc<Profile>, call: &Arc<Call>) -> Store<State> {
    let mut store = Store::new(engine, State::new(Arc::clone(call), Arc::clone(profile)));
    store.limiter(|state| &mut state.budget);
    store.set_hostcall_fuel(HOSTCALL_BYTES);
    store.set_max_component_handles(HANDLES);
    store.epoch_deadline_callback(|mut store| Ok(on_tick(store.data_mut())));
    store.set_epoch_deadline(1);
    store
}

/// A tick has passed while guest code runs, or before it did.
fn on_tick(state: &mut State) -> UpdateDeadline {
    if state.budget.run(state.turn.ran()) { state.turn.next() } else { UpdateDeadline::Interrupt }
}

/// The limits for `declare`, which reads constants and may not take long.
pub fn declare_limits() -> ModuleLimits {
    ModuleLimits { cpu: Duration::from_secs(2), wall: Duration::from_secs(5), ..ModuleLimits::default() }
}
