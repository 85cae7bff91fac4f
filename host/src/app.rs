//! The composition root: from a configuration to a host that serves.

mod call;
mod listeners;
mod stdio;
mod upkeep;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use call::Wanted;
pub use listeners::Listeners;

use crate::broker::identity::{Foreign, Identity};
use crate::broker::keyvalue;
use crate::broker::llm::Llm;
use crate::broker::sql::backend;
use crate::call::notice::Changes;
use crate::config::Config;
use crate::front::{self, Front, admit::Admission};
use crate::mcp::{self, Mcp};
use crate::offers::{Toolboxes, inner_calls};
use crate::otlp::Otlp;
use crate::registry::artifact::Artifacts;
use crate::registry::compile::Compiler;
use crate::registry::{Brokers, Loader, Registry, Sources};
use crate::server::{self, Drained};
use crate::swap::{self, NotPublished, Reread, Swapper};
use crate::{admin, engine};

/// Room in the pool beyond the requests in flight: calls that are being torn
/// down, and `declare` of modules that are being loaded.
const SPARE_INSTANCES: u32 = 64;

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is not to be had.
    #[error("cannot listen on {address}: {source}; stop what listens there, or set {setting}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
        /// The variable that changes it.
        setting: &'static str,
    },
    /// The compile cache is not usable.
    #[error("cannot use the cache directory: {0}")]
    Cache(#[source] io::Error),
    /// The engine cannot be made.
    #[error("cannot reserve memory for guests: {0:#}; lower max_in_flight")]
    Engine(wasmtime::Error),
    /// Callers cannot be verified as configured.
    #[error("callers cannot be verified: {0}")]
    Identity(&'static str),
    /// Nothing can be sealed.
    #[error("{0}")]
    Random(&'static str),
    /// A client of this process alone cannot be served.
    #[error("cannot speak on standard input and output: {0}")]
    Stdio(String),
    /// Nobody can be called for.
    #[error("cannot call: {0}")]
    Call(String),
    /// Models cannot be asked as configured.
    #[error(transparent)]
    Llm(#[from] crate::broker::llm::SetupError),
    /// The way to the collector cannot be made.
    #[error("cannot make a TLS client for OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Otlp(#[from] crate::otlp::TlsError),
    /// The modules cannot be served.
    #[error(transparent)]
    Modules(#[from] NotPublished),
}

/// What a host needs of the process that it runs in.
pub struct Around {
    /// The `innkeeper` binary, which compiles modules in a process of its own.
    pub program: PathBuf,
    /// Reads the configuration again, for modules that are swapped.
    pub reread: Reread,
}

/// A host: everything that outlives a request.
pub struct App {
    config: Config,
    swapper: Arc<Swapper>,
    front: Arc<Front>,
    llm: Arc<Llm>,
    metrics: Option<PrometheusHandle>,
    otlp: Option<Otlp>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl App {
    /// Everything but the modules. Needs a runtime around it when traces are exported:
    /// the exporter sends on it.
    ///
    /// # Errors
    /// When the machine does not give what the configuration asks for.
    pub fn new(config: Config, around: Around) -> Result<Self, StartError> {
        let instances = config.max_in_flight + inner_calls(config.max_in_flight) + SPARE_INSTANCES;
        let engine = engine::build(instances).map_err(StartError::Engine)?;
        let Around { program, reread } = around;
        let compiler = Compiler::new(program, config.compile);
        let artifacts = Arc::new(Artifacts::open(&config.cache_dir, compiler).map_err(StartError::Cache)?);
        // First: what counts asks for its counter when it is made.
        let metrics = crate::telemetry::metrics();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let otlp = config.otlp.as_ref().map(|otlp| Otlp::start(otlp, &tasks)).transpose()?;
        let foreign = Foreign::default();
        // All of them before anybody is looked up.
        config.modules.iter().for_each(|module| foreign.add(backend::schema_name(&module.name)));
        let (registry, changes) = (Arc::new(Registry::default()), Changes::default());
        let admission = Admission::new(config.max_in_flight);
        let toolboxes = Toolboxes::new(config.max_in_flight);
        let parts = mcp::Parts {
            registry: Arc::clone(&registry),
            changes: changes.clone(),
            places: admission.places(),
            toolboxes: toolboxes.clone(),
            tasks: tasks.clone(),
            closing: stop.clone(),
        };
        let llm = Arc::new(Llm::new(&config.llm, &config.database.kind, &tasks)?);
        let identity = Arc::new(Identity::new(&config, foreign.clone(), &tasks).map_err(StartError::Identity)?);
        let keyvalue = Arc::new(keyvalue::Store::new(&config.database.kind).map_err(StartError::Identity)?);
        let brokers = Some(Brokers { identity: Arc::clone(&identity), llm: Arc::clone(&llm), keyvalue });
        let sources = Sources::new(config.registries.clone(), &config.cache_dir);
        let swapper = Arc::new(Swapper::new(swap::Parts {
            loader: Loader { sources, engine, artifacts, database: config.database.clone(), brokers },
            config: config.clone(),
            reread,
            registry: Arc::clone(&registry),
            changes: changes.clone(),
            toolboxes: toolboxes.clone(),
            foreign,
            tasks: tasks.clone(),
            stop: stop.clone(),
        }));
        let front = Arc::new(Front {
            identity,
            trusted_proxies: config.trusted_proxies,
            registry,
            mcp: Mcp::new(&config, parts).map_err(StartError::Random)?,
            admission,
            tracer: otlp.as_ref().map(Otlp::tracer),
            changes,
            toolboxes,
            tells_generation: config.swap.generation_header,
            draining: AtomicBool::new(false),
        });
        Ok(Self { config, swapper, front, llm, metrics, otlp, tasks, stop })
    }

    /// Loads every module and publishes them as the first generation. A database
    /// that is away does not keep a module from being served: its calls get
    /// `unavailable` until it is back.
    ///
    /// # Errors
    /// A module that can never be served as it is.
    pub async fn load(&self) -> Result<(), StartError> {
        self.front.identity.prepare_accounts().await;
        self.llm.prepare().await;
        self.swapper.start().await?;
        Ok(())
    }

    /// Serves on the configured ports until `shutdown` resolves, then drains.
    /// The modules are loaded meanwhile; until then requests get 503.
    ///
    /// # Errors
    /// When a port is taken or a module cannot be served.
    pub async fn serve(self, listeners: Listeners, shutdown: impl Future<Output = ()>) -> Result<Drained, StartError> {
        let options = server::Options { h2c: self.config.h2c };
        let service = front::service(Arc::clone(&self.front), &self.config.cors_origins);
        let public = server::run(listeners.public, service, options, self.stop.clone().cancelled_owned());
        let public = self.tasks.spawn(public);
        if let Some(listener) = listeners.admin {
            // Port 0 asks the system for a free one.
            if let Ok(address) = listener.local_addr() {
                tracing::info!("metrics and modules are at {address}");
            }
            let service = admin::service(Arc::clone(&self.front), Arc::clone(&self.swapper), self.metrics.clone());
            let options = server::Options { h2c: false };
            self.tasks.spawn(server::run(listener, service, options, self.stop.clone().cancelled_owned()));
        }
        self.keep_metrics();
        self.keep_budgets();
        tokio::pin!(shutdown);
        // The signal to stop counts from the start: modules may take their time.
        let loaded = tokio::select! {
            loaded = self.load() => Some(loaded),
            () = &mut shutdown => None,
        };
        if let Some(Ok(())) = loaded {
            self.announce();
            self.keep_modules();
            shutdown.await;
        }
        self.front.draining.store(true, Ordering::Relaxed);
        self.stop.cancel();
        let drained = public.await.unwrap_or(Drained::CutOff);
        self.front.mcp.end();
        if let Some(otlp) = self.otlp {
            otlp.stop().await;
        }
        self.tasks.close();
        self.tasks.wait().await;
        loaded.unwrap_or(Ok(())).map(|()| drained)
    }
}
