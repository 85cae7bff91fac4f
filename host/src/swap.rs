//! Generations: built off the request path, published in one step, taken back.
//!
//! One candidate at a time: read, compile, link, declare and vet what has changed;
//! look whether all modules go together; then migrate, prepare and ask once. Whatever
//! fails on the way, the generation that is served stays as it is. A module that has
//! not changed, by its digest and configuration, is the same guest in both, with its
//! permits and connections.
//!
//! What a module was before its last change is kept, so that it can be taken back at
//! once: by the operator, or because its calls fail ([`Trial`](crate::instance::Trial)).

mod build;
mod live;
mod outcome;
mod publish;
mod read;
mod report;
mod smoke;
mod watch;

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use outcome::{Cause, Done, NotPublished};
pub use report::Attempt;

use self::live::Live;
use self::report::Reports;
use crate::broker::identity::Foreign;
use crate::call::notice::Changes;
use crate::config::{Config, Problems};
use crate::offers::Toolboxes;
use crate::registry::{Loader, Registry};

/// Reads the configuration again.
pub type Reread = Box<dyn Fn() -> Result<Config, Problems> + Send + Sync>;

/// What generations are made with.
pub struct Parts {
    /// What loads modules.
    pub loader: Loader,
    /// The configuration that the host was started with.
    pub config: Config,
    /// Reads it again.
    pub reread: Reread,
    /// Where generations are published.
    pub registry: Arc<Registry>,
    /// Where clients hear that lists have changed.
    pub changes: Changes,
    /// Ways to the tools of other modules.
    pub toolboxes: Toolboxes,
    /// Schemas that modules write to.
    pub foreign: Foreign,
    /// Whose tasks are waited for.
    pub tasks: TaskTracker,
    /// When the host is about to stop.
    pub stop: CancellationToken,
}

/// Makes the generations of a host.
pub struct Swapper {
    parts: Parts,
    /// Held from where modules are read until they are served, so that what was asked
    /// for first is not what is served last.
    order: Mutex<()>,
    /// Held while a candidate is built: there is never a second one. Not while modules are
    /// read: a registry may take a minute, and a way back does not wait for it.
    live: Mutex<Live>,
    reports: Reports,
    /// Rings when a new version has failed.
    alarm: Arc<Notify>,
}

impl Swapper {
    /// Nothing is loaded yet.
    pub fn new(parts: Parts) -> Self {
        let (order, live) = (Mutex::default(), Mutex::default());
        Self { parts, order, live, reports: Reports::default(), alarm: Arc::default() }
    }

    /// Loads the modules of the configuration, and publishes the first generation.
    ///
    /// # Errors
    /// A module that can never be served as it is.
    pub async fn start(&self) -> Result<Done, NotPublished> {
        let _order = self.order.lock().await;
        let started = self.build_all(&self.parts.config.modules, Cause::Start).await;
        self.noted(Cause::Start, started)
    }

    /// Reads the configuration and every module again.
    ///
    /// # Errors
    /// See [`NotPublished`].
    pub async fn reload(&self, cause: Cause) -> Result<Done, NotPublished> {
        let _order = self.order.lock().await;
        let reloaded = match (self.parts.reread)() {
            Ok(config) => {
                self.tell_of_the_rest(&config);
                self.build_all(&config.modules, cause).await
            }
            Err(problems) => Err(problems.into()),
        };
        self.noted(cause, reloaded)
    }

    /// Reads one module's file again, also when it was taken back.
    ///
    /// # Errors
    /// See [`NotPublished`].
    pub async fn renew(&self, module: &str) -> Result<Done, NotPublished> {
        let _order = self.order.lock().await;
        let configs = self.live.lock().await.configs(&[module.to_owned()]);
        if configs.is_empty() {
            return Err(NotPublished::Unknown(module.to_owned()));
        }
        let found = self.read(&configs).await;
        let live = &mut *self.live.lock().await;
        live.held.remove(module);
        let wanted = live.with(found);
        self.noted(Cause::Operator, self.build(live, wanted, Cause::Operator).await)
    }

    /// Serves a module as it was before its last change.
    ///
    /// # Errors
    /// There is no such version, or it does not fit the database any more.
    pub async fn roll_back(&self, module: &str) -> Result<Done, NotPublished> {
        let live = &mut *self.live.lock().await;
        self.noted(Cause::Operator, self.take_back(live, module, Cause::Operator).await)
    }

    /// Does something to its end, whoever waits for it, unless the host stops.
    pub fn apart<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<Option<T>> {
        self.parts.tasks.spawn(self.parts.stop.clone().run_until_cancelled_owned(work))
    }

    /// Never ends: takes new versions back that fail, and swaps modules whose files
    /// change.
    pub async fn look_after(&self) {
        tokio::join!(self.take_back_what_fails(), async {
            if self.parts.config.swap.watch {
                self.watch().await;
            }
        });
    }

    async fn take_back_what_fails(&self) {
        loop {
            self.alarm.notified().await;
            let live = &mut *self.live.lock().await;
            for module in live.failing() {
                // Said by `noted`, whatever it is.
                let _ = self.noted(Cause::Failures, self.take_back(live, &module, Cause::Failures).await);
            }
        }
    }

    /// What has changed beside the modules, and does not count yet.
    fn tell_of_the_rest(&self, config: &Config) {
        let differs = self.parts.config.differs(config);
        if !differs.is_empty() {
            let keys = differs.join("`, `");
            tracing::warn!("the modules were read again; what else has changed counts after a restart: `{keys}`");
        }
    }
}
