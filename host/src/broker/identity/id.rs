//! Names of rows: words that are made here as Better Auth makes them, and words
//! that come from outside.

use std::ops::RangeInclusive;

use super::Rejected;

/// What Better Auth's ids and session tokens are made of.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// 62^32: more than 190 bits.
const LENGTH: usize = 32;
/// Better Auth's own, a UUID, or a number.
const BYTES: RangeInclusive<usize> = 1..=64;

/// A random word of 32 letters and digits.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn word() -> Result<String, getrandom::Error> {
    let mut word = String::with_capacity(LENGTH);
    while word.len() < LENGTH {
        let mut bytes = [0; 2 * LENGTH];
        getrandom::fill(&mut bytes)?;
        // The four values above 4 · 62 are left out, so that every letter is as
        // likely as any other.
        let letters = bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        word.extend(letters.take(LENGTH - word.len()));
    }
    Ok(word)
}

/// Whether a text is letters, digits, `-` and `_` alone, so many of them.
pub(super) fn is_word(text: &str, bytes: &RangeInclusive<usize>) -> bool {
    bytes.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The name of a session: letters, digits and dashes, so that nothing in it has
/// to be quoted anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(String);

impl Id {
    pub(super) fn new(text: &str) -> Result<Self, Rejected> {
        if is_word(text, &BYTES) { Ok(Self(text.to_owned())) } else { Err(Rejected::Invalid) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_long_and_unlike_each_other() {
        let words: std::collections::HashSet<String> = (0..1_000).map(|_| word().expect("random bytes")).collect();
        assert_eq!(words.len(), 1_000);
        assert!(words.iter().all(|word| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_alphanumeric())));
        let seen: std::collections::HashSet<u8> = words.iter().flat_map(|word| word.bytes()).collect();
        assert_eq!(seen.len(), 62, "every letter comes up");
    }

    #[test]
    fn a_name_has_nothing_in_it_that_means_anything_to_sql() {
        for (text, good) in [
            ("AbC-123_x", true),
            ("00000000-0000-4000-8000-000000000001", true),
            ("7", true),
            ("", false),
            ("a'b", false),
            ("a b", false),
            ("a\\b", false),
            ("é", false),
            (&"a".repeat(65), false),
        ] {
            assert_eq!(Id::new(text).is_ok(), good, "{text}");
        }
    }
}
