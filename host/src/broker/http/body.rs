//! What a guest sends, counted.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{BoxError, Outbound};

/// The body is larger than `limits.http_bytes`.
#[derive(Debug, thiserror::Error)]
#[error("the body is larger than limits.http_bytes")]
pub(super) struct TooLarge;

pub(super) struct Counted {
    inner: Outbound,
    left: u64,
}

impl Counted {
    pub(super) fn new(inner: Outbound, most: u64) -> Self {
        Self { inner, left: most }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.remaining() as u64),
            _ => 0,
        };
        Poll::Ready(match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                frame
            }
            None => Some(Err(TooLarge.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
