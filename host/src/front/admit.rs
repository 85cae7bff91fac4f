//! What is let in: how large, and how much at once.
//!
//! Bodies are read whole before a guest runs, so a slow sender holds a few
//! kilobytes of the host and never an instance.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::{Blame, Code, Fault};

/// Bytes of one body. Todos and chat messages are a few kilobytes.
pub const BODY_BYTES: usize = 1 << 20;
/// Kibibytes of all bodies that are being read or served: what slow senders can
/// take from the host's memory altogether.
const BODIES_KIB: usize = 64 << 10;
/// Time for one body to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Bytes of a request target; proxies allow about as much.
const TARGET_BYTES: usize = 8 << 10;

/// What is let in at once.
pub struct Admission {
    in_flight: Arc<Semaphore>,
    limit: u32,
    bodies: Semaphore,
}

impl Admission {
    /// At most `in_flight` requests at once.
    pub fn new(in_flight: u32) -> Self {
        let permits = Arc::new(Semaphore::new(in_flight as usize));
        Self { in_flight: permits, limit: in_flight, bodies: Semaphore::new(BODIES_KIB) }
    }

    /// A place for one request; it is given back with the end of its answer.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| overloaded())
    }

    /// Requests that are being served.
    pub fn in_flight(&self) -> usize {
        self.limit as usize - self.in_flight.available_permits()
    }

    /// The request with its whole body.
    pub(super) async fn read_body<B>(&self, request: Request<B>) -> Result<Request<Bytes>, Fault>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Unpin,
    {
        let (head, body) = request.into_parts();
        if body.is_end_stream() {
            return Ok(Request::from_parts(head, Bytes::new()));
        }
        // A body without a length may grow to the limit.
        let size = body.size_hint().exact().map_or(BODY_BYTES, |exact| usize::try_from(exact).unwrap_or(BODY_BYTES));
        let kib = u32::try_from(size.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let _room = self.bodies.try_acquire_many(kib).map_err(|_| overloaded())?;
        let read = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_BYTES).collect()).await;
        let late = |_| Fault::new(Blame::Caller, Code::RequestTimeout, "The request body did not arrive in time");
        match read.map_err(late)? {
            Ok(body) => Ok(Request::from_parts(head, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(error) => {
                Err(Fault::new(Blame::Caller, Code::BadRequest, "The request body was cut short").because(error))
            }
        }
    }
}

/// What can be said of a request without reading on.
pub(super) fn check_head<B: Body>(request: &Request<B>) -> Result<(), Fault> {
    let bad = |public| Err(Fault::new(Blame::Caller, Code::BadRequest, public));
    if request.method() == Method::CONNECT || request.method() == Method::TRACE {
        return bad("This method is not served");
    }
    let target = request.uri();
    let target_bytes = target.path().len() + target.query().map_or(0, str::len);
    if target_bytes > TARGET_BYTES {
        return Err(Fault::new(Blame::Caller, Code::TargetTooLong, "The request target is too long"));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || !host.is_none_or(is_ascii) || (host.is_none() && target.authority().is_none()) {
        return bad("The request needs exactly one Host");
    }
    match request.body().size_hint().lower() {
        bytes if bytes > BODY_BYTES as u64 => Err(too_large()),
        _ => Ok(()),
    }
}

fn is_ascii(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| !text.is_empty())
}

fn too_large() -> Fault {
    Fault::new(Blame::Caller, Code::BodyTooLarge, "The request body is larger than 1 MiB")
}

fn overloaded() -> Fault {
    Fault::new(Blame::Host, Code::Overloaded, "Service temporarily unavailable")
}
