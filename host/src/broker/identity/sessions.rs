//! Sessions by their token: looked up for every request, unless the operator
//! allows a short memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::tables::{Lookup, TableError, Tables};
use super::{Refusal, Rejected, Unavailable};
use crate::call::Caller;

/// Look-ups at once: those that run, and a short queue. Whoever sends words at
/// random fills it, and no more than it.
const LOOKUPS: usize = 64;
/// Sessions that are remembered. A few hundred bytes each.
const REMEMBERED: usize = 10_000;

pub(super) struct Sessions {
    tables: Arc<Tables>,
    lookups: Semaphore,
    memory: Memory,
}

impl Sessions {
    pub(super) fn new(tables: Arc<Tables>, memory: Duration) -> Self {
        Self { tables, lookups: Semaphore::new(LOOKUPS), memory: Memory::new(memory) }
    }

    /// The caller that a session stands for.
    pub(super) async fn find(&self, lookup: Lookup<'_>) -> Result<Caller, Refusal> {
        let digest = digest(lookup);
        if let Some(caller) = self.memory.get(&digest) {
            return Ok(caller);
        }
        let _place = self.lookups.try_acquire().map_err(|_| Unavailable::Busy)?;
        let found = self.tables.session(lookup).await.map_err(|error| match error {
            TableError::Missing => Refusal::Rejected(Rejected::NoSessions),
            TableError::Unavailable(_) | TableError::Unfit(_) => {
                Refusal::Unavailable(Unavailable::Database(error.into()))
            }
        })?;
        let caller = found.ok_or(Rejected::NoSession)?;
        self.memory.put(digest, &caller);
        Ok(caller)
    }

    /// Forgets a session that has ended. Other hosts remember it for as long as
    /// they were told to.
    pub(super) fn forget(&self, session: &str) {
        self.memory.forget(session);
    }
}

/// What a session is remembered by. The two kinds of name are kept apart.
fn digest(lookup: Lookup<'_>) -> [u8; 32] {
    let hash = match lookup {
        Lookup::Token(token) => Sha256::new_with_prefix("token:").chain_update(token.as_str()),
        Lookup::Id(id) => Sha256::new_with_prefix("id:").chain_update(id.as_str()),
    };
    hash.finalize().into()
}

/// What was found a moment ago, by the digest of the token: a dump of this
/// process is no list of passwords.
struct Memory {
    time: Duration,
    held: Mutex<HashMap<[u8; 32], (Caller, Instant)>>,
}

impl Memory {
    fn new(time: Duration) -> Self {
        Self { time, held: Mutex::new(HashMap::new()) }
    }

    fn get(&self, digest: &[u8; 32]) -> Option<Caller> {
        if self.time.is_zero() {
            return None;
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, until) = held.get(digest)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        (*until > Instant::now() && caller.expires_at > now).then(|| caller.clone())
    }

    fn forget(&self, session: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, (caller, _)| caller.session.as_deref() != Some(session));
    }

    fn put(&self, digest: [u8; 32], caller: &Caller) {
        if self.time.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= REMEMBERED {
            held.retain(|_, (_, until)| *until > now);
        }
        // Still full of good ones: this one is looked up again.
        if held.len() < REMEMBERED {
            held.insert(digest, (caller.clone(), now + self.time));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(expires_at: u64) -> Caller {
        let (subject, scopes) = ("ada".to_owned(), Vec::new());
        Caller { subject, name: None, email: None, scopes, issuer: None, expires_at, session: None }
    }

    #[test]
    fn a_memory_of_no_time_remembers_nothing() {
        let memory = Memory::new(Duration::ZERO);
        memory.put([1; 32], &caller(u64::MAX));
        assert!(memory.get(&[1; 32]).is_none());
        assert!(memory.held.lock().expect("no panic").is_empty());
    }

    #[test]
    fn what_is_remembered_ends_with_its_session_and_with_its_time() {
        let memory = Memory::new(Duration::from_millis(50));
        memory.put([1; 32], &caller(u64::MAX));
        memory.put([2; 32], &caller(1));
        assert_eq!(memory.get(&[1; 32]), Some(caller(u64::MAX)));
        assert_eq!(memory.get(&[2; 32]), None);
        assert_eq!(memory.get(&[3; 32]), None);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(memory.get(&[1; 32]), None);
    }

    #[test]
    fn a_session_that_has_ended_is_forgotten_under_all_its_names() {
        let memory = Memory::new(Duration::from_secs(30));
        let of = |session: &str| Caller { session: Some(session.into()), ..caller(u64::MAX) };
        for (number, session) in ["one", "one", "two"].into_iter().enumerate() {
            memory.put([u8::try_from(number).expect("small"); 32], &of(session));
        }
        memory.forget("one");
        assert_eq!([0, 1, 2].map(|number| memory.get(&[number; 32]).is_some()), [false, false, true]);
    }

    #[test]
    fn a_full_memory_takes_no_more() {
        let memory = Memory::new(Duration::from_secs(30));
        for number in 0..REMEMBERED + 10 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_le_bytes());
            memory.put(digest, &caller(u64::MAX));
        }
        assert_eq!(memory.held.lock().expect("no panic").len(), REMEMBERED);
    }
}
