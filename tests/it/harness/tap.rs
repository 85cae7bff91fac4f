//! A proxy before Postgres that listens in: what a host asks in how many turns,
//! and what state its connections are left in between its calls.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::proxy::target;
use super::wire::{Reply, frame_length};

/// A session that is in a transaction for longer was left in one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that are read at once: a whole turn of a small call.
const READ: usize = 64 << 10;

/// A question to a connection of somebody else's, and where its answer goes.
type Question = (String, oneshot::Sender<Reply>);

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<mpsc::Sender<Question>>>,
    turns: Mutex<Vec<String>>,
    delay: AtomicU64,
}

/// Stands before a server.
pub struct Tap {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Tap {
    /// Before the server of this database URL.
    pub async fn before(url: &str) -> Self {
        let target = target(url);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::<Shared>::default();
        let seen = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (send, questions) = mpsc::channel(1);
                lock(&seen.connections).push(send);
                tokio::spawn(carry(client, target.clone(), Arc::clone(&seen), questions));
            }
        });
        Self { address, shared }
    }

    /// The database URL by way of the tap, in the clear.
    pub fn url(&self, url: &str) -> String {
        format!("{}?sslmode=disable", url.replace(&target(url), &self.address.to_string()))
    }

    /// Answers of the server reach the host so much later.
    pub fn delay(&self, delay: Duration) {
        self.shared.delay.store(u64::try_from(delay.as_micros()).expect("short"), Ordering::Relaxed);
    }

    /// What was sent since the last look, a line per turn: whatever goes to the
    /// server before it says something begins no new turn.
    pub fn turns(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.shared.turns))
    }

    /// Asks every connection that is open, as soon as it is in no transaction and
    /// has no answer to wait for. The host does not notice.
    pub async fn ask(&self, text: &str) -> Vec<Reply> {
        let connections = lock(&self.shared.connections).clone();
        let mut replies = Vec::new();
        for connection in connections {
            let (send, answer) = oneshot::channel();
            // A connection that has ended answers nothing.
            if connection.send((text.to_owned(), send)).await.is_ok() {
                let answer = tokio::time::timeout(PATIENCE, answer).await;
                replies.extend(answer.expect("a session that comes out of its transaction"));
            }
        }
        replies
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection, as its messages go by.
#[derive(Default)]
struct Traffic {
    up: BytesMut,
    down: BytesMut,
    started: bool,
    logged_in: bool,
    in_transaction: bool,
    /// Answers that the client waits for.
    owed: u32,
    server_spoke: bool,
}

impl Traffic {
    fn sent(&mut self, bytes: &[u8], turns: &Mutex<Vec<String>>) {
        self.up.extend_from_slice(bytes);
        if !self.started {
            // The first message has no tag.
            let Some(length) = self.up.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize) else {
                return;
            };
            if self.up.len() < length {
                return;
            }
            self.up.advance(length);
            self.started = true;
        }
        while let Some(length) = frame_length(&self.up) {
            let frame = self.up.split_to(length);
            self.owed += u32::from(matches!(frame[0], b'Q' | b'S'));
            let mut turns = lock(turns);
            if std::mem::take(&mut self.server_spoke) || turns.is_empty() {
                turns.push(String::new());
            }
            let line = turns.last_mut().expect("pushed");
            line.push(char::from(frame[0]));
            if frame[0] == b'Q' {
                let text = String::from_utf8_lossy(&frame[5..length - 1]).into_owned();
                line.extend([":", text.split([' ', ';']).next().unwrap_or_default(), " "]);
            }
        }
    }

    fn answered(&mut self, bytes: &[u8]) {
        self.server_spoke = true;
        self.down.extend_from_slice(bytes);
        while let Some(length) = frame_length(&self.down) {
            let frame = self.down.split_to(length);
            if frame[0] == b'Z' {
                self.in_transaction = frame[5] != b'I';
                // The first is the end of the login.
                self.owed -= u32::from(std::mem::replace(&mut self.logged_in, true));
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.logged_in && !self.in_transaction && self.owed == 0 && self.up.is_empty() && self.down.is_empty()
    }
}

async fn carry(mut client: TcpStream, target: String, shared: Arc<Shared>, mut questions: mpsc::Receiver<Question>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let mut traffic = Traffic::default();
    let (mut from_client, mut from_server) = (BytesMut::new(), BytesMut::new());
    loop {
        from_client.reserve(READ);
        from_server.reserve(READ);
        tokio::select! {
            read = client.read_buf(&mut from_client) => {
                if !read.is_ok_and(|read| read > 0) { return }
                traffic.sent(&from_client, &shared.turns);
                if server.write_all(&from_client.split()).await.is_err() { return }
            }
            read = server.read_buf(&mut from_server) => {
                if !read.is_ok_and(|read| read > 0) { return }
                traffic.answered(&from_server);
                tokio::time::sleep(Duration::from_micros(shared.delay.load(Ordering::Relaxed))).await;
                if client.write_all(&from_server.split()).await.is_err() { return }
            }
            Some((text, answer)) = questions.recv(), if traffic.is_idle() => {
                let Some(reply) = ask(&mut server, &text).await else { return };
                let _ = answer.send(reply);
            }
        }
    }
}

async fn ask(server: &mut TcpStream, text: &str) -> Option<Reply> {
    let mut out = BytesMut::new();
    frontend::query(text, &mut out).ok()?;
    server.write_all(&out).await.ok()?;
    let (mut seen, mut bytes) = (BytesMut::new(), Vec::new());
    loop {
        while let Some(length) = frame_length(&seen) {
            let frame = seen.split_to(length);
            bytes.extend_from_slice(&frame);
            if frame[0] == b'Z' {
                return Some(Reply { bytes });
            }
        }
        if server.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    }
}
