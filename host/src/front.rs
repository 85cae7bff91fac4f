//! The pipeline of every request, on one screen.
//!
//! Everything a client can do wrong is answered here, before a guest runs; what
//! a guest does wrong is turned into a [`Fault`] below and answered here too.

pub mod admit;
mod client;
mod health;
mod respond;
mod route;
mod span;

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body::Body as HttpBody;
use tower::{Service, ServiceBuilder, service_fn};
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::compression::{CompressionBody, CompressionLayer};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

pub use respond::AnswerBody;

use crate::broker::identity::{Identity, Refusal, Rejected, policy};
use crate::call::notice::Changes;
use crate::call::{Call, Caller, Deadline, trace::Tracer};
use crate::dispatch;
use crate::fault::{Blame, Code, Fault};
use crate::mcp::{self, Asked, Mcp};
use crate::offers::Toolboxes;
use crate::registry::{Generation, Registry};

/// Answers smaller than this are not compressed: the header costs more.
const COMPRESS_ABOVE: u64 = 1_024;

/// What a page may read of an answer: `fetch` hides other headers from it.
/// Better Auth hands tokens out in two of them.
const EXPOSED: [HeaderName; 4] = [
    HeaderName::from_static(respond::REQUEST_ID),
    header::RETRY_AFTER,
    HeaderName::from_static("set-auth-token"),
    HeaderName::from_static("set-auth-jwt"),
];

/// What the pipeline needs.
pub struct Front {
    /// Who is calling.
    pub identity: Arc<Identity>,
    /// How many proxies in front tell the client's address.
    pub trusted_proxies: u8,
    /// What is served.
    pub registry: Arc<Registry>,
    /// How much at once.
    pub admission: admit::Admission,
    /// Makes spans; none when no collector is configured.
    pub tracer: Option<Tracer>,
    /// The protocol of models and their tools.
    pub mcp: Mcp,
    /// What changes, for clients that listen.
    pub changes: Changes,
    /// Ways to the tools of other modules.
    pub toolboxes: Toolboxes,
    /// Whether the host is about to stop.
    pub draining: std::sync::atomic::AtomicBool,
}

/// The pipeline as a service: CORS, then compression, then [`handle`].
pub fn service<B>(
    front: Arc<Front>,
    origins: &[HeaderValue],
) -> impl Service<Request<B>, Response = Response<CompressionBody<AnswerBody>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static
where
    B: HttpBody<Data = bytes::Bytes, Error: std::error::Error + Send + Sync + 'static> + Send + Unpin + 'static,
{
    let compress = SizeAbove::new(COMPRESS_ABOVE).and(NotForContentType::SSE).and(NotForContentType::IMAGES);
    let inner = service_fn(move |request: Request<B>| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(handle(&front, request).await) }
    });
    ServiceBuilder::new()
        .option_layer((!origins.is_empty()).then(|| cors(origins)))
        .layer(CompressionLayer::new().gzip(true).compress_when(compress))
        .service(inner)
}

/// What FastAPI's middleware answers browsers: the exact origin, any header,
/// credentials allowed.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    use Method as M;
    let methods = [M::DELETE, M::GET, M::HEAD, M::OPTIONS, M::PATCH, M::POST, M::PUT];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().cloned()))
        .allow_methods(AllowMethods::list(methods))
        .allow_headers(AllowHeaders::mirror_request())
        .allow_credentials(true)
        .expose_headers(EXPOSED)
        .max_age(std::time::Duration::from_secs(600))
}

/// One request: who, what, run, answer. The only place that logs an outcome.
async fn handle<B>(front: &Front, request: Request<B>) -> Response<AnswerBody>
where
    B: HttpBody<Data = bytes::Bytes, Error: std::error::Error + Send + Sync + 'static> + Send + Unpin,
{
    let mut outcome = respond::Outcome::begin(&request);
    let result = match health::answer(&request, front) {
        // A probe every few seconds is no news for a collector.
        Some(answer) => Ok(answer),
        None => {
            outcome.trace(front.tracer.as_ref(), &request);
            serve(front, request, &mut outcome).await
        }
    };
    outcome.finish(result)
}

