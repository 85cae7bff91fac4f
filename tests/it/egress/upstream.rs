//! A server that guests ask, which answers as the path says, well or badly.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness::{Raw, Request};

/// What it saw.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<(usize, Vec<String>)>>);

impl Seen {
    fn connection(&self) {
        self.0.lock().expect("no panic").0 += 1;
    }

    fn head(&self, head: String) {
        self.0.lock().expect("no panic").1.push(head);
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.0.lock().expect("no panic").0
    }

    /// Heads of requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.0.lock().expect("no panic").1.clone()
    }
}

pub struct Upstream {
    pub address: SocketAddr,
    pub seen: Seen,
}

impl Upstream {
    /// On a port of this machine.
    pub async fn start() -> Self {
        Self::serve(None).await
    }

    /// The same by TLS.
    pub async fn start_tls(acceptor: TlsAcceptor) -> Self {
        Self::serve(Some(acceptor)).await
    }

    async fn serve(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let seen = Seen::default();
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connection();
                let (seen, tls) = (shared.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, seen).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => converse(stream, seen).await,
                            Err(error) => Err(error),
                        },
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, seen: Seen) -> std::io::Result<()> {
    let mut stream = Raw::over(stream);
    while let Some(Request { head, body }) = stream.request().await? {
        let head = head.trim_end();
        seen.head(head.to_owned());
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let echo = format!("{head}\n{} bytes", body.len());
        match path.as_str() {
            "/silent" => tokio::time::sleep(Duration::from_secs(60)).await,
            "/stall" => {
                stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nand then").await?;
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            "/cut" => {
                stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut").await?;
                return Ok(());
            }
            "/endless" => {
                stream.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                loop {
                    stream.send(format!("10000\r\n{}\r\n", "x".repeat(0x1_0000)).as_bytes()).await?;
                }
            }
            "/garbage" => stream.send(b"SSH-2.0-OpenSSH_9.2\r\n").await?,
            "/long-head" => {
                stream.send(b"HTTP/1.1 200 OK\r\n").await?;
                for n in 0..10_000 {
                    stream.send(format!("x-{n}: {}\r\n", "x".repeat(100)).as_bytes()).await?;
                }
            }
            "/interim" => {
                for _ in 0..1_000_000 {
                    stream.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                }
            }
            "/redirect" => {
                let to = "http://169.254.169.254/latest/meta-data/";
                let answer = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
                stream.send(answer.as_bytes()).await?;
            }
            "/echo-in-a-header" => {
                let token = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
                let answer = format!("HTTP/1.1 200 OK\r\nx-you-sent: {token}\r\ncontent-length: 0\r\n\r\n");
                stream.send(answer.as_bytes()).await?;
            }
            // Byte by byte, so that no piece of it holds all of a secret.
            "/echo-slowly" => {
                stream.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                for byte in echo.bytes() {
                    stream.send(&[b'1', b'\r', b'\n', byte, b'\r', b'\n']).await?;
                }
                stream.send(b"0\r\n\r\n").await?;
            }
            _ => {
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{echo}", echo.len());
                stream.send(answer.as_bytes()).await?;
            }
        }
    }
    Ok(())
}
