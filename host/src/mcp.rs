//! The Model Context Protocol at `/mcp`: tools, resources and prompts of all
//! modules, for clients of both eras of the protocol on one address.
//!
//! The library `rmcp` frames, negotiates and streams. In front of it stands what
//! it leaves to whoever embeds it: from where a request may come, whose it is, how
//! large, deep and many, and what of a session may be believed. In what order a
//! request is refused, and by which code, is the table in `docs/mcp.md`.

mod allow;
mod asker;
mod convert;
mod envelope;
mod handler;
mod metadata;
mod seal;
mod sessions;
mod stdio;
mod streams;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use rmcp::model::InitializeRequestParams;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use stdio::stdio;

use self::allow::{Allowed, Stranger};
use self::asker::{Asker, Asking, owner};
use self::envelope::{Era, Malformed, Message};
use self::handler::Handler;
use self::metadata::Resource;
use self::seal::Seal;
use self::sessions::{BEGUN, Full as NoSession, Sealed, Sessions};
use self::streams::{Held, Slot, Streams};
use crate::call::notice::Changes;
use crate::call::{Caller, Client, trace::Trace};
use crate::config::Config;
use crate::dispatch::Body;
use crate::fault::{Blame, Code, Fault};
use crate::registry::{Generation, Registry};

/// Where the protocol is served.
const PATH: &str = "/mcp";
const VERSION: &str = "mcp-protocol-version";
/// How often an open stream says that it is alive.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(15);

/// What every handler has.
pub(crate) struct Shared {
    registry: Arc<Registry>,
    changes: Changes,
    /// Calls at once, of the whole host.
    places: Arc<Semaphore>,
    seal: Arc<Seal>,
    tasks: TaskTracker,
    /// The host is about to stop: nobody waits for anything any more.
    closing: CancellationToken,
}

/// The endpoint.
pub struct Mcp {
    shared: Arc<Shared>,
    service: StreamableHttpService<Handler, Sessions>,
    sessions: Arc<Sessions>,
    streams: Streams,
    allowed: Allowed,
    resource: Option<Resource>,
    require_auth: bool,
    /// The library's own tasks end with it.
    ended: CancellationToken,
}

/// What the endpoint needs of the rest of the host.
pub struct Parts {
    /// What is served.
    pub registry: Arc<Registry>,
    /// What changes.
    pub changes: Changes,
    /// Calls at once, of the whole host.
    pub places: Arc<Semaphore>,
    /// Whose tasks are waited for.
    pub tasks: TaskTracker,
    /// When the host is about to stop.
    pub closing: CancellationToken,
}

/// A request as the pipeline in front knows it.
pub struct Asked {
    /// Its id.
    pub id: Arc<str>,
    /// Who is calling.
    pub caller: Option<Caller>,
    /// Where it came from.
    pub client: Option<Client>,
    /// Where its spans belong.
    pub trace: Trace,
    /// The modules that it is served from.
    pub generation: Arc<Generation>,
}

