//! Lets as much of an answer through as there is room for. The client library
//! reads on by itself, into a queue without a bound; so what it reads from stops
//! when a guest is slow, and with it the socket.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::Notify;

use super::frames::{DONE, Frame, Frames, framed};

/// Events that wait for a guest. A batch of `next` takes at most as many.
const EVENTS: usize = 256;
/// And their bytes. Less: large events go through one by one. More: so much memory
/// for each slow guest.
const BYTES: usize = 256 << 10;

/// Why there is no more of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its mark came.
    Done,
    /// The upstream ended it.
    Eof,
    /// The connection broke, or the answer was too long.
    Broken,
}

/// What the two ends of one answer share: the reader of the socket and the guest.
#[derive(Default)]
pub(super) struct Exchange {
    state: Mutex<State>,
    room: Notify,
    request_id: OnceLock<String>,
}

#[derive(Default)]
struct State {
    /// Bytes of each event that is on its way.
    waiting: VecDeque<usize>,
    bytes: usize,
    end: Option<End>,
}

impl Exchange {
    /// One event was taken.
    pub(super) fn taken(&self) {
        let mut state = self.state();
        if let Some(bytes) = state.waiting.pop_front() {
            state.bytes -= bytes;
        }
        drop(state);
        self.room.notify_one();
    }

    /// Why there is no more; known once there is no more. A reader that died
    /// without a word broke off.
    pub(super) fn end(&self) -> End {
        self.state().end.unwrap_or(End::Broken)
    }

    pub(super) fn set_request_id(&self, id: String) {
        let _ = self.request_id.set(id);
    }

    pub(super) fn request_id(&self) -> Option<String> {
        self.request_id.get().cloned()
    }

    /// Waits until there is room for an event, and takes it. An event that is
    /// larger than all the room goes through alone.
    async fn room_for(&self, bytes: usize) {
        loop {
            {
                let mut state = self.state();
                let has_room = state.waiting.len() < EVENTS && state.bytes + bytes <= BYTES;
                if has_room || state.waiting.is_empty() {
                    state.waiting.push_back(bytes);
                    state.bytes += bytes;
                    return;
                }
            }
            // A guest that took one since then has left its note here.
            self.room.notified().await;
        }
    }

    fn set_end(&self, end: End) {
        self.state().end.get_or_insert(end);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It holds numbers that are changed together, and nothing between panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Gate {
    exchange: Arc<Exchange>,
    response: reqwest::Response,
    frames: Frames,
    chunk: Bytes,
    /// Bytes that may still come.
    left: usize,
    is_over: bool,
}

/// The events of an answer, each in a chunk of its own, of `most` bytes together.
pub(super) fn events(
    response: reqwest::Response,
    exchange: Arc<Exchange>,
    most: usize,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let gate = Gate { exchange, response, frames: Frames::default(), chunk: Bytes::new(), left: most, is_over: false };
    stream::unfold(gate, |mut gate| async move { Some((Ok(gate.next().await?), gate)) })
}

/// An answer that came at once, as if it were a stream of one event.
pub(super) fn whole(body: &[u8], exchange: &Exchange) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    exchange.set_end(End::Done);
    stream::iter([Ok(framed(body.trim_ascii()))])
}

impl Gate {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.frames.next(&mut self.chunk) {
                Ok(Some(frame)) => return Some(self.pass(frame).await),
                Ok(None) if self.is_over => return None,
                Ok(None) => {}
                Err(_) => return self.stop(End::Broken),
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) if chunk.len() > self.left => return self.stop(End::Broken),
                Ok(Some(chunk)) => {
                    self.left -= chunk.len();
                    self.chunk = chunk;
                }
                ended => {
                    self.stop(if ended.is_ok() { End::Eof } else { End::Broken });
                    let last = self.frames.last()?;
                    return Some(self.pass(last).await);
                }
            }
        }
    }

    async fn pass(&mut self, frame: Frame) -> Bytes {
        match frame {
            Frame::Data(data) => {
                self.exchange.room_for(data.len()).await;
                data
            }
            Frame::Done => {
                self.is_over = true;
                self.exchange.set_end(End::Done);
                Bytes::from_static(DONE)
            }
        }
    }

    fn stop(&mut self, end: End) -> Option<Bytes> {
        self.is_over = true;
        self.exchange.set_end(end);
        None
    }
}
