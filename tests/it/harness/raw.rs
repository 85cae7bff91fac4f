//! HTTP/1.1 by hand, for what no client library sends.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection of a test's own, whichever end of it.
pub struct Raw<S = TcpStream> {
    stream: S,
    seen: Vec<u8>,
}

/// One request.
#[derive(Debug)]
pub struct Request {
    /// With the empty line at its end.
    pub head: String,
    pub body: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("a connection"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, seen: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Nothing more is sent.
    pub async fn finish(&mut self) -> Result<()> {
        self.stream.shutdown().await
    }

    /// The next request; none when the peer closed before its first byte.
    pub async fn request(&mut self) -> Result<Option<Request>> {
        let Some(head) = self.until(b"\r\n\r\n").await? else { return Ok(None) };
        let head = String::from_utf8_lossy(&head).into_owned();
        let body = self.body(&head).await?;
        Ok(Some(Request { head, body }))
    }

    /// A request without a body, for a host that does not matter.
    pub async fn ask(&mut self, path: &str) -> Result<()> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await
    }

    /// The next answer; none when the peer closed before its first byte.
    pub async fn answer(&mut self) -> Result<Option<Answer>> {
        let Some(mut answer) = self.head().await? else { return Ok(None) };
        answer.body = self.body(&answer.head).await?;
        Ok(Some(answer))
    }

    /// The same for an answer that has no body, whatever its head says.
    pub async fn head(&mut self) -> Result<Option<Answer>> {
        let Some(head) = self.until(b"\r\n\r\n").await? else { return Ok(None) };
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(ErrorKind::InvalidData)?;
        Ok(Some(Answer { status, head, body: Vec::new() }))
    }

    /// Everything up to the end of the connection; none when it is still open
    /// after that time. A reset is an end.
    pub async fn rest(mut self, within: Duration) -> Option<String> {
        let read = async { while self.more().await.is_ok_and(|read| read > 0) {} };
        tokio::time::timeout(within, read).await.ok()?;
        Some(String::from_utf8_lossy(&self.seen).into_owned())
    }

    /// What belongs to this head.
    async fn body(&mut self, head: &str) -> Result<Vec<u8>> {
        match header(head, "content-length") {
            Some(length) => self.take(length.parse().map_err(Error::other)?).await,
            None if header(head, "transfer-encoding").is_some() => self.chunks().await,
            None => Ok(Vec::new()),
        }
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?.ok_or(ErrorKind::UnexpectedEof)?;
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).map_err(Error::other)?;
            body.extend(self.take(size + 2).await?);
            body.truncate(body.len() - 2);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn more(&mut self) -> Result<usize> {
        self.stream.read_buf(&mut self.seen).await
    }

    async fn until(&mut self, end: &[u8]) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.seen.windows(end.len()).position(|window| window == end) {
                return Ok(Some(self.seen.drain(..at + end.len()).collect()));
            }
            match self.more().await {
                Ok(0) if self.seen.is_empty() => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if self.seen.is_empty() && error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    async fn take(&mut self, bytes: usize) -> Result<Vec<u8>> {
        while self.seen.len() < bytes {
            if self.more().await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.seen.drain(..bytes).collect())
    }
}
