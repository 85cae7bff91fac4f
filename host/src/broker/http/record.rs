//! What an operator sees of requests that guests send: a line for each that failed, and
//! a count of all.

use std::sync::Arc;

use http::{Method, Uri};

use super::HttpError;
use crate::call::Call;
use crate::telemetry::HTTP_REQUESTS;

/// Characters of what a guest has written that go into a line.
const SHOWN: usize = 200;

/// On whose behalf.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) module: Arc<str>,
    pub(super) call: Arc<Call>,
}

impl Record {
    /// It was not sent.
    pub(super) fn refused(&self, method: &Method, uri: &Uri, error: &HttpError) {
        // Neither the path nor what stands before the host: guests put tokens there.
        let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |to| to.as_str()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        let to: String = format!("{scheme}://{host}").chars().take(SHOWN).collect();
        let (module, id) = (&*self.module, &*self.call.id);
        tracing::warn!(
            request.id = id,
            module.name = module,
            blame = "guest",
            "`{module}` may not send {method} to {to:?}: {error}"
        );
        self.count("none", error.as_str());
    }

    /// An answer has begun.
    pub(super) fn answered(&self, server: &str) {
        self.count(server, "ok");
    }

    /// There was no answer, or not all of it.
    pub(super) fn failed(&self, server: &str, error: &HttpError) {
        let (module, id, why) = (&*self.module, &*self.call.id, crate::fault::chain(error));
        let blame = error.blame().as_str();
        tracing::warn!(
            request.id = id,
            module.name = module,
            blame,
            "`{module}` got no whole answer from {server}: {why}"
        );
        self.count(server, error.as_str());
    }

    fn count(&self, server: &str, outcome: &'static str) {
        let (module, server) = (self.module.to_string(), server.to_owned());
        metrics::counter!(HTTP_REQUESTS, "module" => module, "server" => server, "outcome" => outcome).increment(1);
    }
}
