//! Clients that listen for changes: on a stream of their own in the newer
//! protocol, through their session in the older.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{LoggingLevel, ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{SubscriptionContext, SubscriptionSink};
use rmcp::{Peer, RoleServer};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::context::gravity;
use crate::call::notice::{Change, Changed};
use crate::mcp::Shared;
use crate::mcp::asker::Asker;
use crate::registry::Catalogue;

/// Resources that one client hears of.
const SUBSCRIPTIONS: usize = 256;

/// What of a wish can be granted.
pub(super) fn accepted(catalogue: &Catalogue, requested: &SubscriptionFilter) -> SubscriptionFilter {
    let mut accepted = requested.clone();
    accepted.resource_subscriptions = requested
        .resource_subscriptions
        .as_ref()
        .map(|uris| uris.iter().filter(|uri| catalogue.owner(uri).is_some()).take(SUBSCRIPTIONS).cloned().collect());
    accepted
}

/// Tells a client of changes until it leaves or the host stops.
pub(super) async fn listen(shared: &Shared, asker: &Asker, subscription: &SubscriptionContext) {
    let mut changes = asker.take_changes().unwrap_or_else(|| shared.changes.listen());
    let sink = subscription.sink();
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = subscription.cancelled() => return,
            () = shared.closing.cancelled() => return,
        };
        match change {
            Ok(change) if concerns(&change, asker) => send(sink, &change.what).await,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => everything(sink).await,
            Err(RecvError::Closed) => return,
        }
    }
}

/// Whether a change is for this caller, and the module's to tell.
fn concerns(change: &Change, asker: &Asker) -> bool {
    let own = match &change.what {
        Changed::Resource(uri) => {
            asker.generation.catalogue.owner(uri).is_some_and(|owner| owner.guest.profile.name == change.module)
        }
        _ => true,
    };
    own && change.audience.includes(asker.caller.as_ref())
}

async fn send(sink: &SubscriptionSink, what: &Changed) {
    // What was not asked for is refused by the sink, and what cannot be sent any
    // more is a client that has left: neither is a failure.
    let _ = match what {
        Changed::Tools => sink.notify_tool_list_changed().await,
        Changed::Resources => sink.notify_resource_list_changed().await,
        Changed::Prompts => sink.notify_prompt_list_changed().await,
        Changed::Resource(uri) => sink.notify_resource_updated(&**uri).await,
    };
}

/// Some changes were missed: all of it may be another thing.
async fn everything(sink: &SubscriptionSink) {
    for what in [Changed::Tools, Changed::Resources, Changed::Prompts] {
        send(sink, &what).await;
    }
    for uri in sink.accepted().resource_subscriptions.iter().flatten() {
        send(sink, &Changed::Resource(uri.as_str().into())).await;
    }
}

/// What a session of the older protocol remembers.
pub(super) struct Session {
    level: AtomicU8,
    uris: Arc<Mutex<BTreeSet<String>>>,
    hearing: Mutex<Option<DropGuard>>,
}

impl Default for Session {
    fn default() -> Self {
        // Nobody has said what to hear: what a person would read.
        let level = AtomicU8::new(gravity(LoggingLevel::Info));
        Self { level, uris: Arc::default(), hearing: Mutex::default() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(super) fn level(&self) -> u8 {
        self.level.load(Ordering::Relaxed)
    }

    pub(super) fn set_level(&self, level: LoggingLevel) {
        self.level.store(gravity(level), Ordering::Relaxed);
    }

    /// # Errors
    /// It has as many as it may have.
    pub(super) fn subscribe(&self, uri: String) -> Result<(), ()> {
        let mut uris = lock(&self.uris);
        if uris.len() >= SUBSCRIPTIONS && !uris.contains(&uri) {
            return Err(());
        }
        uris.insert(uri);
        Ok(())
    }

    pub(super) fn unsubscribe(&self, uri: &str) {
        lock(&self.uris).remove(uri);
    }

    /// Tells the client of changes from now on, until the session ends.
    pub(super) fn hear(&self, shared: &Arc<Shared>, asker: &Asker, peer: Peer<RoleServer>) {
        let ended = CancellationToken::new();
        *lock(&self.hearing) = Some(ended.clone().drop_guard());
        let (uris, asker, mut changes) = (Arc::clone(&self.uris), asker.clone(), shared.changes.listen());
        let hearing = async move {
            loop {
                match changes.recv().await {
                    Ok(change) if concerns(&change, &asker) => tell(&peer, &uris, &change.what).await,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => tell_everything(&peer, &uris).await,
                    Err(RecvError::Closed) => return,
                }
            }
        };
        shared.tasks.spawn(async move {
            // The session's end is all that the token says.
            let _ = ended.run_until_cancelled(hearing).await;
        });
    }
}

async fn tell(peer: &Peer<RoleServer>, uris: &Mutex<BTreeSet<String>>, what: &Changed) {
    // A client that has left hears nothing.
    let _ = match what {
        Changed::Tools => peer.notify_tool_list_changed().await,
        Changed::Resources => peer.notify_resource_list_changed().await,
        Changed::Prompts => peer.notify_prompt_list_changed().await,
        Changed::Resource(uri) => {
            let subscribed = lock(uris).contains(&**uri);
            if !subscribed {
                return;
            }
            peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(&**uri)).await
        }
    };
}

async fn tell_everything(peer: &Peer<RoleServer>, uris: &Mutex<BTreeSet<String>>) {
    for what in [Changed::Tools, Changed::Resources, Changed::Prompts] {
        tell(peer, uris, &what).await;
    }
    let all: Vec<String> = lock(uris).iter().cloned().collect();
    for uri in all {
        tell(peer, uris, &Changed::Resource(uri.into())).await;
    }
}