impl Mcp {
    /// The endpoint of a host.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(config: &Config, parts: Parts) -> Result<Self, &'static str> {
        let Parts { registry, changes, places, tasks, closing } = parts;
        let seal = match &config.auth.secret {
            Some(secret) => Seal::of(secret.expose_secret().as_bytes()),
            None => Seal::random().map_err(|_| "the system gives no random bytes")?,
        };
        let seal = Arc::new(seal);
        let shared = Arc::new(Shared { registry, changes, places, seal: Arc::clone(&seal), tasks, closing });
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
            allowed: Allowed::new(&config.mcp.hosts, public, &config.cors_origins),
            resource: public.map(|public| Resource::new(public, config.auth.servers())),
            require_auth: config.mcp.require_auth,
            ended,
        })
    }

    /// Whether a path is this endpoint's, when the modules offer anything.
    pub fn serves(&self, path: &str, generation: &Generation) -> bool {
        (path == PATH || metadata::PATHS.contains(&path)) && !generation.catalogue.is_empty()
    }

    /// What is decided before anybody is asked who is calling: where the request
    /// comes from, and the documents that say how to get a token.
    ///
    /// # Errors
    /// The request comes from a stranger's page, or was sent to a stranger's name.
    pub fn gate<B>(&self, request: &Request<B>, generation: &Generation) -> Result<Option<Response<Body>>, Fault> {
        if metadata::PATHS.contains(&request.uri().path()) {
            return Ok(Some(self.document(request.method(), generation)));
        }
        self.allowed.check(request.uri(), request.headers()).map(|()| None).map_err(|stranger| {
            let public = match stranger {
                Stranger::Host => "This host name is not served here; see INNKEEPER_PUBLIC_URL",
                Stranger::Origin => "Origin not allowed",
            };
            Fault::new(Blame::Caller, Code::Forbidden, public)
        })
    }

    /// What somebody reads whose credential was refused.
    pub fn challenge(&self, fault: Fault) -> Fault {
        match fault.code {
            Code::Unauthorized => fault.challenge(metadata::challenge(self.resource.as_ref(), None, true)),
            _ => fault,
        }
    }

    fn document(&self, method: &Method, generation: &Generation) -> Response<Body> {
        let (status, body) = match &self.resource {
            Some(resource) if *method == Method::GET => (StatusCode::OK, resource.describe(&generation.catalogue)),
            Some(_) => (StatusCode::METHOD_NOT_ALLOWED, r#"{"detail":"Method Not Allowed"}"#.to_owned()),
            None => (StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#.to_owned()),
        };
        let mut response = json(status, body);
        let headers = response.headers_mut();
        // Whoever asks is told the same, and is to be able to read it.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        response
    }

    /// Whether a request has to be read at all.
    ///
    /// # Errors
    /// By its method, its caller or its headers it is none.
    pub fn admit(&self, method: &Method, headers: &HeaderMap, caller: Option<&Caller>) -> Result<(), Fault> {
        if self.require_auth && caller.is_none() {
            let fault = Fault::new(Blame::Caller, Code::Unauthorized, "Not authenticated");
            return Err(fault.challenge(metadata::challenge(self.resource.as_ref(), None, false)));
        }
        let in_session = envelope::of_header(version(headers)) == Era::Legacy && sessions::named(headers).is_some();
        match *method {
            Method::POST => accepts(headers),
            Method::GET | Method::DELETE if in_session => Ok(()),
            _ => Err(Fault::new(Blame::Caller, Code::MethodNotAllowed, "Method Not Allowed")),
        }
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
        let owned = owner(asked.caller.as_ref());
        // Anonymous callers are told apart by where they come from.
        let address = asked.client.filter(|_| asked.caller.is_none()).map(|client| client.address.to_string());
        let slot = self.streams.enter(address.unwrap_or(owned).into());
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
                    ("initialize", Era::Legacy) => begun = self.begin(&request, asked.caller.as_ref())?,
                    _ => {}
                }
            }
        }
        if let Some(answer) = self.in_session(&request, asked.caller.as_ref()) {
            return Ok(answer);
        }
        let standing = *request.method() == Method::GET;
        let Asked { id, caller, client, trace, generation } = asked;
        let asking = Asking { id, caller, client, trace, generation, changes: Mutex::new(changes) };
        request.extensions_mut().insert(Asker::new(asking));
        let handled = self.service.handle(request.map(Full::new));
        let response = match begun {
            Some(id) => BEGUN.scope(id, handled).await,
            None => handled.await,
        };
        self.answer(response, standing, (slot, held)).await
    }

    /// A tool's scopes are asked for before anything of an answer is on its way.
    fn check_scopes(&self, method: &str, name: Option<&str>, asked: &Asked) -> Result<(), Fault> {
        let Some(tool) = name.filter(|_| method == "tools/call").and_then(|name| asked.generation.catalogue.tool(name))
        else {
            return Ok(());
        };
        let scopes = &tool.item.scopes;
        let (code, public, lacking) = match &asked.caller {
            _ if scopes.is_empty() => return Ok(()),
            Some(caller) if scopes.iter().all(|scope| caller.scopes.contains(scope)) => return Ok(()),
            Some(_) => (Code::Forbidden, "The caller lacks a scope that this tool needs", scopes),
            None => (Code::Unauthorized, "Not authenticated", scopes),
        };
        let challenge = metadata::challenge(self.resource.as_ref(), Some(lacking), false);
        Err(Fault::new(Blame::Caller, code, public).challenge(challenge))
    }

    /// The id of the session that `initialize` begins; none when its parameters
    /// cannot be read, which the library says.
    fn begin(&self, request: &Request<Bytes>, caller: Option<&Caller>) -> Result<Option<String>, Fault> {
        #[derive(serde::Deserialize)]
        struct Initialize {
            params: InitializeRequestParams,
        }
        let Ok(Initialize { params }) = serde_json::from_slice(request.body()) else { return Ok(None) };
        match self.sessions.begin(caller, &params) {
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

    async fn answer<H: Send + Sync + Unpin + 'static>(
        &self,
        response: Response<http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>>,
        standing: bool,
        held: (Slot, H),
    ) -> Result<Response<Body>, Fault> {
        let (mut head, body) = response.into_parts();
        match head.status {
            // The library's word for a message that is none of its kinds.
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let malformed = Malformed { code: -32600, why: "The message is none of this protocol", id: None };
                return Ok(refuse(&malformed));
            }
            status if status.is_server_error() => {
                let text = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let why = String::from_utf8_lossy(&text).escape_debug().to_string();
                return Err(Fault::new(Blame::Host, Code::Internal, "Internal Server Error").because(why));
            }
            _ => {}
        }
        if body.size_hint_exact() {
            let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            return Ok(Response::from_parts(head, bytes.into()));
        }
        head.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        // Streams that nothing ends but the client end when the host is to stop.
        let until = standing.then(|| {
            let closing = self.shared.closing.clone();
            Box::pin(async move { closing.cancelled().await }) as futures_util::future::BoxFuture<'static, ()>
        });
        Ok(Response::from_parts(head, Body::held(Held::new(body, until, held))))
    }

    /// Ends what the library has left.
    pub fn end(&self) {
        self.ended.cancel();
    }
}

