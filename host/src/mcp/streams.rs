//! Answers that are open: how many at once, and when they end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// Requests of this endpoint at once, of all callers and of one. An open answer may
/// wait for a person, or for a change, and holds a connection and some queues; it
/// holds no instance.
const MOST: usize = 2_048;
const MOST_OF_ONE: usize = 256;

/// Kibibytes of all answers that have not gone out yet. A client that asks for large
/// ones and does not read them has its own memory to pay with, and this much of the
/// host's.
const ANSWERS_KIB: usize = 128 << 10;
/// Bytes that are handed to a connection at once: it takes more when these are gone.
const CHUNK_BYTES: usize = 64 << 10;

/// The room for answers, and the part of it that one request's answers take up.
#[derive(Debug)]
pub(super) struct Room {
    all: Arc<Semaphore>,
    taken: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Room {
    /// The room of a host.
    pub(super) fn whole() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(ANSWERS_KIB))
    }

    /// For one request.
    pub(super) fn of(all: &Arc<Semaphore>) -> Self {
        Self { all: Arc::clone(all), taken: Mutex::default() }
    }

    /// Takes so many bytes of it; false when there is no room.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&self.all).try_acquire_many_owned(kib) else { return false };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        true
    }
}

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
    /// Of the body, and not yet with the connection.
    rest: Bytes,
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
        Self { body, rest: Bytes::new(), until: until.map(Box::pin), _held: held }
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
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                None | Some(Err(_)) => return Poll::Ready(None),
            }
        }
        let length = self.rest.len().min(CHUNK_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size_hint().exact() {
            Some(length) => SizeHint::with_exact(length + self.rest.len() as u64),
            None => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_given_back() {
        let all = Room::whole();
        let first = Room::of(&all);
        assert!(first.take(100 << 20) && first.take(20 << 20) && !first.take(20 << 20));
        assert!(!Room::of(&all).take(usize::MAX));
        drop(first);
        assert!(Room::of(&all).take(128 << 20));
    }

    #[tokio::test]
    async fn a_large_answer_goes_out_in_pieces() {
        let body = http_body_util::Full::new(Bytes::from(vec![7; 200_000])).boxed();
        let mut held = Held::new(body, None, ());
        assert_eq!(held.size_hint().exact(), Some(200_000));
        let mut lengths = Vec::new();
        while let Some(frame) = held.frame().await {
            lengths.push(frame.expect("a frame").into_data().expect("data").len());
            assert_eq!(held.size_hint().exact(), Some(200_000 - lengths.iter().sum::<usize>() as u64));
        }
        assert_eq!(lengths, [65_536, 65_536, 65_536, 3_392]);
    }

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
