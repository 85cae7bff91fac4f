//! An issuer's key set over HTTP, with all the ways in which it can go wrong.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it answers.
#[derive(Clone, Debug)]
pub enum KeyAnswer {
    Set(Value),
    /// This status and this body.
    Status(u16, String),
    /// Another place to look.
    Redirect(String),
    /// A head, and then a byte now and then.
    Trickle,
    /// A body of so many bytes, without a length.
    Endless(usize),
    /// The connection ends.
    HangUp,
}

/// A server that counts how often it is asked.
#[derive(Clone)]
pub struct KeyServer {
    pub address: SocketAddr,
    answer: Arc<Mutex<KeyAnswer>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    pub async fn start(answer: KeyAnswer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = Self { address, answer: Arc::new(Mutex::new(answer)), asked: Arc::default() };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.asked.fetch_add(1, Ordering::SeqCst);
                let answer = own.answer.lock().expect("no panic").clone();
                tokio::spawn(serve(stream, answer));
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/api/auth/jwks", self.address)
    }

    pub fn answers(&self, answer: KeyAnswer) {
        *self.answer.lock().expect("no panic") = answer;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answer: KeyAnswer) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
    let whole = |status: u16, fields: &str, body: &str| {
        format!("HTTP/1.1 {status} X\r\n{fields}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    };
    const OPEN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    // Whoever asked may have left, and that is what is tested.
    let _ = match answer {
        KeyAnswer::Set(set) => stream.write_all(whole(200, "", &set.to_string()).as_bytes()).await,
        KeyAnswer::Status(status, body) => stream.write_all(whole(status, "", &body).as_bytes()).await,
        KeyAnswer::Redirect(to) => stream.write_all(whole(302, &format!("location: {to}\r\n"), "").as_bytes()).await,
        KeyAnswer::HangUp => Ok(()),
        KeyAnswer::Endless(bytes) => {
            let _ = stream.write_all(OPEN.as_bytes()).await;
            stream.write_all(&vec![b' '; bytes]).await
        }
        KeyAnswer::Trickle => {
            let _ = stream.write_all(OPEN.as_bytes()).await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        }
    };
}
