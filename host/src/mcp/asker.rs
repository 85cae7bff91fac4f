//! Who asks, on the way through the protocol's library to a call.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::sync::broadcast::Receiver;

use super::streams::Room;
use crate::call::notice::Change;
use crate::call::{Caller, Client, trace::Trace};
use crate::registry::Generation;

/// One request, as the pipeline in front knows it.
#[derive(Clone)]
pub(super) struct Asker(Arc<Asking>);

/// What is known.
pub(super) struct Asking {
    /// The request's id.
    pub(super) id: Arc<str>,
    /// Who is calling; none without a credential.
    pub(super) caller: Option<Caller>,
    /// Where the request came from.
    pub(super) client: Option<Client>,
    /// Where its spans belong.
    pub(super) trace: Trace,
    /// The modules that it is served from.
    pub(super) generation: Arc<Generation>,
    /// What its answer takes up.
    pub(super) room: Arc<Room>,
    /// Changes since the request came, when it wants to hear of them.
    pub(super) changes: Mutex<Option<Receiver<Change>>>,
}

impl Asker {
    pub(super) fn new(asking: Asking) -> Self {
        Self(Arc::new(asking))
    }

    /// Who asked what this context is about. The library carries it along.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Option<&Self> {
        context.extensions.get::<http::request::Parts>()?.extensions.get()
    }

    /// The changes since the request came; none a second time.
    pub(super) fn take_changes(&self) -> Option<Receiver<Change>> {
        self.0.changes.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::ops::Deref for Asker {
    type Target = Asking;

    fn deref(&self) -> &Asking {
        &self.0
    }
}

/// Whom a token belongs to, so that it is of no use to anybody else.
pub(super) fn owner(caller: Option<&Caller>) -> String {
    // Anonymous callers have an empty subject, which no caller has.
    let (subject, issuer) = caller.map_or(("", None), |caller| (caller.subject.as_str(), caller.issuer.as_deref()));
    serde_json::json!([subject, issuer]).to_string()
}
