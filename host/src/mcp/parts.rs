//! What the endpoint is made of, and what it is told of each request.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::seal::Seal;
use crate::call::notice::Changes;
use crate::call::{Caller, Client, trace::Trace};
use crate::offers::Toolboxes;
use crate::registry::{Generation, Registry};

/// What every handler has.
pub(crate) struct Shared {
    pub(super) registry: Arc<Registry>,
    pub(super) changes: Changes,
    /// Calls at once, of the whole host.
    pub(super) places: Arc<Semaphore>,
    /// Ways to the tools of other modules.
    pub(super) toolboxes: Toolboxes,
    pub(super) seal: Arc<Seal>,
    pub(super) tasks: TaskTracker,
    /// The host is about to stop: nobody waits for anything any more.
    pub(super) closing: CancellationToken,
}

/// What the endpoint needs of the rest of the host.
pub struct Parts {
    /// What is served.
    pub registry: Arc<Registry>,
    /// What changes.
    pub changes: Changes,
    /// Calls at once, of the whole host.
    pub places: Arc<Semaphore>,
    /// Ways to the tools of other modules.
    pub toolboxes: Toolboxes,
    /// Whose tasks are waited for.
    pub tasks: TaskTracker,
    /// When the host is about to stop.
    pub closing: CancellationToken,
}

/// A request as the pipeline in front knows it.
pub struct Asked {
    /// Its id.
    pub id: Arc<str>,
    /// Who is calling.
    pub caller: Option<Caller>,
    /// Where it came from.
    pub client: Option<Client>,
    /// Where its spans belong.
    pub trace: Trace,
    /// The modules that it is served from.
    pub generation: Arc<Generation>,
}
