//! Postgres by hand: every byte that the server says, and texts that no driver
//! sends.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer that takes longer is a hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection of a test's own.
pub struct Wire {
    stream: TcpStream,
    seen: BytesMut,
    /// An answer was not waited for, and would be taken for a later one.
    lost: bool,
    pub pid: i32,
}

/// Everything that a server said up to its next "ready".
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub bytes: Vec<u8>,
}

/// One message of the protocol.
pub struct Frame<'a> {
    pub tag: u8,
    pub body: &'a [u8],
}

/// The length of the first message of a buffer, tag included, when all of it is
/// there.
pub fn frame_length(buffer: &[u8]) -> Option<usize> {
    let length = buffer.get(1..5)?;
    let length = 1 + u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
    (buffer.len() >= length).then_some(length)
}

impl Reply {
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let length = frame_length(rest)?;
            let (frame, after) = rest.split_at(length);
            rest = after;
            Some(Frame { tag: frame[0], body: &frame[5..] })
        })
    }

    /// The cells of all rows, as text; NULL is empty.
    pub fn cells(&self) -> Vec<String> {
        self.frames().filter(|frame| frame.tag == b'D').flat_map(|row| cells(row.body)).collect()
    }

    /// What happened, without the values: tags of completed commands, codes of
    /// errors, numbers of rows.
    pub fn shape(&self) -> Vec<String> {
        let code = |what: String| what.split_once(": ").map_or(what.clone(), |(code, _)| code.to_owned());
        self.outcomes().map(|(what, rows)| format!("{} ({})", code(what), rows.len())).collect()
    }

    /// What happened, values and all; rows in an order of their own, as tables have none.
    pub fn told(&self) -> Vec<String> {
        let told = |(what, mut rows): (String, Vec<String>)| {
            rows.sort_unstable();
            format!("{what} [{}]", rows.join("; "))
        };
        self.outcomes().map(told).collect()
    }

    /// Each command's tag, or its error's code and text, with the rows before it.
    fn outcomes(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        let mut rows = Vec::new();
        self.frames().filter_map(move |frame| {
            let what = match frame.tag {
                b'D' => {
                    rows.push(cells(frame.body).join(" | "));
                    return None;
                }
                b'd' => {
                    rows.push(String::from_utf8_lossy(frame.body).into_owned());
                    return None;
                }
                b'C' => String::from_utf8_lossy(frame.body).trim_end_matches('\0').to_owned(),
                b'E' => format!("error {}: {}", field(frame.body, b'C'), field(frame.body, b'M')),
                b'A' => "notification".to_owned(),
                _ => return None,
            };
            Some((what, std::mem::take(&mut rows)))
        })
    }

    /// The code of the first error.
    pub fn error(&self) -> Option<String> {
        self.frames().find(|frame| frame.tag == b'E').map(|frame| field(frame.body, b'C'))
    }

    /// Whether the session is outside of any transaction now.
    pub fn is_idle(&self) -> bool {
        self.frames().filter(|frame| frame.tag == b'Z').last().is_some_and(|frame| frame.body == b"I")
    }
}

/// The cells of one row.
fn cells(row: &[u8]) -> Vec<String> {
    let mut cells = Vec::new();
    let mut rest = &row[2..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        cells.push(String::from_utf8_lossy(&after[..length]).into_owned());
        rest = &after[length..];
    }
    cells
}

/// A field of an error or a notice.
fn field(body: &[u8], name: u8) -> String {
    let fields = body.split(|byte| *byte == 0);
    let found = fields.into_iter().find(|field| field.first() == Some(&name));
    found.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
}

/// A text by the extended protocol.
fn one(text: &str, out: &mut BytesMut) -> Result<()> {
    frontend::parse("", text, [], out)?;
    let none = std::iter::empty::<()>;
    let bound = frontend::bind("", "", [], none(), |(), _| unreachable!("no parameters"), [0], out);
    bound.map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    frontend::describe(b'P', "", out)?;
    frontend::execute("", 0, out)?;
    frontend::sync(out);
    Ok(())
}

