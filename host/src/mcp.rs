//! The Model Context Protocol at `/mcp`: tools, resources and prompts of all
//! modules, for clients of both eras of the protocol on one address.
//!
//! The library `rmcp` frames, negotiates and streams. In front of it stands what
//! it leaves to whoever embeds it: from where a request may come, whose it is, how
//! large, deep and many, and what of a session may be believed. In what order a
//! request is refused, and by which code, is the table in `docs/mcp.md`.

mod allow;
mod answer;
mod asker;
mod convert;
mod envelope;
mod gate;
mod handler;
mod metadata;
mod parts;
mod rest;
mod seal;
mod sessions;
mod stdio;
mod streams;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use rmcp::model::InitializeRequestParams;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use parts::Shared;
pub use parts::{Asked, Parts};
pub use rest::{PATH as TOOLS, serves_tools, tool_at};
pub use stdio::stdio;

use self::allow::Allowed;
use self::answer::{refuse, refuse_with};
use self::asker::{Asker, Asking, owner};
use self::envelope::{Era, Malformed, Message};
use self::handler::Handler;
use self::metadata::Resource;
use self::seal::Seal;
use self::sessions::{BEGUN, Full as NoSession, Sealed, Sessions};
use self::streams::{Room, Streams};
use crate::call::Caller;
use crate::config::Config;
use crate::dispatch::Body;
use crate::fault::{Blame, Code, Fault};

/// Where the protocol is served.
const PATH: &str = "/mcp";
const VERSION: &str = "mcp-protocol-version";
/// How often an open stream says that it is alive.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(15);

/// The endpoint.
pub struct Mcp {
    shared: Arc<Shared>,
    service: StreamableHttpService<Handler, Sessions>,
    sessions: Arc<Sessions>,
    streams: Streams,
    room: Arc<Semaphore>,
    allowed: Allowed,
    resource: Option<Resource>,
    require_auth: bool,
    /// The library's own tasks end with it.
    ended: CancellationToken,
}

