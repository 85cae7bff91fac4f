//! Whether a guest has ended, told before its store goes. With the store go the bodies
//! that the guest was writing, and a body whose writer has gone ends, for whoever reads
//! it on another thread, like one that was finished: half an answer, or half a request
//! to somebody else, would look whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::Error;

/// Known to all who hold a clone.
#[derive(Clone, Debug, Default)]
pub struct Ended(Arc<AtomicBool>);

/// Held by the guest's own future, and dropped before its store.
#[derive(Debug)]
pub struct Ending(Ended);

impl Ended {
    /// The guest ends with what this returns.
    pub fn when_dropped(&self) -> Ending {
        Ending(self.clone())
    }

    /// Whether it has.
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}

/// A body that ends while its guest runs, or is cut off.
pub(super) struct Finished<B> {
    pub(super) body: B,
    pub(super) ended: Ended,
}

impl<B: Body<Error = Error> + Unpin> Body for Finished<B> {
    type Data = B::Data;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match polled {
            Poll::Ready(None) if self.ended.is_so() => Poll::Ready(Some(Err(Error::HttpProtocolError))),
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
