//! What clients keep for the host: encrypted, so that nobody reads it, and
//! authenticated, so that nobody changes it or uses it for something else.
//!
//! Every token has a key of its own, derived from the host's and a random salt, so
//! that no nonce can ever come twice.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};

/// Bytes of the salt: as many as the key has.
const SALT: usize = 32;
/// Bytes that the time of a token's end takes up.
const TIME: usize = 8;
/// Bytes of a token that is looked at.
const MOST: usize = 96 << 10;

/// What tokens are made for; one is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What a guest wants to be told again.
    State,
    /// A session of the older protocols.
    Session,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::State => b"innkeeper mcp state 1",
            Self::Session => b"innkeeper mcp session 1",
        }
    }
}

/// Makes and opens tokens.
pub(super) struct Seal(Prk);

/// A token cannot be made: the system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub(super) struct NoRandom;

impl Seal {
    /// Tokens of this secret: every host that has it opens them.
    pub(super) fn of(secret: &[u8]) -> Self {
        Self(Salt::new(HKDF_SHA256, b"innkeeper mcp").extract(secret))
    }

    /// Tokens of this process alone.
    pub(super) fn random() -> Result<Self, NoRandom> {
        let mut secret = [0; SALT];
        getrandom::fill(&mut secret).map_err(|_| NoRandom)?;
        Ok(Self::of(&secret))
    }

    /// A token that ends at so many seconds since 1970, and opens for the same
    /// `bound` alone.
    pub(super) fn close(&self, purpose: Purpose, bound: &[u8], until: u64, content: &[u8]) -> Result<String, NoRandom> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|_| NoRandom)?;
        let mut sealed = until.to_be_bytes().to_vec();
        sealed.extend_from_slice(content);
        let key = self.key(purpose, &salt).ok_or(NoRandom)?;
        key.seal_in_place_append_tag(nonce(), Aad::from(bound), &mut sealed).map_err(|_| NoRandom)?;
        Ok(URL_SAFE_NO_PAD.encode([&salt[..], &sealed].concat()))
    }

    /// What is in a token; none when it is not one of ours, for something else, or
    /// past its time.
    pub(super) fn open(&self, purpose: Purpose, bound: &[u8], token: &str) -> Option<Vec<u8>> {
        if token.len() > MOST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (salt, sealed) = bytes.split_at_checked(SALT)?;
        let mut sealed = sealed.to_vec();
        let key = self.key(purpose, salt)?;
        let opened = key.open_in_place(nonce(), Aad::from(bound), &mut sealed).ok()?;
        let (until, content) = opened.split_at_checked(TIME)?;
        let until = u64::from_be_bytes(until.try_into().ok()?);
        (now() < until).then(|| content.to_vec())
    }

    fn key(&self, purpose: Purpose, salt: &[u8]) -> Option<LessSafeKey> {
        let info = [purpose.info(), salt];
        let derived = self.0.expand(&info, &CHACHA20_POLY1305).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

/// One key, one message, one nonce.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_for_what_it_was_made_for_and_for_nothing_else() {
        let seal = Seal::of(b"secret");
        let token = seal.close(Purpose::State, b"ada", now() + 60, b"content").expect("sealed");
        assert_eq!(seal.open(Purpose::State, b"ada", &token).as_deref(), Some(&b"content"[..]));
        assert_eq!(Seal::of(b"secret").open(Purpose::State, b"ada", &token).as_deref(), Some(&b"content"[..]));
        assert_eq!(seal.open(Purpose::State, b"bob", &token), None);
        assert_eq!(seal.open(Purpose::Session, b"ada", &token), None);
        assert_eq!(Seal::of(b"other").open(Purpose::State, b"ada", &token), None);
        let late = seal.close(Purpose::State, b"ada", now(), b"content").expect("sealed");
        assert_eq!(seal.open(Purpose::State, b"ada", &late), None);
    }

    #[test]
    fn a_token_with_one_other_character_does_not_open() {
        let seal = Seal::of(b"secret");
        let token = seal.close(Purpose::State, b"", now() + 60, b"content").expect("sealed");
        for at in 0..token.len() {
            for other in [b'A', b'B'] {
                let mut bytes = token.clone().into_bytes();
                if bytes[at] == other {
                    continue;
                }
                bytes[at] = other;
                let other = String::from_utf8(bytes).expect("ASCII");
                assert_eq!(seal.open(Purpose::State, b"", &other), None, "{at}");
            }
        }
        for cut in 0..token.len() {
            assert_eq!(seal.open(Purpose::State, b"", &token[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn equal_contents_make_unlike_tokens() {
        let seal = Seal::of(b"secret");
        let make = || seal.close(Purpose::State, b"", now() + 60, b"content").expect("sealed");
        assert_ne!(make(), make());
    }
}
