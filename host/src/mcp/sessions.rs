//! Sessions of the older protocols. Their id is a sealed token that says all that
//! `initialize` settled, and whose session it is: any host with the same secret
//! goes on with it. What is left behind in a move are open streams, subscriptions,
//! the log level, and questions that nobody has answered yet.

mod library;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use rmcp::model::InitializeRequestParams;
use rmcp::transport::streamable_http_server::session::SessionId;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde::{Deserialize, Serialize};

pub(super) use self::library::Sealed;
use super::asker::owner;
use super::handler::features;
use super::seal::{NoRandom, Purpose, Seal, now};
use crate::bindings::offers::innkeeper::backend::types::ClientFeatures;
use crate::call::Caller;

/// The header that has the id.
pub(super) const HEADER: &str = "mcp-session-id";
/// How long an id is good. Clients that come later begin a new session.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// A session that is quiet for so long leaves this host's memory; its id goes on
/// being good. Shorter than this no question may wait for a person.
const QUIET: Duration = Duration::from_secs(30 * 60);
/// Sessions in this host's memory, of all callers and of one. Each is two tasks and
/// some queues.
const MOST: usize = 1_024;
const MOST_OF_ONE: usize = 64;
/// Sessions that clients have ended, which stay ended until their ids run out. Over
/// this many the oldest are forgotten: an id that somebody ended, and kept, and is
/// still the caller of, would be good once more.
const ENDED: usize = 8_192;
/// Bytes of a client's name and version.
const NAME_BYTES: usize = 64;

tokio::task_local! {
    /// The id of the session that this request begins. The library asks for one
    /// without saying for whom.
    pub(super) static BEGUN: String;
}

/// What `initialize` settled.
#[derive(Serialize, Deserialize)]
struct Settled {
    version: String,
    features: [bool; 5],
    name: String,
    client: String,
    owner: String,
    /// Among whose sessions it counts.
    counted: String,
}

const FEATURES: [ClientFeatures; 5] = [
    ClientFeatures::ELICIT_FORM,
    ClientFeatures::ELICIT_URL,
    ClientFeatures::SAMPLING,
    ClientFeatures::SAMPLING_TOOLS,
    ClientFeatures::ROOTS,
];

/// The sessions of this host.
pub(super) struct Sessions {
    seal: Arc<Seal>,
    local: LocalSessionManager,
    /// Whose each session is.
    owners: Mutex<HashMap<SessionId, String>>,
    ended: Mutex<Ended>,
}

#[derive(Default)]
struct Ended {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

/// Why a session does not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum Full {
    /// The host has as many as it takes, or the caller has.
    #[error("there are too many sessions")]
    Sessions,
    /// The id cannot be made.
    #[error(transparent)]
    Random(#[from] NoRandom),
}

impl Sessions {
    pub(super) fn new(seal: Arc<Seal>) -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.keep_alive = Some(QUIET);
        Self { seal, local, owners: Mutex::default(), ended: Mutex::default() }
    }

    /// The id of a new session, which counts among those of `counted`. `params` are
    /// those of `initialize`.
    pub(super) fn begin(
        &self,
        caller: Option<&Caller>,
        counted: &str,
        params: &InitializeRequestParams,
    ) -> Result<String, Full> {
        {
            let owners = lock(&self.owners);
            if owners.len() >= MOST || owners.values().filter(|other| *other == counted).count() >= MOST_OF_ONE {
                return Err(Full::Sessions);
            }
        }
        let declared = features(&params.capabilities);
        let cut = |text: &str| text[..text.floor_char_boundary(NAME_BYTES)].to_owned();
        let settled = Settled {
            version: cut(params.protocol_version.as_str()),
            features: FEATURES.map(|feature| declared.contains(feature)),
            name: cut(&params.client_info.name),
            client: cut(&params.client_info.version),
            owner: owner(caller),
            counted: counted.to_owned(),
        };
        let content = serde_json::to_vec(&settled).unwrap_or_default();
        Ok(self.seal.close(Purpose::Session, b"", now() + LIFE.as_secs(), &content)?)
    }

    /// Whether an id is of a session of this caller's that has not ended.
    pub(super) fn is_of(&self, caller: Option<&Caller>, id: &str) -> bool {
        !lock(&self.ended).ids.contains(id) && self.settled(id).is_some_and(|settled| settled.owner == owner(caller))
    }

    /// Ends a session for good.
    pub(super) fn end(&self, id: &str) {
        let mut ended = lock(&self.ended);
        if ended.ids.insert(id.to_owned()) {
            ended.order.push_back(id.to_owned());
        }
        if ended.order.len() > ENDED
            && let Some(oldest) = ended.order.pop_front()
        {
            ended.ids.remove(&oldest);
        }
    }

    fn settled(&self, id: &str) -> Option<Settled> {
        serde_json::from_slice(&self.seal.open(Purpose::Session, b"", id)?).ok()
    }

    fn own(&self, id: &SessionId) {
        if let Some(settled) = self.settled(id) {
            lock(&self.owners).insert(Arc::clone(id), settled.counted);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session that a request names.
pub(super) fn named(headers: &HeaderMap) -> Option<&str> {
    headers.get(HEADER).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use rmcp::model::{Implementation, ProtocolVersion};
    use rmcp::transport::streamable_http_server::session::SessionStore;

    use super::*;
    use crate::mcp::handler::capabilities;

    fn caller(subject: &str) -> Caller {
        Caller {
            subject: subject.into(),
            name: None,
            email: None,
            scopes: Vec::new(),
            issuer: None,
            expires_at: 0,
            session: None,
        }
    }

    fn params() -> InitializeRequestParams {
        let declared = ClientFeatures::ELICIT_FORM | ClientFeatures::ROOTS;
        InitializeRequestParams::new(capabilities(declared), Implementation::new("client", "1"))
            .with_protocol_version(ProtocolVersion::V_2025_11_25)
    }

    #[tokio::test]
    async fn an_id_says_what_was_settled_to_whoever_has_the_secret() {
        let (here, there) = (Sessions::new(Arc::new(Seal::of(b"s"))), Sessions::new(Arc::new(Seal::of(b"s"))));
        let (ada, bob) = (caller("ada"), caller("bob"));
        let id = here.begin(Some(&ada), "ada", &params()).expect("an id");
        assert!(id.len() < 1_024 && id.bytes().all(|byte| byte.is_ascii_graphic()));
        for host in [&here, &there] {
            assert!(host.is_of(Some(&ada), &id));
            assert!(!host.is_of(Some(&bob), &id) && !host.is_of(None, &id));
        }
        assert!(!Sessions::new(Arc::new(Seal::of(b"other"))).is_of(Some(&ada), &id));
        let state = Sealed(Arc::new(there)).load(&id).await.expect("readable").expect("a state");
        assert_eq!(features(&state.initialize_params.capabilities), features(&params().capabilities));
        assert_eq!(state.initialize_params.protocol_version, ProtocolVersion::V_2025_11_25);
        here.end(&id);
        assert!(!here.is_of(Some(&ada), &id));
    }

    #[test]
    fn what_was_ended_stays_within_bounds() {
        let sessions = Sessions::new(Arc::new(Seal::of(b"s")));
        for id in 0..ENDED + 10 {
            sessions.end(&id.to_string());
        }
        let ended = lock(&sessions.ended);
        assert_eq!((ended.ids.len(), ended.order.len()), (ENDED, ENDED));
        assert!(!ended.ids.contains("0") && ended.ids.contains("10"));
    }
}