impl Wire {
    /// Logs in with a name and a password of plain characters.
    pub async fn connect(address: &str, database: &str, user: &str, password: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut wire = Self { stream, seen: BytesMut::new(), lost: false, pid: 0 };
        let mut out = BytesMut::new();
        frontend::startup_message([("user", user), ("database", database)], &mut out)?;
        wire.stream.write_all(&out).await?;
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let frame = tokio::time::timeout(PATIENCE, wire.frame()).await??;
            let mut out = BytesMut::new();
            match (frame[0], &frame[5..]) {
                (b'R', [0, 0, 0, 10, ..]) => {
                    frontend::sasl_initial_response("SCRAM-SHA-256", scram.message(), &mut out)?;
                }
                (b'R', [0, 0, 0, 11, challenge @ ..]) => {
                    scram.update(challenge)?;
                    frontend::sasl_response(scram.message(), &mut out)?;
                }
                (b'R', [0, 0, 0, 12, end @ ..]) => scram.finish(end)?,
                (b'K', body) => wire.pid = i32::from_be_bytes(body[..4].try_into().expect("four bytes")),
                (b'E', body) => return Err(Error::other(format!("{} {}", field(body, b'C'), field(body, b'M')))),
                (b'Z', _) => return Ok(wire),
                _ => {}
            }
            wire.stream.write_all(&out).await?;
        }
    }

    /// One text by the simple protocol: it may hold several statements.
    pub async fn simple(&mut self, text: &str) -> Result<Reply> {
        let mut out = BytesMut::new();
        frontend::query(text, &mut out)?;
        self.exchange(out, 1).await.map(|mut replies| replies.remove(0))
    }

    /// Texts by the extended protocol, all sent at once.
    pub async fn extended<T: AsRef<str>>(&mut self, texts: &[T]) -> Result<Vec<Reply>> {
        let mut out = BytesMut::new();
        for text in texts {
            one(text.as_ref(), &mut out)?;
        }
        self.exchange(out, texts.len()).await
    }

    /// The same, each in a transaction of its own that opens and ends with texts
    /// by the simple protocol.
    pub async fn in_transactions(&mut self, open: &str, texts: &[String], end: &str) -> Result<Vec<Reply>> {
        let mut out = BytesMut::new();
        for text in texts {
            frontend::query(open, &mut out)?;
            one(text, &mut out)?;
            frontend::query(end, &mut out)?;
        }
        let replies = self.exchange(out, 3 * texts.len()).await?;
        Ok(replies.into_iter().skip(1).step_by(3).collect())
    }

    async fn exchange(&mut self, out: BytesMut, replies: usize) -> Result<Vec<Reply>> {
        if std::mem::replace(&mut self.lost, true) {
            return Err(ErrorKind::NotConnected.into());
        }
        let work = async {
            // What fits into the sockets' buffers: both sides may write at once.
            self.stream.write_all(&out).await?;
            let mut all = Vec::with_capacity(replies);
            while all.len() < replies {
                let reply = self.reply().await?;
                all.push(reply);
            }
            Ok::<_, Error>(all)
        };
        let all = tokio::time::timeout(PATIENCE, work).await??;
        self.lost = false;
        Ok(all)
    }

    async fn reply(&mut self) -> Result<Reply> {
        let mut bytes = Vec::new();
        loop {
            let frame = match self.frame().await {
                Ok(frame) => frame,
                // The end of a session that was told why is an answer, too.
                Err(_) if !bytes.is_empty() => return Ok(Reply { bytes }),
                Err(error) => return Err(error),
            };
            bytes.extend_from_slice(&frame);
            match frame[0] {
                b'Z' => return Ok(Reply { bytes }),
                // The server wants rows for a COPY, and a Sync after them.
                b'G' => {
                    let mut out = BytesMut::new();
                    frontend::copy_fail("none", &mut out)?;
                    self.stream.write_all(&out).await?;
                }
                _ => {}
            }
        }
    }

    async fn frame(&mut self) -> Result<BytesMut> {
        loop {
            if let Some(length) = frame_length(&self.seen) {
                return Ok(self.seen.split_to(length));
            }
            if self.stream.read_buf(&mut self.seen).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
