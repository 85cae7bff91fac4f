//! What a candidate is made of. Modules are read before anything is built of them, while
//! nobody waits but who asked for it.

use super::Swapper;
use super::live::{Live, Stamp, Version};
use crate::config::ModuleConfig;
use crate::registry::{Refused, Source};

/// One module of a candidate.
pub(super) enum Wanted {
    /// As it is served.
    Stays(Version),
    /// As it was read.
    Read(Found),
}

/// A module as it was read.
pub(super) struct Found {
    pub(super) config: ModuleConfig,
    /// Its file before that: what is written meanwhile is a change.
    pub(super) stamp: Option<Stamp>,
    pub(super) source: Result<Source, Refused>,
}

impl Swapper {
    /// Reads these modules, one after the other, up to the first that is not to be had.
    pub(super) async fn read(&self, modules: &[ModuleConfig]) -> Vec<Found> {
        let mut all = Vec::with_capacity(modules.len());
        for config in modules {
            let stamp = stamp(config).await;
            let source = self.parts.loader.read(config).await;
            let is_missing = source.is_err();
            all.push(Found { config: config.clone(), stamp, source });
            if is_missing {
                break;
            }
        }
        all
    }
}

impl Live {
    /// The modules as they are served, but for those that were read. One that was taken
    /// back to another configuration meanwhile stays what it is.
    pub(super) fn with(&self, mut found: Vec<Found>) -> Vec<Wanted> {
        let modules = self.modules.iter().map(|version| {
            let at = found.iter().position(|found| found.config == version.config);
            at.map_or_else(|| Wanted::Stays(version.clone()), |at| Wanted::Read(found.swap_remove(at)))
        });
        modules.collect()
    }
}

async fn stamp(config: &ModuleConfig) -> Option<Stamp> {
    let (source, signed) = (config.source.clone(), !config.keys.is_empty());
    tokio::task::spawn_blocking(move || Stamp::of(&source, signed)).await.ok().flatten()
}
