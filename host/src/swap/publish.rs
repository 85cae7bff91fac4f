//! From a candidate to what is served: one store of one pointer. Everything else here
//! is for what comes before and after it.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::live::{Live, Version};
use super::{Done, Swapper};
use crate::broker::sql::watcher;
use crate::call::notice::{Audience, Change, Changed};
use crate::instance::{Guest, Trial};
use crate::memory;
use crate::registry::{Catalogue, Generation};

/// How often it is seen whether a version that was replaced has come to rest.
const REST: Duration = Duration::from_secs(1);

impl Swapper {
    pub(super) fn publish(&self, live: &mut Live, generation: Arc<Generation>, mut next: Vec<Version>) -> Done {
        let before = std::mem::take(&mut live.modules);
        let swap = &self.parts.config.swap;
        let mut changed = Vec::new();
        for version in &mut next {
            let same = |old: &&Version| Arc::ptr_eq(old.guest(), version.guest());
            if before.iter().any(|old| same(&old)) {
                continue;
            }
            changed.push(version.config.name.clone());
            version.upkeep = self.look_after_database(version);
            let replaces = before.iter().any(|old| old.config.name == version.config.name);
            if replaces && swap.rollback_failures > 0 {
                let (sql, alarm) = (version.guest().profile.sql.clone(), Arc::clone(&self.alarm));
                let trial = Trial::new(swap.rollback_window, swap.rollback_failures, sql, alarm);
                // One that was taken back had its trial, and is the best that there is.
                let _ = version.guest().trial.set(Arc::new(trial));
            }
        }
        let old = self.parts.registry.current();
        self.parts.registry.swap(Arc::clone(&generation));
        self.tell_clients(old.as_deref().map(|old| &old.catalogue), &generation.catalogue);
        live.id = generation.id;
        live.modules = next;
        self.put_away(live, before);
        self.reports.show(live);
        memory::give_back();
        Done { generation: generation.id, changed }
    }

    /// Keeps what was replaced, in the place of what it had replaced itself.
    fn put_away(&self, live: &mut Live, before: Vec<Version>) {
        let names: HashSet<&str> = live.modules.iter().map(|version| version.config.name.as_str()).collect();
        live.previous.retain(|module, _| names.contains(module.as_str()));
        live.held.retain(|module, _| names.contains(module.as_str()));
        live.seen.retain(|module, _| names.contains(module.as_str()));
        for mut old in before {
            let now = live.version(&old.config.name).map(|version| Arc::clone(version.guest()));
            if now.as_ref().is_some_and(|now| Arc::ptr_eq(now, old.guest())) {
                continue;
            }
            self.reports.retire(old.guest());
            if now.is_some() {
                old.upkeep = old.guest().profile.sql.is_some().then(|| self.bring_to_rest(old.guest()));
                live.previous.insert(old.config.name.clone(), old);
            }
        }
    }

    /// Looks after a module's database for as long as the version counts.
    fn look_after_database(&self, version: &Version) -> Option<Arc<AbortOnDropHandle<()>>> {
        let (store, module) = (Arc::clone(version.guest().profile.sql.as_ref()?), version.config.name.clone());
        Some(self.keep(async move { watcher::look_after(&module, &store).await }))
    }

    /// What is kept for a way back needs no connections. Calls may still use some.
    fn bring_to_rest(&self, guest: &Arc<Guest>) -> Arc<AbortOnDropHandle<()>> {
        let guest: Weak<Guest> = Arc::downgrade(guest);
        self.keep(async move {
            loop {
                tokio::time::sleep(REST).await;
                let Some(guest) = guest.upgrade() else { return };
                if let Some(sql) = &guest.profile.sql {
                    sql.rest();
                }
                if guest.running() == 0 {
                    return;
                }
            }
        })
    }

    /// Done until the host stops, or the handle goes.
    fn keep(&self, work: impl Future<Output = ()> + Send + 'static) -> Arc<AbortOnDropHandle<()>> {
        let stop = self.parts.stop.clone();
        let task = self.parts.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(work).await;
        });
        Arc::new(AbortOnDropHandle::new(task))
    }

    /// Clients that listen hear of lists that are other ones now.
    fn tell_clients(&self, old: Option<&Catalogue>, new: &Catalogue) {
        let Some(old) = old else { return };
        let kinds: [(Changed, &[&str]); 3] = [
            (Changed::Tools, &["tools"]),
            (Changed::Prompts, &["prompts"]),
            (Changed::Resources, &["prefixes", "templates"]),
        ];
        let notices = self.parts.changes.notices();
        for (what, parts) in kinds {
            if listed(old, parts) != listed(new, parts) {
                notices.publish(Change { module: crate::NAME.into(), what, audience: Audience::Everyone });
            }
        }
    }
}

/// What clients see of some parts of a catalogue.
fn listed(catalogue: &Catalogue, parts: &[&str]) -> Vec<Value> {
    let offers = catalogue.offers().iter();
    let seen = offers.map(|offer| {
        let described = offer.manifest.describe();
        let parts: Vec<&Value> = parts.iter().map(|part| &described[part]).collect();
        let is_empty = parts.iter().all(|part| part.as_array().is_none_or(Vec::is_empty));
        (!is_empty).then(|| json!([*offer.guest.profile.name, parts]))
    });
    seen.flatten().collect()
}
