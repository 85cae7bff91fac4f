//! What is served, as who makes generations knows it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::task::AbortOnDropHandle;

use crate::config::ModuleConfig;
use crate::instance::Guest;
use crate::registry::Offer;

/// The modules that are served, and what they were.
#[derive(Default)]
pub(super) struct Live {
    /// The generation; zero before the first.
    pub(super) id: u64,
    /// In the order of the configuration.
    pub(super) modules: Vec<Version>,
    /// What each module was before its last change: one, however often it changes.
    pub(super) previous: HashMap<String, Version>,
    /// Versions that were taken back. They are not served again by themselves.
    pub(super) held: HashMap<String, (ModuleConfig, String)>,
    /// Each module's file, when it was last read.
    pub(super) seen: HashMap<String, Option<Stamp>>,
}

/// One version of a module.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) config: ModuleConfig,
    pub(super) offer: Offer,
    /// The generation that it was served in first.
    pub(super) since: u64,
    /// What is done for it as long as it is the one that counts.
    pub(super) upkeep: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Version {
    pub(super) fn guest(&self) -> &Arc<Guest> {
        &self.offer.guest
    }

    pub(super) fn is_of(&self, config: &ModuleConfig, digest: &str) -> bool {
        self.config == *config && self.offer.guest.digest == digest
    }
}

impl Live {
    pub(super) fn version(&self, module: &str) -> Option<&Version> {
        self.modules.iter().find(|version| version.config.name == module)
    }

    pub(super) fn configs(&self) -> Vec<ModuleConfig> {
        self.modules.iter().map(|version| version.config.clone()).collect()
    }

    /// Modules whose new versions have failed.
    pub(super) fn failing(&self) -> Vec<String> {
        let failed = |version: &&Version| version.guest().trial.get().is_some_and(|trial| trial.has_failed());
        let failing = self.modules.iter().filter(failed).map(|version| version.config.name.clone());
        failing.filter(|module| self.previous.contains_key(module)).collect()
    }
}

/// What a file is told from another one by. Behind a symbolic link, or below one, it
/// is the file that counts: a volume of Kubernetes swaps all of its files by one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
    changed: (i64, i64),
}

impl Stamp {
    /// None: it is not there. Asks the disk, which may take its time.
    pub(super) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}
