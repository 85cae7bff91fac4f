//! A model's server at the level of bytes, for everything that no server should do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

/// The head of a stream that ends with its connection.
pub const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
/// The head of one that says itself where it ends.
pub const CHUNKED: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// One thing that the server does with a connection. After the last it closes it.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    /// The same again and again, up to so many bytes.
    Flood(Vec<u8>, usize),
    Wait(Duration),
    /// Nothing more, and the connection stays open.
    Hang,
}

impl Step {
    pub fn send(bytes: impl AsRef<[u8]>) -> Self {
        Self::Send(bytes.as_ref().to_vec())
    }
}

type Script = Box<dyn Fn(&str, usize) -> Vec<Step> + Send + Sync>;

#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    closed: AtomicUsize,
    written: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

/// A running server.
pub struct RawModel {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    listening: AbortHandle,
}

impl RawModel {
    /// Does this with every connection.
    pub async fn start(steps: Vec<Step>) -> Self {
        Self::scripted(move |_, _| steps.clone()).await
    }

    /// Does what the request, head and body, and its number from 0 make of it.
    pub async fn scripted(script: impl Fn(&str, usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, counts) = (listener.local_addr().expect("bound"), Arc::new(Counts::default()));
        let (kept, script): (_, Arc<Script>) = (Arc::clone(&counts), Arc::new(Box::new(script)));
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Self { address, counts, listening: listening.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Requests that came whole.
    pub fn asked(&self) -> usize {
        self.counts.asked.load(Ordering::SeqCst)
    }

    /// Connections that the client ended while the server was silent or writing.
    pub fn closed(&self) -> usize {
        self.counts.closed.load(Ordering::SeqCst)
    }

    /// Bytes that the network took from the server.
    pub fn written(&self) -> usize {
        self.counts.written.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<String> {
        self.counts.requests.lock().expect("no panic").clone()
    }
}

impl Drop for RawModel {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, counts: Arc<Counts>) {
    stream.set_nodelay(true).expect("a socket");
    let Some(request) = read(&mut stream).await else { return };
    let number = counts.asked.fetch_add(1, Ordering::SeqCst);
    let steps = script(&request, number);
    counts.requests.lock().expect("no panic").push(request);
    for step in steps {
        let done = match step {
            Step::Send(bytes) => write(&mut stream, &bytes, &counts).await,
            Step::Flood(bytes, most) => flood(&mut stream, &bytes, most, &counts).await,
            Step::Wait(time) => {
                tokio::time::sleep(time).await;
                true
            }
            Step::Hang => {
                // A client that sends nothing more is read from only to see it go.
                while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
                false
            }
        };
        if !done {
            counts.closed.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
    let _ = stream.shutdown().await;
    // Closing with unread bytes resets the connection, and what was sent with it.
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 64])).await;
}

async fn write(stream: &mut TcpStream, bytes: &[u8], counts: &Counts) -> bool {
    let is_written = stream.write_all(bytes).await.is_ok();
    counts.written.fetch_add(bytes.len(), Ordering::SeqCst);
    is_written
}

async fn flood(stream: &mut TcpStream, bytes: &[u8], most: usize, counts: &Counts) -> bool {
    let mut left = most;
    while left > 0 {
        if !write(stream, bytes, counts).await {
            return false;
        }
        left = left.saturating_sub(bytes.len());
    }
    true
}

/// One request, head and body.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    let head = loop {
        if let Some(at) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    while seen.len() < head + length {
        if stream.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&seen).into_owned())
}

/// A body in chunks of these sizes, taken in turn.
pub fn in_chunks(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut sent, mut rest, mut sizes) = (CHUNKED.as_bytes().to_vec(), body, sizes.iter().cycle());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().expect("a size")));
        sent.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        sent.extend_from_slice(chunk);
        sent.extend_from_slice(b"\r\n");
        rest = after;
    }
    sent.extend_from_slice(b"0\r\n\r\n");
    sent
}

/// An address that does not answer: a listener whose queue is full.
pub struct Unanswering {
    pub address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Unanswering {
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("bound");
        let mut queue = Vec::new();
        // Until one is left waiting, which is what the next one will be.
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queue.push(stream);
        }
        Self { address, _listener: listener, _queue: queue }
    }
}
