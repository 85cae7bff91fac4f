//! What became of candidates: for the log, for metrics and for the operator's port.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::live::Live;
use super::{Cause, Done, NotPublished, Swapper};
use crate::instance::Guest;
use crate::telemetry;

/// Something that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// When, by RFC 3339.
    pub at: String,
    /// Why it was tried.
    pub cause: &'static str,
    /// Of which version, in hexadecimal, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Attempt {
    fn now(cause: Cause, sha256: Option<&str>, why: Option<String>) -> Self {
        let at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        Self { at, cause: cause.as_str(), sha256: sha256.map(str::to_owned), why }
    }
}

/// What there is to say of one module.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Told {
    /// Where it comes from, as it is written.
    pub source: String,
    /// What it is in its registry: the digest of its manifest.
    pub manifest: Option<String>,
    /// The generation that this version was served in first.
    pub since: u64,
    /// The version that it can be taken back to, in hexadecimal.
    pub previous: Option<String>,
    /// The last version that was refused since this one is served.
    pub refused: Option<Attempt>,
    /// The last version that was taken back.
    pub rolled_back: Option<Attempt>,
}

/// A version that was replaced, and is not gone yet.
#[derive(Clone, Debug, Serialize)]
pub struct Retired {
    /// The module.
    pub name: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Calls that it is still running.
    pub running: usize,
}

#[derive(Default)]
struct Shown {
    modules: BTreeMap<String, Told>,
    /// The last candidate that was refused for what is no single module's.
    refused: Option<Attempt>,
    retired: Vec<Weak<Guest>>,
}

/// What is told of, without waiting for a candidate that is being built.
#[derive(Default)]
pub(super) struct Reports(Mutex<Shown>);

impl Reports {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        // Nothing that runs under this lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn show(&self, live: &Live) {
        let mut shown = self.lock();
        shown.modules.retain(|module, _| live.version(module).is_some());
        for version in &live.modules {
            let previous = live.previous.get(&version.config.name).map(|before| before.guest().digest.clone());
            let told = shown.modules.entry(version.config.name.clone()).or_default();
            if told.since != version.since {
                told.refused = None;
            }
            (told.since, told.previous) = (version.since, previous);
        }
        shown.refused = None;
        drop(shown);
        self.name(live);
        #[expect(clippy::cast_precision_loss, reason = "nobody swaps that often")]
        metrics::gauge!(telemetry::GENERATION).set(live.id as f64);
    }

    /// Where the modules come from now.
    pub(super) fn name(&self, live: &Live) {
        let mut shown = self.lock();
        for version in &live.modules {
            let told = shown.modules.entry(version.config.name.clone()).or_default();
            (told.source, told.manifest) = (version.config.source.to_string(), version.manifest.clone());
        }
    }

    /// A guest that is served no more; it goes with its last call, or with the version
    /// that replaces it as the one to go back to.
    pub(super) fn retire(&self, guest: &Arc<Guest>) {
        let mut shown = self.lock();
        shown.retired.retain(|guest| guest.strong_count() > 0);
        shown.retired.push(Arc::downgrade(guest));
    }

    pub(super) fn taken_back(&self, module: &str, digest: &str, cause: Cause) {
        if let Some(told) = self.lock().modules.get_mut(module) {
            told.previous = None;
            told.rolled_back = Some(Attempt::now(cause, Some(digest), None));
        }
    }

    fn refused(&self, module: Option<&str>, cause: Cause, why: &str) {
        let attempt = Attempt::now(cause, None, Some(why.to_owned()));
        let mut shown = self.lock();
        match module.and_then(|module| shown.modules.get_mut(module)) {
            Some(told) => told.refused = Some(attempt),
            None => shown.refused = Some(attempt),
        }
    }
}

impl Swapper {
    /// Says what came of a candidate: once, here.
    pub(super) fn noted(&self, cause: Cause, result: Result<Done, NotPublished>) -> Result<Done, NotPublished> {
        let outcome = match &result {
            Ok(done) if cause == Cause::Failures => {
                let modules = done.changed.join("`, `");
                tracing::error!(
                    generation.id = done.generation,
                    "`{modules}` failed too often after a swap and was taken back; generation {} is served",
                    done.generation
                );
                "rolled_back"
            }
            Ok(done) if done.changed.is_empty() && cause != Cause::Start => "unchanged",
            Ok(done) => {
                let (id, modules) = (done.generation, done.changed.join("`, `"));
                if cause != Cause::Start {
                    tracing::info!(
                        generation.id = id,
                        cause = cause.as_str(),
                        "generation {id} is served: `{modules}` swapped"
                    );
                }
                "published"
            }
            Err(refused) => {
                let (module, why) = (refused.module(), crate::fault::chain(refused));
                self.reports.refused(module, cause, why.trim_end());
                // A host that does not start says so itself.
                if cause != Cause::Start {
                    tracing::error!(
                        module.name = module,
                        cause = cause.as_str(),
                        "a swap was refused, and what was served goes on: {}",
                        why.trim_end()
                    );
                }
                "refused"
            }
        };
        metrics::counter!(telemetry::SWAPS, "cause" => cause.as_str(), "outcome" => outcome).increment(1);
        result
    }

    /// What there is to say of a module.
    pub fn told(&self, module: &str) -> Told {
        self.reports.lock().modules.get(module).cloned().unwrap_or_default()
    }

    /// The last candidate that was refused for what is no single module's.
    pub fn refused(&self) -> Option<Attempt> {
        self.reports.lock().refused.clone()
    }

    /// Versions that were replaced and are not gone yet, the one to go back to of each
    /// module among them.
    pub fn retired(&self) -> Vec<Retired> {
        let retired = self.reports.lock().retired.iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        let current = self.parts.registry.current();
        let is_served = |guest: &Arc<Guest>| {
            current.as_ref().is_some_and(|now| now.guests().any(|other| Arc::ptr_eq(other, guest)))
        };
        let told = retired.iter().filter(|guest| !is_served(guest)).map(|guest| Retired {
            name: guest.profile.name.to_string(),
            sha256: guest.digest.clone(),
            running: guest.running(),
        });
        told.collect()
    }
}
