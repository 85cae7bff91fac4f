//! What a guest writes to standard output and standard error becomes log lines:
//! escaped, capped, and counted when dropped. It is data, never a line of ours.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

use crate::call::Call;

/// Lines of one call that reach the log.
const LINES: usize = 100;
/// Bytes of one line; the rest of it is dropped.
const LINE_BYTES: usize = 2_048;
/// Bytes in one write. It bounds what a single host call copies.
const WRITE_BYTES: usize = 16 << 10;

#[derive(Clone)]
pub(super) struct GuestLog(Arc<Mutex<Sink>>);

struct Sink {
    module: Arc<str>,
    call: Arc<Call>,
    line: Vec<u8>,
    written: usize,
    dropped: u64,
}

impl GuestLog {
    pub(super) fn new(module: Arc<str>, call: Arc<Call>) -> Self {
        Self(Arc::new(Mutex::new(Sink { module, call, line: Vec::new(), written: 0, dropped: 0 })))
    }

    pub(super) fn line(&self, text: &str) {
        self.push(text.as_bytes());
        self.push(b"\n");
    }

    fn push(&self, bytes: &[u8]) {
        // Nothing that runs under the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl Sink {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                _ if self.line.len() < LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if self.written >= LINES {
            self.dropped += 1;
            return;
        }
        self.written += 1;
        // `escape_debug` leaves no control character, so no guest can forge a
        // line or move the cursor of the terminal that shows it.
        let text = String::from_utf8_lossy(&line).escape_debug().to_string();
        tracing::info!(module.name = %self.module, request.id = %self.call.id, trace_id = self.call.trace.id(),
            guest.line = %text, "guest `{}` says: {text}", self.module);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        if self.dropped > 0 {
            metrics::counter!(crate::telemetry::LOG_DROPPED, "module" => self.module.to_string())
                .increment(self.dropped);
            tracing::warn!(module.name = %self.module, request.id = %self.call.id, trace_id = self.call.trace.id(),
                lines.dropped = self.dropped, "guest `{}` wrote more than {LINES} log lines in one call", self.module);
        }
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    // The default adaptor buffers empty writes without bound (GHSA-5m8g-xhq4-4h93).
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for GuestLog {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(WRITE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestLog {
    async fn ready(&mut self) {}
}

impl AsyncWrite for GuestLog {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
