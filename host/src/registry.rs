//! The modules that requests are served from: one immutable generation behind
//! one pointer, so that routes, tools, statements and code change together or
//! not at all. A call keeps the generation that it started with.

pub mod artifact;
mod declaration;
mod link;
mod load;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub use declaration::Declaration;
pub use load::{Inspection, Refused, Shared, inspect, load};

use crate::instance::Guest;

/// The immutable set of loaded modules.
pub struct Generation {
    /// Counts up from 1 in the life of the process.
    pub id: u64,
    /// Each module with its prefix, longest prefix first.
    pub routes: Vec<(String, Arc<Guest>)>,
}

impl Generation {
    /// A generation of these modules.
    pub fn new(id: u64, mut routes: Vec<(String, Arc<Guest>)>) -> Self {
        routes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Self { id, routes }
    }

    /// Its guests.
    pub fn guests(&self) -> impl Iterator<Item = &Arc<Guest>> {
        self.routes.iter().map(|(_, guest)| guest)
    }
}

/// The current generation; none while the first one is being loaded.
#[derive(Default)]
pub struct Registry {
    current: ArcSwapOption<Generation>,
}

impl Registry {
    /// What requests are served from now.
    pub fn current(&self) -> Option<Arc<Generation>> {
        self.current.load_full()
    }

    /// Serves from another generation from now on. Calls in flight keep theirs.
    pub fn swap(&self, generation: Generation) {
        self.current.store(Some(Arc::new(generation)));
    }
}
