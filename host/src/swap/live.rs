//! What is served, as who makes generations knows it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::task::AbortOnDropHandle;

use crate::config::{Location, ModuleConfig};
use crate::instance::Guest;
use crate::registry::{Offer, locate, signature_of};

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
    /// What it is in its registry, where it comes from one: the digest of its manifest.
    pub(super) manifest: Option<String>,
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

    /// How these modules are configured, as far as they are there.
    pub(super) fn configs(&self, modules: &[String]) -> Vec<ModuleConfig> {
        let these = self.modules.iter().map(|version| &version.config).filter(|config| modules.contains(&config.name));
        these.cloned().collect()
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
    file: FileStamp,
    /// Of the signature beside it, where there has to be one.
    signature: Option<FileStamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    file: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
    changed: (i64, i64),
}

impl Stamp {
    /// None: it is not there, or not a file. Asks the disk, which may take its time.
    pub(super) fn of(source: &Location, signed: bool) -> Option<Self> {
        // What a registry has is asked for when the operator says so.
        let Location::Path(path) = source else { return None };
        // A directory without exactly one is told from what it becomes.
        let path = locate(path).unwrap_or_else(|_| path.clone());
        let signature = if signed { FileStamp::of(&signature_of(&path)) } else { None };
        Some(Self { file: FileStamp::of(&path)?, signature })
    }
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
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