impl Mcp {
    /// The endpoint of a host.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(config: &Config, parts: Parts) -> Result<Self, &'static str> {
        let Parts { registry, changes, places, toolboxes, tasks, closing } = parts;
        let seal = match &config.auth.secret {
            Some(secret) => Seal::of(secret.expose_secret().as_bytes()),
            None => Seal::random().map_err(|_| "the system gives no random bytes")?,
        };
        let seal = Arc::new(seal);
        let shared = Arc::new(Shared { registry, changes, places, toolboxes, seal: Arc::clone(&seal), tasks, closing });
        let sessions = Arc::new(Sessions::new(seal));
        let ended = CancellationToken::new();
        let mut options = StreamableHttpServerConfig::default();
        options.json_response = true;
        options.sse_keep_alive = Some(KEEP_ALIVE);
        options.cancellation_token = ended.clone();
        options.max_request_body_bytes = crate::config::limits::BODY_BYTES;
        options.session_store = Some(Arc::new(Sealed(Arc::clone(&sessions))));
        // Both are checked before, once for all methods.
        options = options.disable_allowed_hosts();
        let handlers = Arc::clone(&shared);
        let factory = move || Ok(Handler::new(Arc::clone(&handlers)));
        let public = config.mcp.public_url.as_ref();
        Ok(Self {
            service: StreamableHttpService::new(factory, Arc::clone(&sessions), options),
            shared,
            sessions,
            streams: Streams::default(),
            room: Room::whole(),
            allowed: Allowed::new(&config.mcp.hosts, public, &config.cors_origins),
            resource: public.map(|public| Resource::new(public, config.auth.servers())),
            require_auth: config.mcp.require_auth,
            ended,
        })
    }

    /// Serves a request whose body is here. `held` is given back with the end of
    /// the answer.
    ///
    /// # Errors
    /// What is not the protocol's to say.
    pub async fn serve<H: Send + Sync + Unpin + 'static>(
        &self,
        mut request: Request<Bytes>,
        asked: Asked,
        held: H,
    ) -> Result<Response<Body>, Fault> {
        // Anonymous callers are told apart by where they come from.
        let address = asked.client.filter(|_| asked.caller.is_none()).map(|client| client.address.to_string());
        let counted: Arc<str> = address.unwrap_or_else(|| owner(asked.caller.as_ref())).into();
        let slot = self.streams.enter(Arc::clone(&counted));
        let slot = slot.ok_or_else(|| Fault::new(Blame::Host, Code::Overloaded, "Too many open requests"))?;
        let mut changes = None;
        let mut begun = None;
        if *request.method() == Method::POST {
            let message = match envelope::read(request.body(), version(request.headers())) {
                Ok(message) => message,
                Err(malformed) => return Ok(refuse(&malformed)),
            };
            if let Message::Request { method, name, era, .. } = &message {
                self.check_scopes(method, name.as_deref(), &asked)?;
                match (method.as_str(), era) {
                    ("subscriptions/listen", Era::Modern) => changes = Some(self.shared.changes.listen()),
                    ("initialize", Era::Legacy) => begun = self.begin(&request, asked.caller.as_ref(), &counted)?,
                    _ => {}
                }
            }
        }
        if let Some(answer) = self.in_session(&request, asked.caller.as_ref()) {
            return Ok(answer);
        }
        let standing = *request.method() == Method::GET;
        let ending = *request.method() == Method::DELETE;
        let Asked { id, caller, client, trace, generation } = asked;
        let room = Arc::new(Room::of(&self.room));
        let taken = Arc::clone(&room);
        let asking = Asking { id, caller, client, trace, generation, room, changes: Mutex::new(changes) };
        request.extensions_mut().insert(Asker::new(asking));
        let handled = self.service.handle(request.map(Full::new));
        let mut response = match begun {
            Some(id) => BEGUN.scope(id, handled).await,
            None => handled.await,
        };
        // The library says "accepted", and clients wonder whether it was done.
        if ending && response.status() == StatusCode::ACCEPTED {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        // Streams that nothing ends but the client end when the host is to stop.
        let closing = standing.then(|| self.shared.closing.clone());
        answer::finish(response, closing, (slot, taken, held)).await
    }

    /// A tool's scopes are asked for before anything of an answer is on its way.
    fn check_scopes(&self, method: &str, name: Option<&str>, asked: &Asked) -> Result<(), Fault> {
        let named = name.filter(|_| method == "tools/call").and_then(|name| asked.generation.catalogue.tool(name));
        named.map_or(Ok(()), |tool| scopes(&tool.item.scopes, asked.caller.as_ref(), self.resource.as_ref()))
    }

    /// The id of the session that `initialize` begins; none when its parameters
    /// cannot be read, which the library says.
    fn begin(&self, request: &Request<Bytes>, caller: Option<&Caller>, counted: &str) -> Result<Option<String>, Fault> {
        #[derive(serde::Deserialize)]
        struct Initialize {
            params: InitializeRequestParams,
        }
        let Ok(Initialize { params }) = serde_json::from_slice(request.body()) else { return Ok(None) };
        match self.sessions.begin(caller, counted, &params) {
            Ok(id) => Ok(Some(id)),
            Err(NoSession::Sessions) => Err(Fault::new(Blame::Host, Code::Overloaded, "Too many sessions")),
            Err(error @ NoSession::Random(_)) => {
                Err(Fault::new(Blame::Host, Code::Internal, "Internal Server Error").because(error))
            }
        }
    }

    /// A session of somebody else's is one that is not there.
    fn in_session(&self, request: &Request<Bytes>, caller: Option<&Caller>) -> Option<Response<Body>> {
        if envelope::of_header(version(request.headers())) == Era::Modern {
            return None;
        }
        let id = sessions::named(request.headers())?;
        (!self.sessions.is_of(caller, id)).then(|| {
            let malformed = Malformed { code: -32600, why: "There is no such session", id: None };
            refuse_with(StatusCode::NOT_FOUND, &malformed)
        })
    }

    /// Ends what the library has left.
    pub fn end(&self) {
        self.ended.cancel();
    }
}

/// Whether a caller has all of these scopes; a challenge points to `resource`.
fn scopes(scopes: &[String], caller: Option<&Caller>, resource: Option<&Resource>) -> Result<(), Fault> {
    let (code, public) = match caller {
        _ if scopes.is_empty() => return Ok(()),
        Some(caller) if scopes.iter().all(|scope| caller.scopes.contains(scope)) => return Ok(()),
        Some(_) => (Code::Forbidden, "The caller lacks a scope that this tool needs"),
        None => (Code::Unauthorized, "Not authenticated"),
    };
    let challenge = metadata::challenge(resource, Some(scopes), false);
    Err(Fault::new(Blame::Caller, code, public).challenge(challenge))
}

fn version(headers: &HeaderMap) -> Option<&str> {
    headers.get(VERSION).and_then(|value| value.to_str().ok())
}
