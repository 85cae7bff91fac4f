//! Passwords as Better Auth hashes them, so that its users can sign in here and
//! ours there: `<salt>:<key>`, both in hexadecimal, the key by scrypt with N =
//! 16384, r = 16, p = 1 from the password in NFKC. The salt that goes in is the
//! text of the hexadecimal digits, not what they stand for.

use std::fmt::Write as _;

use scrypt::Params;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;

/// log2 of N. With r = 16: 32 MiB, and about 60 ms of a core.
const LOG_N: u8 = 14;
const R: u32 = 16;
const P: u32 = 1;
const KEY_BYTES: usize = 64;
const SALT_BYTES: usize = 16;
/// A salt from elsewhere: what scrypt reads of it is short in any case.
const SALT_TEXT: std::ops::RangeInclusive<usize> = 1..=128;

/// The hash of a password, with a salt of its own.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn hash(password: &SecretString) -> Result<String, getrandom::Error> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    let salt = hex(&salt);
    let key = hex(&derive(password, &salt));
    Ok(format!("{salt}:{key}"))
}

/// Whether this is the password. Without a hash, or with one of another kind,
/// it is not, and to find that out takes as long.
pub(super) fn verify(password: &SecretString, stored: Option<&str>) -> bool {
    let (salt, key) = stored.and_then(read).unwrap_or(("00000000000000000000000000000000", Vec::new()));
    let derived = derive(password, salt);
    // A key of another length is never equal.
    derived[..].ct_eq(&key[..]).into()
}

fn read(stored: &str) -> Option<(&str, Vec<u8>)> {
    let (salt, key) = stored.split_once(':')?;
    let key = unhex(key).filter(|key| key.len() == KEY_BYTES)?;
    SALT_TEXT.contains(&salt.len()).then_some((salt, key))
}

fn derive(password: &SecretString, salt: &str) -> [u8; KEY_BYTES] {
    let normal = SecretString::from(password.expose_secret().nfkc().collect::<String>());
    let mut key = [0; KEY_BYTES];
    let params = Params::new(LOG_N, R, P, KEY_BYTES).expect("N, r and p are within scrypt's bounds");
    scrypt::scrypt(normal.expose_secret().as_bytes(), salt.as_bytes(), &params, &mut key)
        .expect("64 bytes are within scrypt's bounds");
    key
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    /// Made-up password and salt; the key is what Better Auth 1.7.25 makes of them.
    const SALT: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn a_password_is_hashed_as_better_auth_hashes_it() {
        let key = hex(&derive(&secret("correct horse"), SALT));
        assert!(key.starts_with("13af89ff6a88bb0f") && key.ends_with("beb61e4f64"), "{key}");
        let stored = format!("{SALT}:{key}");
        assert!(verify(&secret("correct horse"), Some(&stored)));
        assert!(!verify(&secret("correct horses"), Some(&stored)));
        let upper = format!("{SALT}:{}", key.to_uppercase());
        assert!(verify(&secret("correct horse"), Some(&upper)), "the key's digits in either case");
    }

    #[test]
    fn spellings_that_look_the_same_are_the_same() {
        let stored = hash(&secret("cafe\u{301} \u{fb01}")).expect("random bytes");
        assert!(verify(&secret("caf\u{e9} fi"), Some(&stored)));
        assert!(!verify(&secret("cafe fi"), Some(&stored)));
    }

    #[test]
    fn every_hash_has_a_salt_of_its_own() {
        let [one, two] = [(); 2].map(|()| hash(&secret("correct horse")).expect("random bytes"));
        assert_ne!(one, two);
        let (salt, key) = one.split_once(':').expect("two parts");
        assert_eq!((salt.len(), key.len()), (32, 128));
    }

    #[test]
    fn what_is_no_hash_is_nobodys_password() {
        for stored in [None, Some(""), Some(":"), Some("salt:"), Some("$2b$12$abcdefghijklmnopqrstuv"), Some("ab:zz")] {
            assert!(!verify(&secret(""), stored), "{stored:?}");
            assert!(!verify(&secret("correct horse"), stored), "{stored:?}");
        }
    }
}
