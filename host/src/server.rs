//! Connections: accepted, bounded, timed, drained.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tower::{Service, ServiceExt};

use crate::call::Peer;

/// Connections at once. More would be file descriptors that the host lacks.
const CONNECTIONS: usize = 4_096;
/// Time for a request's head, and between two requests on one connection.
/// Shorter: slow phones fail. Longer: silent peers hold connections.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// A client that takes no byte for so long is gone.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request's head, and fields in it.
const HEAD_BYTES: usize = 32 << 10;
const HEAD_FIELDS: usize = 64;
/// Time for requests in flight to end after the signal to stop; Kubernetes
/// kills after 30 s.
const DRAIN_TIME: Duration = Duration::from_secs(25);
/// Pause after a failed accept: out of file descriptors, mostly, and trying
/// again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What one listener does with its connections.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Accept HTTP/2 with prior knowledge too.
    pub h2c: bool,
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request in flight came to its end.
    Clean,
    /// Some were cut off after the grace period.
    CutOff,
}

/// Serves until `shutdown` resolves, then drains.
pub async fn run<S, B>(
    listener: TcpListener,
    service: S,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::pin!(shutdown);
    loop {
        // Waiting for a place leaves newcomers in the kernel's queue.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = &mut shutdown => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match stream {
            Ok((stream, peer)) => {
                let (service, watcher) = (service.clone(), graceful.watcher());
                let service = service.map_request(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(Peer(peer.ip()));
                    request
                });
                tokio::spawn(async move {
                    let _place = place;
                    connection(stream, service, options, watcher).await;
                });
            }
            Err(error) => pause(&error).await,
        }
    }
    // New connections are refused by the kernel from here on.
    drop(listener);
    match tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await {
        Ok(()) => Drained::Clean,
        Err(_) => Drained::CutOff,
    }
}

async fn pause(error: &io::Error) {
    // A peer that left before it was accepted is no reason to wait.
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!("cannot accept a connection: {error}");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

type Watcher = hyper_util::server::graceful::Watcher;

async fn connection<S, B>(stream: TcpStream, service: S, options: Options, watcher: Watcher)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    // Answers are written whole; waiting for more to send only adds latency.
    let _ = stream.set_nodelay(true);
    let http2 = options.h2c && speaks_http2(&stream).await;
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIME));
    let io = TokioIo::new(Box::pin(stream));
    let service = TowerToHyperService::new(service);
    // An error here is a peer that left or broke the protocol; hyper has
    // answered what can be answered, and there is nobody left to tell.
    let _ = if http2 {
        watcher.watch(http2_builder().serve_connection(io, service)).await
    } else {
        watcher.watch(http1_builder().serve_connection(io, service)).await
    };
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // Without a timer hyper has no header timeout at all.
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        // A client that closes its half after sending has left (see `dispatch`).
        .half_close(false);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(256 << 10)
        .max_send_buf_size(64 << 10)
        .max_header_list_size(16 << 10)
        .max_local_error_reset_streams(64)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Whether the connection opens with HTTP/2's preface (RFC 9113 section 3.4).
/// hyper-util tells them apart too, without a bound on the time it waits.
async fn speaks_http2(stream: &TcpStream) -> bool {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
    let look = async {
        let mut seen = [0; PREFACE.len()];
        loop {
            match stream.peek(&mut seen).await {
                Ok(length) if length == PREFACE.len() || seen[..length] != PREFACE[..length] => return seen == PREFACE,
                // The rest of the preface is on its way; `peek` would answer at
                // once with what is here already.
                Ok(length) if length > 0 => tokio::time::sleep(Duration::from_millis(5)).await,
                _ => return false,
            }
        }
    };
    tokio::time::timeout(HEAD_TIME, look).await.unwrap_or(false)
}
