//! Servers that answer with what they were sent. The secret that the host has put into
//! a request must not come back to the guest in the answer.
//!
//! It is found as it was sent, in header fields and in the body, over the joints of the
//! body's pieces, too. A server that encodes what it echoes is not one to grant with a
//! secret; the documentation says so.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::HttpError;
use crate::config::HttpGrant;

/// Shorter ones are in every answer, and no secret.
const LEAST_BYTES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Echo {
    secrets: Vec<Vec<u8>>,
    /// The end of what has come, where it may be the beginning of a secret.
    held: Bytes,
}

impl Echo {
    pub(super) fn of(grant: &HttpGrant) -> Self {
        let secrets = grant.headers.iter().map(|header| header.secret().to_vec());
        Self { secrets: secrets.filter(|secret| secret.len() >= LEAST_BYTES).collect(), held: Bytes::new() }
    }

    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        headers.values().any(|value| self.secrets.iter().any(|secret| contains(value.as_bytes(), secret)))
    }

    /// What may go on of the next piece.
    pub(super) fn pass(&mut self, piece: Bytes) -> Result<Bytes, HttpError> {
        if self.secrets.is_empty() {
            return Ok(piece);
        }
        let mut all = if self.held.is_empty() { piece } else { joined(&self.held, &piece) };
        if self.secrets.iter().any(|secret| contains(&all, secret)) {
            return Err(HttpError::Echo);
        }
        let held = self.secrets.iter().map(|secret| beginning(&all, secret)).max().unwrap_or_default();
        self.held = all.split_off(all.len() - held);
        Ok(all)
    }

    /// What was held back, when nothing more comes.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }
}

fn joined(held: &[u8], piece: &[u8]) -> Bytes {
    let mut all = BytesMut::with_capacity(held.len() + piece.len());
    all.extend_from_slice(held);
    all.extend_from_slice(piece);
    all.freeze()
}

fn contains(text: &[u8], secret: &[u8]) -> bool {
    memchr::memmem::find(text, secret).is_some()
}

/// How many bytes at the end of the text are the beginning of the secret.
fn beginning(text: &[u8], secret: &[u8]) -> usize {
    let most = text.len().min(secret.len() - 1);
    (1..=most).rev().find(|length| text.ends_with(&secret[..*length])).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"sk-abab-abac";

    fn echo() -> Echo {
        Echo { secrets: vec![SECRET.to_vec()], held: Bytes::new() }
    }

    /// What comes out of these pieces; none when the secret is found.
    fn out<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Option<Vec<u8>> {
        let mut echo = echo();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&echo.pass(Bytes::copy_from_slice(piece)).ok()?);
            assert!(!contains(&out, SECRET));
        }
        out.extend_from_slice(&echo.rest());
        Some(out)
    }

    #[test]
    fn a_secret_is_found_wherever_the_pieces_end() {
        let text = [b"you sent sk-abab-ab", SECRET, b" to us"].concat();
        for first in 0..text.len() {
            for second in first..text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(out(pieces), None, "{first} {second}");
            }
        }
        assert_eq!(out(text.chunks(1)), None);
    }

    #[test]
    fn not_one_byte_more_than_a_beginning_is_held_and_nothing_is_lost() {
        let text = b"sk-abab-aba sk-abab-abaX sk-abab-abab-aba";
        for first in 0..text.len() {
            assert_eq!(out([&text[..first], &text[first..]]).as_deref(), Some(&text[..]), "{first}");
        }
        assert_eq!(out(text.chunks(1)).as_deref(), Some(&text[..]));
        let mut echo = echo();
        assert_eq!(echo.pass(Bytes::from_static(b"nothing of it")).ok(), Some(Bytes::from_static(b"nothing of it")));
        assert_eq!(echo.rest(), Bytes::new());
    }
}