async fn serve<B>(
    front: &Front,
    request: Request<B>,
    outcome: &mut respond::Outcome,
) -> Result<Response<dispatch::Body>, Fault>
where
    B: HttpBody<Data = bytes::Bytes, Error: std::error::Error + Send + Sync + 'static> + Send + Unpin,
{
    admit::check_head(&request)?;
    let generation = front.registry.current();
    if let Some(generation) = generation.as_ref().filter(|now| front.mcp.serves(request.uri().path(), now)) {
        return mcp(front, request, Arc::clone(generation), outcome).await;
    }
    let caller = front.identity.authenticate(request.method(), request.headers()).await.map_err(refused)?;
    if let Some(generation) = generation.as_ref().filter(|now| is_of_tools(request.uri().path(), now)) {
        return tools(front, request, caller, (Arc::clone(generation), outcome)).await;
    }
    let generation = generation.ok_or_else(|| Fault::new(Blame::Host, Code::NotServing, "Service is starting"))?;
    let found = route::find(&generation, request.uri().path());
    let (route, guest) = found.ok_or_else(|| Fault::new(Blame::Caller, Code::NotFound, "Not Found"))?;
    outcome.routed(route, guest);
    let client = client::of(&request, front.trusted_proxies);
    let (mut request, room) = front.admission.read_body(request).await?;
    // Only now: a slow sender holds a connection, and no place.
    let place = front.admission.enter()?;
    policy::strip(request.headers_mut());
    let id = outcome.request_id();
    request.headers_mut().insert(respond::REQUEST_ID, id.1);
    let trace = outcome.span().trace();
    trace.write(request.headers_mut());
    let call = Call {
        id: id.0,
        caller,
        client,
        deadline: Deadline::after(guest.profile.limits.wall),
        trace,
        notices: front.changes.notices(),
        toolbox: front.toolboxes.of(&generation, guest),
    };
    Ok(dispatch::run(guest, call, request, (place, room)).await?)
}

fn is_of_tools(path: &str, generation: &Generation) -> bool {
    mcp::serves_tools(path, generation, || route::find(generation, path).is_some())
}

/// A request for a tool, or about tools, in plain HTTP.
async fn tools<B>(
    front: &Front,
    request: Request<B>,
    caller: Option<Caller>,
    (generation, outcome): (Arc<Generation>, &mut respond::Outcome),
) -> Result<Response<dispatch::Body>, Fault>
where
    B: HttpBody<Data = bytes::Bytes, Error: std::error::Error + Send + Sync + 'static> + Send + Unpin,
{
    if let Some(guest) = mcp::tool_at(request.uri().path(), &generation) {
        outcome.routed(mcp::TOOLS, guest);
    }
    let client = client::of(&request, front.trusted_proxies);
    let (request, room) = front.admission.read_body(request).await?;
    let (id, trace) = (outcome.request_id().0, outcome.span().trace());
    front.mcp.serve_tools(request, Asked { id, caller, client, trace, generation }, room).await
}

/// A request for what modules offer beside HTTP. A place in flight is taken for each
/// call into a guest, and not for a stream that waits.
async fn mcp<B>(
    front: &Front,
    request: Request<B>,
    generation: Arc<Generation>,
    outcome: &mut respond::Outcome,
) -> Result<Response<dispatch::Body>, Fault>
where
    B: HttpBody<Data = bytes::Bytes, Error: std::error::Error + Send + Sync + 'static> + Send + Unpin,
{
    if let Some(answer) = front.mcp.gate(&request, &generation)? {
        return Ok(answer);
    }
    let caller = front.identity.authenticate(request.method(), request.headers()).await;
    let caller = caller.map_err(|refusal| front.mcp.challenge(refused(refusal)))?;
    front.mcp.admit(request.method(), request.headers(), caller.as_ref())?;
    let client = client::of(&request, front.trusted_proxies);
    let (mut request, room) = front.admission.read_body(request).await?;
    policy::strip(request.headers_mut());
    let (id, trace) = (outcome.request_id().0, outcome.span().trace());
    front.mcp.serve(request, Asked { id, caller, client, trace, generation }, room).await
}

/// What a refusal by the identity broker is to a client.
fn refused(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Rejected(rejected) => {
            let code = if rejected == Rejected::Origin { Code::Forbidden } else { Code::Unauthorized };
            Fault::new(Blame::Caller, code, rejected.public()).because(rejected)
        }
        Refusal::Unavailable(why) => {
            Fault::new(Blame::Host, Code::Unavailable, "Service temporarily unavailable").because(why)
        }
    }
}
