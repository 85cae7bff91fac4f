//! Modules whose files change.
//!
//! The files are looked at, twice a second, and the kernel is not asked to tell: it
//! tells nothing of what changes on another machine's disk or on the other side of a
//! mount (NFS, the volumes of Minikube and of desktops), and of a link that is swapped
//! above a file (ConfigMaps) only to who watches every folder on the way. A look is
//! one system call per module.

use std::collections::HashMap;
use std::time::Duration;

use super::live::{Stamp, Version};
use super::{Cause, Swapper};
use crate::config::Location;

/// Between two looks. What is the same in two of them is taken for whole, so that a
/// file in the middle of being copied is not, nor others beside it until it is. Shorter:
/// slow writers are met half-way.
const LOOK: Duration = Duration::from_millis(500);
/// After a failure that may pass by itself, such as a database that is away.
const AGAIN: Duration = Duration::from_secs(5);

/// Files that have changed, and as what.
type Found = HashMap<String, Option<Stamp>>;

impl Swapper {
    /// Never ends.
    pub(super) async fn watch(&self) {
        let mut settling = Found::new();
        loop {
            tokio::time::sleep(LOOK).await;
            let found = self.changed_files().await;
            // All of them: what was written in one step is served in one.
            let is_whole = found == settling;
            settling = found;
            let modules: Vec<String> = settling.keys().cloned().collect();
            if is_whole && !modules.is_empty() && !self.swap_files(&modules).await {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    async fn changed_files(&self) -> Found {
        let live = self.live.lock().await;
        let files = live
            .modules
            .iter()
            .map(|Version { config, .. }| (config.name.clone(), config.source.clone(), !config.keys.is_empty()));
        let (files, seen): (Vec<(String, Location, bool)>, _) = (files.collect(), live.seen.clone());
        drop(live);
        // A disk may take its time.
        let stamps = tokio::task::spawn_blocking(move || {
            let stamped = files.into_iter().map(|(module, source, signed)| (module, Stamp::of(&source, signed)));
            stamped.filter(|(module, stamp)| seen.get(module) != Some(stamp)).collect()
        });
        stamps.await.unwrap_or_default()
    }

    /// False when it has to be tried again.
    async fn swap_files(&self, modules: &[String]) -> bool {
        let _order = self.order.lock().await;
        let configs = self.live.lock().await.configs(modules);
        let found = self.read(&configs).await;
        let live = &mut *self.live.lock().await;
        let wanted = live.with(found);
        let built = self.build(live, wanted, Cause::File).await;
        let has_to_wait = built.as_ref().is_err_and(super::NotPublished::may_pass);
        if has_to_wait {
            live.seen.retain(|module, _| !modules.contains(module));
        }
        // Said by `noted`, whatever it is.
        let _ = self.noted(Cause::File, built);
        !has_to_wait
    }
}
