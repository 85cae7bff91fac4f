//! Tokens that were verified before: who sends one with every request pays for
//! its signature once.
//!
//! A verdict is as good as what it rests on. It ends with the token, and with the
//! public key that it was reached by, and says nothing about a session, which is
//! looked up all the same. Refusals are not remembered: each is reached anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hashlink::LruCache;
use sha2::{Digest as _, Sha256};

use super::public_key::PublicKey;
use crate::call::Caller;

/// Tokens that are remembered, those used last. Together with [`TOKEN_BYTES`] some
/// 8 MiB if an issuer makes the longest ones, and 2 with ordinary ones.
const TOKENS: usize = 4_096;
/// Longer tokens are verified each time: what is remembered of one is about as long.
const TOKEN_BYTES: usize = 2 << 10;

/// What a token is remembered by: a dump of this process is no list of passwords.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// None for a token that is too long to be remembered.
    pub(super) fn of(token: &str) -> Option<Self> {
        (token.len() <= TOKEN_BYTES).then(|| Self(Sha256::digest(token).into()))
    }
}

/// What a verdict rests on.
#[derive(Clone)]
pub(super) enum By {
    /// The secret, which is the same for as long as this process lives.
    Secret,
    /// This key, as long as it is the one of this name.
    Key { kid: Arc<str>, key: Arc<PublicKey> },
}

struct Known {
    caller: Caller,
    by: By,
    /// When it was verified, in seconds since 1970.
    at: u64,
}

pub(super) struct Verified {
    known: Mutex<LruCache<Digest, Known>>,
}

impl Verified {
    pub(super) fn new() -> Self {
        Self { known: Mutex::new(LruCache::new(TOKENS)) }
    }

    /// Whom the token was found to be from, and by what.
    pub(super) fn get(&self, token: Digest) -> Option<(Caller, By)> {
        self.get_at(token, now())
    }

    pub(super) fn put(&self, token: Digest, caller: &Caller, by: By) {
        self.put_at(token, caller, by, now());
    }

    fn get_at(&self, token: Digest, now: u64) -> Option<(Caller, By)> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&token)?;
        // Past its end a token may count for its leeway, and before `at` (a clock that
        // was set back) it may not count yet: whoever verifies it knows.
        (found.at..found.caller.expires_at).contains(&now).then(|| (found.caller.clone(), found.by.clone()))
    }

    fn put_at(&self, token: Digest, caller: &Caller, by: By, now: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(token, Known { caller: caller.clone(), by, at: now });
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(expires_at: u64) -> Caller {
        let (subject, scopes) = ("ada".to_owned(), Vec::new());
        Caller { subject, name: None, email: None, scopes, issuer: None, expires_at, session: None }
    }

    fn digest(number: usize) -> Digest {
        Digest::of(&format!("token {number}")).expect("short")
    }

    #[test]
    fn a_verdict_counts_from_when_it_was_reached_until_the_token_ends() {
        let verified = Verified::new();
        verified.put_at(digest(1), &caller(200), By::Secret, 100);
        let counts = [99, 100, 199, 200, 201].map(|now| verified.get_at(digest(1), now).is_some());
        assert_eq!(counts, [false, true, true, false, false]);
        assert!(verified.get_at(digest(2), 150).is_none());
    }

    #[test]
    fn what_was_used_last_is_remembered_and_no_more_than_there_is_room_for() {
        let verified = Verified::new();
        for number in 0..TOKENS {
            verified.put_at(digest(number), &caller(200), By::Secret, 100);
        }
        assert!(verified.get_at(digest(0), 150).is_some());
        verified.put_at(digest(TOKENS), &caller(200), By::Secret, 100);
        let remembered = [0, 1, 2, TOKENS].map(|number| verified.get_at(digest(number), 150).is_some());
        assert_eq!(remembered, [true, false, true, true]);
        assert_eq!(verified.known.lock().expect("no panic").len(), TOKENS);
    }

    #[test]
    fn a_long_token_is_not_remembered() {
        assert!(Digest::of(&"x".repeat(TOKEN_BYTES)).is_some());
        assert!(Digest::of(&"x".repeat(TOKEN_BYTES + 1)).is_none());
    }
}
