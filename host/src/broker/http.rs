//! The broker of outgoing HTTP: the one way out of a guest.
//!
//! ```text
//! request -> budget -> grant -> headers -> resolve, filter, pin -> send -> cap, watch -> answer
//! ```
//!
//! A guest says which of its granted servers it means; where that is, over which
//! connection and with which secrets is the host's. The connection's address is made
//! from the grant and never from the guest's bytes, so that no two parsers can
//! disagree about it.

mod answer;
mod body;
mod client;
mod echo;
mod failure;
mod headers;
mod policy;
mod record;
mod resolve;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use answer::Answer;
pub use failure::HttpError;

use crate::call::Call;
use crate::call::trace::Span;
use crate::config::{HttpGrant, ModuleLimits};
use answer::Bounds;
use body::Counted;
use client::Client;
use echo::Echo;
use record::Record;

/// Requests under way, over all calls of a module. Each is a socket here and at the
/// other end; one that waits for a place waits for [`CONNECT`].
const UNDER_WAY: usize = 128;
/// Time for a place and a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for an answer to begin, and between two pieces of it, where the guest says
/// nothing, and the most that it may say. The call's own `wall` ends before, unless the
/// operator has raised it.
const WAIT: Duration = Duration::from_secs(30);

/// What a request's body gives, whoever sends it.
pub type Outbound = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a guest wants to wait. Longer than the host does is as long as the host does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// For a connection.
    pub connect: Option<Duration>,
    /// For the answer's head.
    pub first_byte: Option<Duration>,
    /// Between two pieces of its body.
    pub between_bytes: Option<Duration>,
}

/// The servers that one module may ask.
pub struct Servers {
    module: Arc<str>,
    servers: Vec<Server>,
    under_way: Arc<Semaphore>,
    bytes: u64,
}

struct Server {
    grant: HttpGrant,
    client: Client,
}

/// What one call has sent.
#[derive(Debug)]
pub struct Sent {
    left: u32,
}

impl Sent {
    /// Nothing yet.
    pub fn none(limits: &ModuleLimits) -> Self {
        Self { left: limits.http_requests }
    }

    /// Counts a request, refused or not: a refusal is a line in the log.
    ///
    /// # Errors
    /// When the call has sent as many as it may.
    pub fn count(&mut self) -> Result<(), HttpError> {
        self.left = self.left.checked_sub(1).ok_or(HttpError::TooMany)?;
        Ok(())
    }
}

impl Servers {
    /// The servers of a module.
    ///
    /// # Errors
    /// When a certificate that it should trust is none.
    pub fn new(module: &str, grants: &[HttpGrant], limits: &ModuleLimits) -> Result<Self, String> {
        let server = |grant: &HttpGrant| {
            let client = client::new(grant).map_err(|error| format!("http: {}: {error}", grant.origin()))?;
            Ok(Server { grant: grant.clone(), client })
        };
        let servers = grants.iter().map(server).collect::<Result<_, String>>()?;
        Ok(Self { servers, ..Self::none(module, limits) })
    }

    /// No server at all.
    pub fn none(module: &str, limits: &ModuleLimits) -> Self {
        let under_way = Arc::new(Semaphore::new(UNDER_WAY));
        Self { module: module.into(), servers: Vec::new(), under_way, bytes: limits.http_bytes as u64 }
    }

    /// Sends a request on behalf of a call.
    ///
    /// # Errors
    /// It is not granted, or there is no answer.
    pub async fn send(
        self: Arc<Self>,
        call: Arc<Call>,
        request: Request<Outbound>,
        patience: Patience,
    ) -> Result<Response<Answer>, HttpError> {
        let record = Record { module: Arc::clone(&self.module), call };
        let (method, target) = (request.method(), request.uri());
        let server = self.servers.iter().find(|server| policy::is_asked(&server.grant, target));
        let allowed = server.ok_or(HttpError::NotGranted);
        let allowed = allowed.and_then(|server| Ok((server, policy::allow(&server.grant, method, target)?)));
        let (server, uri) = allowed.inspect_err(|error| record.refused(method, target, error))?;
        let origin = server.grant.origin();
        let mut span = record.call.trace.client(|| method.as_str().to_owned().into());
        span.set("http.request.method", method.as_str().to_owned());
        span.set("server.address", server.grant.host.clone());
        span.set("server.port", i64::from(server.grant.port));
        match self.ask(&record, server, (request, uri), patience, &span).await {
            Ok(response) => {
                span.set("http.response.status_code", i64::from(response.status().as_u16()));
                record.answered(&origin);
                Ok(response)
            }
            Err(error) => {
                span.fail(error.as_str());
                record.failed(&origin, &error);
                Err(error)
            }
        }
    }

    async fn ask(
        &self,
        record: &Record,
        server: &Server,
        (request, uri): (Request<Outbound>, Uri),
        patience: Patience,
        span: &Span,
    ) -> Result<Response<Answer>, HttpError> {
        let within = |wanted: Option<Duration>, most: Duration| wanted.map_or(most, |time| time.min(most));
        let (connect, idle) = (within(patience.connect, CONNECT), within(patience.between_bytes, WAIT));
        let place = tokio::time::timeout(connect, self.place()).await;
        let place = place.map_err(|_| HttpError::Busy)?;
        let (mut head, body) = request.into_parts();
        headers::prepare(&mut head.headers, &server.grant, &record.call, span);
        head.uri = uri;
        let request = Request::from_parts(head, Counted::new(body, self.bytes));
        let answered =
            tokio::time::timeout(connect + within(patience.first_byte, WAIT), server.client.request(request));
        let response = answered.await.map_err(|_| HttpError::Late)?.map_err(HttpError::of)?;
        if response.status().is_informational() {
            return Err(HttpError::Protocol);
        }
        let echo = Echo::of(&server.grant);
        if echo.is_in(response.headers()) {
            return Err(HttpError::Echo);
        }
        let (record, server) = (record.clone(), server.grant.origin());
        Ok(response.map(|body| Answer::new(body, Bounds { bytes: self.bytes, idle }, echo, (record, server, place))))
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        // Never closed.
        Arc::clone(&self.under_way).acquire_owned().await.expect("an open semaphore")
    }
}
