//! The body of an answer: whole when the guest has ended, else a stream beside a
//! guest that is still running.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::Failed;
use crate::instance::Ended;

/// Bytes of one answer. An answer without end would hold its instance until the
/// deadline, and whoever reads it.
const ANSWER_BYTES: u64 = 8 << 20;

/// The body of an answer.
pub enum Body {
    /// Everything is here; it goes out with its length.
    Whole(Option<Bytes>),
    /// The guest is still running.
    Streamed(Streamed),
    /// Messages of the host's own, one after the other.
    Held(Pin<Box<dyn HttpBody<Data = Bytes, Error = Infallible> + Send>>),
}

/// A body whose guest is still running.
pub struct Streamed {
    body: HyperOutgoingBody,
    /// None once the guest has ended. A task of its own, because a client that
    /// reads slowly does not poll its body, and the guest's deadline must pass all
    /// the same. It ends with the body.
    guest: Option<AbortOnDropHandle<Result<(), Failed>>>,
    ended: Ended,
    sent: u64,
}

impl Body {
    /// Takes everything that an ended guest has left. It is at most what the
    /// body's channel holds, so there is nothing to wait for.
    pub(super) fn whole(mut body: HyperOutgoingBody) -> Result<Self, Failed> {
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        // Pending would mean a body that the guest left open: it ends here.
        while let Some(Some(frame)) = body.frame().now_or_never() {
            // Trailers have no place in an answer with a length.
            let Ok(data) = frame.map_err(Failed::BrokenOff)?.into_data() else { continue };
            match first {
                None => first = Some(data),
                Some(_) => rest.extend_from_slice(&data),
            }
        }
        Ok(Self::Whole(match (first, rest.is_empty()) {
            (first, true) => first.filter(|bytes| !bytes.is_empty()),
            (first, false) => Some([first.unwrap_or_default(), rest.freeze()].concat().into()),
        }))
    }

    pub(super) fn streamed(
        body: HyperOutgoingBody,
        guest: BoxFuture<'static, Result<(), Failed>>,
        ended: Ended,
    ) -> Self {
        Self::Streamed(Streamed { body, guest: Some(AbortOnDropHandle::new(tokio::spawn(guest))), ended, sent: 0 })
    }
}

impl Body {
    /// A body of the host's own, which goes on after its head.
    pub fn held(body: impl HttpBody<Data = Bytes, Error = Infallible> + Send + 'static) -> Self {
        Self::Held(Box::pin(body))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Streamed {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        loop {
            if let Some(guest) = &mut self.guest
                && let Poll::Ready(ended) = guest.poll_unpin(context)
            {
                self.guest = None;
                if let Err(failed) = ended.unwrap_or(Err(Failed::Panicked)) {
                    return Poll::Ready(Some(Err(failed)));
                }
            }
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
                // A body whose store has gone, on another thread, ends like one that
                // the guest has finished. How the guest has ended is about to be known.
                if self.guest.is_some() && self.ended.is_so() {
                    return Poll::Pending;
                }
                // The answer is complete. What the guest does after it is not
                // the caller's concern, and ends with the store.
                self.guest = None;
                return Poll::Ready(None);
            };
            let frame = frame.map_err(Failed::BrokenOff)?;
            // Trailers would go out unchecked, and no client of ours reads them.
            let Some(data) = frame.data_ref() else { continue };
            // An empty chunk on the wire would be the end of the answer, and on
            // HTTP/2 a flood of them fills the peer's heap (GHSA-f8mm-ggr3-89wh).
            if data.is_empty() {
                continue;
            }
            self.sent += data.len() as u64;
            if self.sent > ANSWER_BYTES {
                return Poll::Ready(Some(Err(Failed::BadAnswer("is larger than 8 MiB"))));
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(streamed) => streamed.poll(context),
            Self::Held(body) => body.as_mut().poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Streamed(_) => SizeHint::default(),
            Self::Held(body) => body.size_hint(),
        }
    }
}
