//! What is let in: how large, and how much at once.
//!
//! Bodies are read whole before a guest runs, so a slow sender holds a few
//! kilobytes of the host and never an instance.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, header};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client;
use crate::config::limits::BODY_BYTES;
use crate::fault::{Blame, Code, Fault};

/// Kibibytes of all bodies that are being read or served: what senders can take
/// from the host's memory altogether. Counted as they arrive, so that a promise
/// of a large body costs nobody anything.
const BODIES_KIB: usize = 64 << 10;
/// Time for one body to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Time for the rest of a body that is refused. Longer: whoever sends without
/// end holds a place for so long.
const DISCARD_TIME: Duration = Duration::from_secs(1);
/// Bytes of a request target; proxies allow about as much.
const TARGET_BYTES: usize = 8 << 10;

/// Hosts of this kind that may have passed a request on. More: a guest that asks its own
/// host makes as many calls of one, each of which holds an instance. Fewer: services
/// that stand behind each other cannot.
const HOPS: u8 = 3;

/// What is let in at once.
pub struct Admission {
    in_flight: Arc<Semaphore>,
    limit: u32,
    bodies: Arc<Semaphore>,
}

impl Admission {
    /// At most `in_flight` requests at once.
    pub fn new(in_flight: u32) -> Self {
        let permits = Arc::new(Semaphore::new(in_flight as usize));
        Self { in_flight: permits, limit: in_flight, bodies: Arc::new(Semaphore::new(BODIES_KIB)) }
    }

    /// A place for one request; it is given back when the guest has ended.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| overloaded())
    }

    /// The places themselves, for calls that are not one request each.
    pub fn places(&self) -> Arc<Semaphore> {
        Arc::clone(&self.in_flight)
    }

    /// Requests that are being served.
    pub fn in_flight(&self) -> usize {
        self.limit as usize - self.in_flight.available_permits()
    }

    /// The request with its whole body, and the room that the body takes up.
    pub(super) async fn read_body<B>(&self, request: Request<B>) -> Result<(Request<Bytes>, Option<Room>), Fault>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Unpin,
    {
        let (head, mut body) = request.into_parts();
        if body.is_end_stream() {
            return Ok((Request::from_parts(head, Bytes::new()), None));
        }
        if body.size_hint().lower() > BODY_BYTES as u64 {
            // Who waits for "100 Continue" has nothing under way.
            if !head.headers.contains_key(header::EXPECT) {
                discard(&mut body).await;
            }
            return Err(too_large());
        }
        let read = tokio::time::timeout(BODY_TIME, self.collect(&mut body)).await;
        let late = |_| Fault::new(Blame::Caller, Code::RequestTimeout, "The request body did not arrive in time");
        let (bytes, room) = read.map_err(late)??;
        Ok((Request::from_parts(head, bytes), room))
    }

    async fn collect<B>(&self, body: &mut B) -> Result<(Bytes, Option<Room>), Fault>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Unpin,
    {
        let mut bytes = BytesMut::new();
        let mut room: Option<Room> = None;
        while let Some(frame) = body.frame().await {
            let cut =
                |error| Fault::new(Blame::Caller, Code::BadRequest, "The request body was cut short").because(error);
            // Trailers are of no use to a request handler.
            let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
            if bytes.len() + data.len() > BODY_BYTES {
                discard(body).await;
                return Err(too_large());
            }
            let kib = u32::try_from((bytes.len() + data.len()).div_ceil(1 << 10) - bytes.len().div_ceil(1 << 10));
            let more = Arc::clone(&self.bodies).try_acquire_many_owned(kib.unwrap_or(u32::MAX));
            let more = more.map_err(|_| overloaded())?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok((bytes.freeze(), room))
    }
}

/// The part of the host's memory for bodies that one body takes up.
pub(super) type Room = OwnedSemaphorePermit;

/// Reads on for a moment. A client that is still sending when the connection
/// closes would see a broken pipe instead of its answer.
async fn discard<B: Body + Unpin>(body: &mut B) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // Its end is the time's, and either will do.
    let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
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
    if client::hops(request.headers()) > HOPS {
        return Err(Fault::new(Blame::Caller, Code::LoopDetected, "The request has come here in a circle"));
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || !host.is_none_or(is_authority) || (host.is_none() && target.authority().is_none()) {
        return bad("The request needs exactly one Host");
    }
    Ok(())
}

/// The guest's side takes nothing else, and would be blamed for it.
fn is_authority(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.parse::<Authority>().is_ok())
}

fn too_large() -> Fault {
    Fault::new(Blame::Caller, Code::BodyTooLarge, "The request body is larger than 1 MiB")
}

fn overloaded() -> Fault {
    Fault::new(Blame::Host, Code::Overloaded, "Service temporarily unavailable")
}
