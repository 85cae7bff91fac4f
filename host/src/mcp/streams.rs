//! Answers that are open: how many at once, and when they end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio_util::sync::WaitForCancellationFutureOwned;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;

/// Requests of this endpoint at once, of all callers and of one. An open answer may
/// wait for a person, or for a change, and holds a connection and some queues; it
/// holds no instance.
const MOST: usize = 2_048;
const MOST_OF_ONE: usize = 256;

/// The requests that are being answered.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    all: usize,
    by_owner: HashMap<Arc<str>, usize>,
}

/// The place of one of them.
pub(super) struct Slot {
    streams: Streams,
    owner: Arc<str>,
}

impl Streams {
    /// A place; none when there are too many.
    pub(super) fn enter(&self, owner: Arc<str>) -> Option<Slot> {
        let mut open = self.lock();
        if open.all >= MOST {
            return None;
        }
        let count = open.by_owner.entry(Arc::clone(&owner)).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        open.all += 1;
        Some(Slot { streams: self.clone(), owner })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing that runs under the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        open.all -= 1;
        if let Some(count) = open.by_owner.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                open.by_owner.remove(&self.owner);
            }
        }
    }
}

/// The body of an answer, with what it holds.
pub(super) struct Held<H> {
    body: BoxBody<Bytes, Infallible>,
    /// Ends the body when it resolves.
    until: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _held: H,
}

impl<H> Held<H> {
    pub(super) fn new(
        body: BoxBody<Bytes, Infallible>,
        until: Option<WaitForCancellationFutureOwned>,
        held: H,
    ) -> Self {
        Self { body, until: until.map(Box::pin), _held: held }
    }
}

impl<H: Unpin> HttpBody for Held<H> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.until.as_mut().is_some_and(|until| until.poll_unpin(context).is_ready()) {
            self.until = None;
            self.body = http_body_util::Empty::new().boxed();
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let streams = Streams::default();
        let ada: Vec<_> = (0..MOST_OF_ONE).map(|_| streams.enter("ada".into()).expect("a place")).collect();
        assert!(streams.enter("ada".into()).is_none());
        assert!(streams.enter("bob".into()).is_some());
        drop(ada);
        assert!(streams.enter("ada".into()).is_some());
        let open = streams.lock();
        assert_eq!((open.all, open.by_owner.len()), (0, 0));
    }
}
