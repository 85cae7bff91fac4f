//! An answer's body on its way to the guest: as fast as the guest takes it, not longer
//! than it may be, and never silent for too long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::HttpError;
use super::echo::Echo;
use super::record::Record;

/// How much of an answer, and how long a silence within it.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    pub(super) idle: Duration,
}

/// The body of an answer.
pub struct Answer {
    inner: Incoming,
    left: u64,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    echo: Echo,
    is_over: bool,
    record: Record,
    server: String,
    /// Given back when the answer has been read, or when nobody will.
    _place: OwnedSemaphorePermit,
}

impl Answer {
    pub(super) fn new(
        inner: Incoming,
        bounds: Bounds,
        echo: Echo,
        (record, server, place): (Record, String, OwnedSemaphorePermit),
    ) -> Self {
        let Bounds { bytes: left, idle } = bounds;
        let silence = Box::pin(tokio::time::sleep(idle));
        Self { inner, left, idle, silence, echo, is_over: false, record, server, _place: place }
    }

    /// Nothing comes after it.
    fn end(&mut self, error: HttpError) -> Option<Result<Frame<Bytes>, HttpError>> {
        self.is_over = true;
        self.record.failed(&self.server, &error);
        Some(Err(error))
    }

    fn pass(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, HttpError> {
        let Ok(data) = frame.into_data() else { return Ok(None) };
        self.left = self.left.checked_sub(data.len() as u64).ok_or(HttpError::AnswerTooLarge)?;
        let open = self.echo.pass(data)?;
        Ok((!open.is_empty()).then(|| Frame::data(open)))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let until = Instant::now() + self.idle;
                    self.silence.as_mut().reset(until);
                    match self.pass(frame) {
                        Ok(None) => {}
                        Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                        Err(error) => return Poll::Ready(self.end(error)),
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.end(HttpError::Cut(error.into()))),
                Poll::Ready(None) => {
                    self.is_over = true;
                    let rest = self.echo.rest();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
                Poll::Pending if self.silence.as_mut().poll(cx).is_ready() => {
                    return Poll::Ready(self.end(HttpError::Late));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
