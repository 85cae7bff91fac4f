//! Better Auth's session tokens: opaque words, signed where a browser keeps them.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, Mac};
use percent_encoding::percent_decode_str;
use sha2::Sha256;

use super::Rejected;
use super::id::is_word;

/// Better Auth makes 32 characters; what is far from it is no session of anybody's.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 8..=128;
/// A signed token with every character of the signature percent-encoded.
const SIGNED_BYTES: usize = 512;
/// HMAC-SHA-256 in base64, padded.
const SIGNATURE_BYTES: usize = 44;

/// The URL's alphabet, with padding or without: as the bearer plugin takes it.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A word of letters, digits, `-` and `_`: nothing that would have to be quoted
/// anywhere. It is as good as a password, so it is never shown.
#[derive(PartialEq, Eq)]
pub(super) struct SessionToken(String);

impl SessionToken {
    pub(super) fn new(text: &str) -> Result<Self, Rejected> {
        if is_word(text, &TOKEN_BYTES) { Ok(Self(text.to_owned())) } else { Err(Rejected::Invalid) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// Verifies the signatures that Better Auth puts behind a session token.
pub(super) struct Signatures(Hmac<Sha256>);

impl Signatures {
    pub(super) fn new(secret: &[u8]) -> Self {
        // HMAC takes a key of any length.
        Self(Hmac::new_from_slice(secret).expect("any key length"))
    }

    /// A cookie's value: percent-encoded, its signature padded, in the standard
    /// alphabet.
    pub(super) fn verify_cookie(&self, value: &str) -> Result<SessionToken, Rejected> {
        self.verify(value, |signature| {
            let padded = signature.len() == SIGNATURE_BYTES && signature.ends_with('=');
            padded.then(|| STANDARD.decode(signature).ok()).flatten()
        })
    }

    /// The same as a Bearer: decoded or not, in either alphabet.
    pub(super) fn verify_bearer(&self, value: &str) -> Result<SessionToken, Rejected> {
        self.verify(value, |signature| STANDARD.decode(signature).or_else(|_| URL_SAFE.decode(signature)).ok())
    }

    fn verify(&self, value: &str, decode: impl Fn(&str) -> Option<Vec<u8>>) -> Result<SessionToken, Rejected> {
        if value.len() > SIGNED_BYTES {
            return Err(Rejected::Invalid);
        }
        let value = percent_decoded(value).ok_or(Rejected::Invalid)?;
        let (token, signature) = value.rsplit_once('.').ok_or(Rejected::Invalid)?;
        let token = SessionToken::new(token)?;
        let signature = decode(signature).ok_or(Rejected::Invalid)?;
        // In constant time, and of one length alone.
        self.0.clone().chain_update(token.as_str()).verify_slice(&signature).map_err(|_| Rejected::Invalid)?;
        Ok(token)
    }
}

/// The library lets a stray `%` through as it is, and a browser never sends one.
fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    let mut pieces = text.split('%');
    pieces.next();
    let encoded = |piece: &str| piece.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    pieces.all(encoded).then(|| percent_decode_str(text).decode_utf8().ok()).flatten()
}