trait Exact {
    fn size_hint_exact(&self) -> bool;
}

impl<B: http_body::Body> Exact for B {
    fn size_hint_exact(&self) -> bool {
        self.size_hint().exact().is_some()
    }
}

fn version(headers: &HeaderMap) -> Option<&str> {
    headers.get(VERSION).and_then(|value| value.to_str().ok())
}

/// Both kinds of answers must be welcome, and the message must be JSON.
fn accepts(headers: &HeaderMap) -> Result<(), Fault> {
    let listed = |kind: &str| {
        let fields = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut kinds = fields.flat_map(|field| field.split(',')).map(|part| part.split(';').next().unwrap_or_default());
        kinds.any(|listed| listed.trim().eq_ignore_ascii_case(kind))
    };
    if !(listed("application/json") && listed("text/event-stream")) {
        let public = "Accept must list application/json and text/event-stream";
        return Err(Fault::new(Blame::Caller, Code::NotAcceptable, public));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Fault::new(Blame::Caller, Code::UnsupportedMediaType, "Content-Type must be application/json"))
}

fn refuse(malformed: &Malformed) -> Response<Body> {
    refuse_with(StatusCode::BAD_REQUEST, malformed)
}

fn refuse_with(status: StatusCode, Malformed { code, why, id }: &Malformed) -> Response<Body> {
    // An id that cannot be read is left out; it is JSON as it came.
    let id = id.as_ref().map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let error = serde_json::json!({ "code": code, "message": why });
    json(status, format!("{{\"jsonrpc\":\"2.0\",{id}\"error\":{error}}}"))
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
