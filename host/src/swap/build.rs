//! A candidate: what it takes from before, what it loads, and all that it has to pass.

use std::sync::Arc;

use super::live::{Live, Version};
use super::read::{Found, Wanted};
use super::{Cause, Done, NotPublished, Swapper, smoke};
use crate::broker::sql::{PrepareError, backend};
use crate::config::ModuleConfig;
use crate::registry::{Difference, Generation, Offer, Refused};

impl Swapper {
    /// Reads these modules, and builds and publishes a generation of them.
    pub(super) async fn build_all(&self, modules: &[ModuleConfig], cause: Cause) -> Result<Done, NotPublished> {
        let found = self.read(modules).await;
        let live = &mut *self.live.lock().await;
        self.build(live, found.into_iter().map(Wanted::Read).collect(), cause).await
    }

    /// Builds a generation of these modules, and publishes it. Nothing of `live` but
    /// what was seen of files changes when it fails.
    pub(super) async fn build(
        &self,
        live: &mut Live,
        modules: Vec<Wanted>,
        cause: Cause,
    ) -> Result<Done, NotPublished> {
        let (mut next, mut fresh) = (Vec::with_capacity(modules.len()), Vec::new());
        for wanted in modules {
            match wanted {
                Wanted::Stays(version) => next.push(version),
                Wanted::Read(found) => match self.load(live, found).await? {
                    Loaded::Known(version) => next.push(version),
                    Loaded::Fresh(version) => {
                        fresh.push(next.len());
                        next.push(version);
                    }
                },
            }
        }
        let same = |(a, b): (&Version, &Version)| Arc::ptr_eq(a.guest(), b.guest());
        if next.len() == live.modules.len() && next.iter().zip(&live.modules).all(same) {
            // A tag may have moved to another artifact with the same component in it.
            live.modules = next;
            self.reports.name(live);
            return Ok(Done { generation: live.id, changed: Vec::new() });
        }
        let generation = candidate(live, &next)?;
        // Only now: a migration cannot be taken back.
        for version in fresh.iter().filter_map(|at| next.get(*at)) {
            self.prepare(version, cause).await?;
        }
        for version in fresh.iter().filter_map(|at| next.get(*at)) {
            smoke::ask(&self.parts.toolboxes, &generation, version).await?;
        }
        Ok(self.publish(live, generation, next))
    }

    async fn load(&self, live: &mut Live, found: Found) -> Result<Loaded, NotPublished> {
        let Found { config, stamp, source } = found;
        live.seen.insert(config.name.clone(), stamp);
        let source = source?;
        let manifest = source.manifest.clone();
        if let Some(version) = live.version(&config.name) {
            let is_held = live.held.get(&config.name);
            let is_held = is_held.is_some_and(|(held, digest)| *held == config && *digest == source.digest);
            if is_held {
                return Ok(Loaded::Known(version.clone()));
            }
            if version.is_of(&config, &source.digest) {
                return Ok(Loaded::Known(Version { manifest, ..version.clone() }));
            }
        }
        self.parts.foreign.add(backend::schema_name(&config.name));
        let offer = self.parts.loader.load(&config, source).await?;
        if let Some(before) = live.version(&config.name) {
            tell_of_more(&config, &before.offer, &offer);
        }
        Ok(Loaded::Fresh(Version { config, offer, manifest, since: live.id + 1, upkeep: None }))
    }

    /// Migrates, and prepares every statement. A database that is away keeps a new
    /// version from being served, and not a host from starting.
    async fn prepare(&self, version: &Version, cause: Cause) -> Result<(), NotPublished> {
        let Some(store) = &version.guest().profile.sql else { return Ok(()) };
        let module = &version.config.name;
        match store.prepare().await {
            Ok(()) => Ok(()),
            Err(PrepareError::Unreachable(error)) if cause == Cause::Start => {
                let why = crate::fault::chain(&error);
                tracing::warn!(module.name = module, "the database of `{module}` cannot be reached, trying on: {why}");
                Ok(())
            }
            Err(source) => Err(NotPublished::Schema { module: module.clone(), source }),
        }
    }

    /// Serves a module as it was before its last change.
    pub(super) async fn take_back(&self, live: &mut Live, module: &str, cause: Cause) -> Result<Done, NotPublished> {
        let at = live.modules.iter().position(|version| version.config.name == module);
        let at = at.ok_or_else(|| NotPublished::Unknown(module.to_owned()))?;
        let before = live.previous.get(module).cloned();
        let before = before.ok_or_else(|| NotPublished::NothingBefore(module.to_owned()))?;
        if let Some(store) = &before.guest().profile.sql {
            match store.verify().await {
                // Neither version can do anything without it.
                Ok(()) | Err(PrepareError::Unreachable(_)) => {}
                Err(source) => return Err(NotPublished::Schema { module: module.to_owned(), source }),
            }
        }
        let mut next = live.modules.clone();
        let bad = std::mem::replace(&mut next[at], before);
        let generation = candidate(live, &next)?;
        let done = self.publish(live, generation, next);
        live.previous.remove(module);
        live.held.insert(module.to_owned(), (bad.config.clone(), bad.guest().digest.clone()));
        self.reports.taken_back(module, &bad.guest().digest, cause);
        Ok(done)
    }
}

/// The generation after the one that is served, if these modules go together.
fn candidate(live: &Live, modules: &[Version]) -> Result<Arc<Generation>, Refused> {
    let offers = modules.iter().map(|version| (version.config.route.clone(), version.offer.clone()));
    Generation::new(live.id + 1, offers.collect()).map(Arc::new)
}

/// A version that is allowed more than it used to ask for is told of: its grants were
/// written with another one in mind.
fn tell_of_more(config: &ModuleConfig, before: &Offer, now: &Offer) {
    let more = now.asks.since(&before.asks).into_iter().filter(Difference::is_more);
    let more: Vec<String> = more.map(|difference| difference.to_string()).collect();
    if !more.is_empty() {
        let (module, more) = (&config.name, more.join("; "));
        tracing::warn!(
            module.name = module,
            "the new version of `{module}` asks for more than the one before it, within its grants: {more}"
        );
    }
}

enum Loaded {
    Known(Version),
    Fresh(Version),
}
