//! What a guest says while it works: to the client of the call, and to every
//! client that listens. Nobody waits for a notice, and none is kept: what does not
//! fit into its queue is dropped.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{broadcast, mpsc};

use super::Caller;

/// Notices of one call that wait for its client. A guest runs far ahead of a
/// network; more would be progress that is old when it is read.
const WAITING: usize = 64;
/// Changes that wait for the slowest listener. Who falls behind is told that
/// everything may have changed.
const CHANGES: usize = 256;

/// Something for the client of one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// How far the call has come.
    Progress {
        /// So far.
        progress: f64,
        /// Of so much, when known.
        total: Option<f64>,
        /// In words.
        message: Option<String>,
    },
    /// A line for the client's log.
    Log {
        /// How grave, as in RFC 5424: 0 is `debug`, 7 is `emergency`.
        level: u8,
        /// Who says it.
        logger: Option<String>,
        /// What.
        data: Value,
    },
}

/// What is another thing than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The list of tools.
    Tools,
    /// The list of resources.
    Resources,
    /// The list of prompts.
    Prompts,
    /// One resource, by its address.
    Resource(Arc<str>),
}

/// Who has to hear of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// One user; none: callers without a credential.
    Caller(Option<Arc<str>>),
    /// Every client that listens.
    Everyone,
}

impl Audience {
    /// Whether this caller belongs to it.
    pub fn includes(&self, caller: Option<&Caller>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Caller(subject) => subject.as_deref() == caller.map(|caller| caller.subject.as_str()),
        }
    }
}

/// A change, and who has to hear of it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The module that says so.
    pub module: Arc<str>,
    /// What.
    pub what: Changed,
    /// To whom.
    pub audience: Audience,
}

/// The changes of this process, from guests to clients that listen.
#[derive(Clone, Debug)]
pub struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(CHANGES))
    }
}

impl Changes {
    /// For a call whose client waits for nothing but the answer.
    pub fn notices(&self) -> Notices {
        Notices { client: None, changes: Some(self.0.clone()) }
    }

    /// For a call whose client hears notices.
    pub fn heard(&self) -> (Notices, mpsc::Receiver<Notice>) {
        let (client, heard) = mpsc::channel(WAITING);
        (Notices { client: Some(client), changes: Some(self.0.clone()) }, heard)
    }

    /// Every change from now on.
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}

/// Where the notices of one call go; by default nowhere.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    client: Option<mpsc::Sender<Notice>>,
    changes: Option<broadcast::Sender<Change>>,
}

impl Notices {
    /// Whether anybody hears what is said to the client.
    pub fn are_heard(&self) -> bool {
        self.client.is_some()
    }

    /// For a call inside of this one: the client waits for another answer, and
    /// changes are changes.
    #[must_use]
    pub fn inner(&self) -> Self {
        Self { client: None, changes: self.changes.clone() }
    }

    /// Tells the client of the call.
    pub fn tell(&self, notice: Notice) {
        if let Some(client) = &self.client {
            // A full queue is a client that does not read.
            let _ = client.try_send(notice);
        }
    }

    /// Tells whoever listens.
    pub fn publish(&self, change: Change) {
        if let Some(changes) = &self.changes {
            // It fails when nobody listens.
            let _ = changes.send(change);
        }
    }
}
