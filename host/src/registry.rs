//! The modules that requests are served from: one immutable generation behind
//! one pointer, so that routes, tools, statements and code change together or
//! not at all. A call keeps the generation that it started with.

pub mod artifact;
mod asks;
mod catalogue;
pub mod compile;
mod declaration;
mod inspect;
mod link;
mod load;
mod manifest;
mod oci;
mod refused;
mod signature;
mod source;
mod toolbox;

use std::sync::Arc;

use arc_swap::ArcSwapOption;

pub use asks::{Asks, Difference};
pub use catalogue::{Catalogue, Named, Offer, hash};
pub use declaration::Declaration;
pub use inspect::Inspection;
pub use load::{Brokers, Loader};
pub use manifest::{Manifest, Schema, Tool};
pub use oci::{NotPulled, Trouble};
pub use refused::{Refused, Why};
pub use signature::Unsigned;
pub use source::{Source, Sources, locate, signature_of};
pub use toolbox::is_granted;

use crate::instance::Guest;

/// The immutable set of loaded modules. By default one of nothing.
#[derive(Default)]
pub struct Generation {
    /// Counts up from 1 in the life of the process.
    pub id: u64,
    /// Each module that answers HTTP with its prefix, longest prefix first.
    pub routes: Vec<(String, Arc<Guest>)>,
    /// What the modules offer beside HTTP.
    pub catalogue: Catalogue,
}

impl Generation {
    /// A generation of these modules, each with its prefix.
    ///
    /// # Errors
    /// What they offer does not go together.
    pub fn new(id: u64, modules: Vec<(String, Offer)>) -> Result<Self, Refused> {
        let mut routes: Vec<_> = modules
            .iter()
            .filter(|(_, offer)| offer.guest.exports.http.is_some())
            .map(|(prefix, offer)| (prefix.clone(), Arc::clone(&offer.guest)))
            .collect();
        routes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        check_routes(&routes)?;
        let catalogue = Catalogue::new(modules.into_iter().map(|(_, offer)| offer).collect())?;
        toolbox::check(&catalogue)?;
        Ok(Self { id, routes, catalogue })
    }

    /// Its guests, in the order of the configuration.
    pub fn guests(&self) -> impl Iterator<Item = &Arc<Guest>> {
        self.catalogue.offers().iter().map(|offer| &offer.guest)
    }

    /// The prefix that a guest answers; none when it does not speak HTTP.
    pub fn route(&self, guest: &Arc<Guest>) -> Option<&str> {
        self.routes.iter().find(|(_, other)| Arc::ptr_eq(other, guest)).map(|(prefix, _)| prefix.as_str())
    }
}

/// Whether every module that speaks HTTP has a prefix of its own.
fn check_routes(routes: &[(String, Arc<Guest>)]) -> Result<(), Refused> {
    for (at, (prefix, guest)) in routes.iter().enumerate() {
        let same = routes.iter().take(at).find(|(other, _)| other == prefix);
        if let Some((_, owner)) = same {
            let (prefix, owner) = (prefix.clone(), owner.profile.name.to_string());
            return Err(Refused { module: guest.profile.name.to_string(), why: Why::Route { prefix, owner } });
        }
    }
    Ok(())
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
    pub fn swap(&self, generation: Arc<Generation>) {
        self.current.store(Some(generation));
    }
}
