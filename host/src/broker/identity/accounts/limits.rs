//! How often somebody may be wrong: per account and address, per account, and
//! per address.
//!
//! A try counts before its outcome is known, so that many at once are no way
//! around; success takes it back. One that is refused does not count, so that
//! nobody's wait grows by trying. The same counters stand for addresses that
//! nobody has registered: a limit says nothing about who has an account.
//!
//! What a stranger can do to a user: from another address, nothing until
//! [`ACCOUNT`] is used up, and then only delay those who come from an address at
//! which they never signed in. All of it is in memory and gone with the process;
//! each replica counts for itself.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;
use sha2::{Digest, Sha256};

use super::AccountError;
use crate::call::Client;

/// Without a failure for so long, all is forgotten.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Counters, of about a hundred bytes. Each new one costs whoever causes it a
/// hash, of which the host makes some thirty a second: to push a counter out
/// takes longer than it lives.
const COUNTERS: usize = 40_000;
/// Accounts with an address at which somebody signed in.
const KNOWN: usize = 20_000;

/// So many failures cost nothing; after that each doubles the wait, up to a bound.
struct Rule {
    free: u32,
    first: Duration,
    most: Duration,
}

/// One account from one address: somebody who has forgotten, or guesses.
const PAIR: Rule = Rule { free: 10, first: Duration::from_secs(15), most: WINDOW };
/// One account from wherever: guesses of many machines. The wait stays short, for
/// it is the user's too.
const ACCOUNT: Rule = Rule { free: 50, first: Duration::from_secs(5), most: Duration::from_secs(60) };
/// One address, whatever it tries: lists of stolen passwords, and registrations.
const ADDRESS: Rule = Rule { free: 50, first: Duration::from_secs(15), most: WINDOW };
/// An address that may be a proxy's and everybody's: so many that only a machine
/// comes up to it, and a wait that nobody is kept away by for long.
const SHARED: Rule = Rule { free: 1_000, first: Duration::from_secs(1), most: Duration::from_secs(10) };

type Key = [u8; 16];

#[derive(Clone)]
pub(super) struct Limits(Arc<Mutex<State>>);

struct State {
    counters: LruCache<Key, Counter>,
    known: LruCache<Key, ()>,
}

#[derive(Clone, Copy)]
struct Counter {
    failures: u32,
    last: Instant,
    /// Not "now" when there is no wait: of two tries at once, one may look at the
    /// clock first and get the lock second.
    blocked_until: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        let (counters, known) = (LruCache::new(COUNTERS), LruCache::new(KNOWN));
        Self(Arc::new(Mutex::new(State { counters, known })))
    }
}

/// A try to sign in. Dropped, it was a failure: also when whoever tried did not
/// wait for the answer.
pub(super) struct Attempt {
    limits: Limits,
    pair: Counted,
    others: [Option<Counted>; 2],
}

/// A counter, and what it was before a try was counted.
#[derive(Clone, Copy)]
struct Counted {
    key: Key,
    before: Counter,
}

impl Limits {
    /// A try to sign in to an account.
    pub(super) fn login(&self, email: &str, client: Option<Client>, now: Instant) -> Result<Attempt, AccountError> {
        let from = client.map(|client| network(client.address));
        let (pair, account) = (key("pair", email, from), key("account", email, None));
        let address = client.map(address);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.known.contains_key(&pair);
        let wait = [Some(pair), address.map(|(key, _)| key), (!known).then_some(account)];
        state.check(wait.into_iter().flatten(), now)?;
        let pair = state.count(pair, &PAIR, now);
        let account = state.count(account, &ACCOUNT, now);
        let address = address.map(|(key, rule)| state.count(key, rule, now));
        drop(state);
        Ok(Attempt { limits: self.clone(), pair, others: [Some(account), address] })
    }

    /// A registration. It always counts.
    pub(super) fn register(&self, client: Option<Client>, now: Instant) -> Result<(), AccountError> {
        let Some((key, rule)) = client.map(address) else { return Ok(()) };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.check([key].into_iter(), now)?;
        state.count(key, rule, now);
        Ok(())
    }
}

impl Attempt {
    /// It was the right password: what was counted against this account here is
    /// forgotten, and this try against the others.
    pub(super) fn succeeded(self) {
        let mut state = self.limits.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.counters.remove(&self.pair.key);
        state.known.insert(self.pair.key, ());
        self.others.into_iter().flatten().for_each(|counted| state.take_back(counted));
    }

    /// Nobody could say: it counts for nothing.
    pub(super) fn void(self) {
        let mut state = self.limits.0.lock().unwrap_or_else(PoisonError::into_inner);
        [Some(self.pair)].into_iter().chain(self.others).flatten().for_each(|counted| state.take_back(counted));
    }
}

impl State {
    fn check(&mut self, keys: impl Iterator<Item = Key>, now: Instant) -> Result<(), AccountError> {
        let until = keys.filter_map(|key| self.counters.peek(&key)?.blocked_until).max();
        match until.map(|until| until.saturating_duration_since(now)) {
            Some(wait) if !wait.is_zero() => Err(AccountError::TooMany(wait)),
            _ => Ok(()),
        }
    }

    fn count(&mut self, key: Key, rule: &Rule, now: Instant) -> Counted {
        let fresh = Counter { failures: 0, last: now, blocked_until: None };
        // The counter that was not used for the longest time makes room.
        let before = self.counters.get(&key).copied().filter(|counter| now.duration_since(counter.last) < WINDOW);
        let before = before.unwrap_or(fresh);
        let failures = before.failures.saturating_add(1);
        let blocked_until = rule.wait(failures).map(|wait| now + wait);
        self.counters.insert(key, Counter { failures, last: now, blocked_until });
        Counted { key, before }
    }

    /// Only the last one to have counted takes its wait along: somebody with an
    /// account of his own must not end the wait that his other tries have earned.
    fn take_back(&mut self, Counted { key, before }: Counted) {
        let Some(counter) = self.counters.get_mut(&key) else { return };
        counter.failures = counter.failures.saturating_sub(1);
        if counter.failures == before.failures {
            *counter = before;
        }
        if counter.failures == 0 {
            self.counters.remove(&key);
        }
    }
}

impl Rule {
    /// How long nobody may try again after so many failures.
    fn wait(&self, failures: u32) -> Option<Duration> {
        let beyond = failures.checked_sub(self.free)?;
        // Doubling more often would only overflow.
        Some(self.first.saturating_mul(1 << beyond.min(16)).min(self.most))
    }
}

fn address(client: Client) -> (Key, &'static Rule) {
    let rule = if client.own { &ADDRESS } else { &SHARED };
    (key("address", "", Some(network(client.address))), rule)
}

/// Whoever has one address of IPv6 has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// A digest: as small for a long address, and a dump of this process lists nobody.
fn key(kind: &str, email: &str, address: Option<IpAddr>) -> Key {
    let text = format!("{kind}\0{email}\0{}", address.map(|address| address.to_string()).unwrap_or_default());
    let digest: [u8; 32] = Sha256::digest(text).into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn from(address: &str) -> Option<Client> {
        Some(Client { address: address.parse().expect("an address"), own: true, hops: 0 })
    }

    /// A failure, unless it has to wait; and for how long.
    fn fail(limits: &Limits, email: &str, client: Option<Client>, now: Instant) -> Duration {
        match limits.login(email, client, now) {
            Ok(attempt) => {
                drop(attempt);
                Duration::ZERO
            }
            Err(AccountError::TooMany(wait)) => wait,
            Err(other) => panic!("{other}"),
        }
    }

    const ADA: &str = "ada@example.com";
    const HOME: &str = "192.0.2.1";

    #[test]
    fn the_eleventh_failure_waits_and_the_wait_doubles_up_to_a_bound() {
        let (limits, mut now) = (Limits::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(fail(&limits, ADA, from(HOME), now), Duration::ZERO);
        }
        let mut seconds = Vec::new();
        for _ in 0..7 {
            let wait = fail(&limits, ADA, from(HOME), now);
            seconds.push(wait.as_secs());
            // Trying again does not make it longer.
            assert_eq!(fail(&limits, ADA, from(HOME), now), wait);
            assert!(fail(&limits, ADA, from(HOME), now + wait - Duration::from_millis(1)) > Duration::ZERO);
            now += wait;
            if wait < WINDOW {
                assert_eq!(fail(&limits, ADA, from(HOME), now), Duration::ZERO);
            }
        }
        assert_eq!(seconds, [15, 30, 60, 120, 240, 480, WINDOW.as_secs()]);
        // So long a wait is quiet enough to be forgiven.
        assert_eq!(fail(&limits, ADA, from(HOME), now), Duration::ZERO);
        assert_eq!(fail(&limits, ADA, from(HOME), now), Duration::ZERO);
    }

    #[test]
    fn quiet_is_forgiven_and_so_is_success() {
        let (limits, now) = (Limits::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(fail(&limits, ADA, from(HOME), now), Duration::ZERO);
        }
        assert!(fail(&limits, ADA, from(HOME), now) > Duration::ZERO);
        let later = now + WINDOW;
        for _ in 0..9 {
            assert_eq!(fail(&limits, ADA, from(HOME), later), Duration::ZERO);
        }
        limits.login(ADA, from(HOME), later).expect("the tenth").succeeded();
        for _ in 0..10 {
            assert_eq!(fail(&limits, ADA, from(HOME), later), Duration::ZERO);
        }
    }

    #[test]
    fn of_two_at_once_the_one_with_the_earlier_clock_does_not_wait() {
        let (limits, now) = (Limits::default(), Instant::now());
        assert_eq!(fail(&limits, ADA, from(HOME), now + Duration::from_millis(1)), Duration::ZERO);
        assert_eq!(fail(&limits, ADA, from(HOME), now), Duration::ZERO);
    }

    #[test]
    fn many_at_once_are_no_way_around() {
        let (limits, now) = (Limits::default(), Instant::now());
        let held: Vec<_> = (0..20).map(|_| limits.login(ADA, from(HOME), now)).collect();
        assert_eq!(held.iter().filter(|attempt| attempt.is_ok()).count(), 10);
    }

    #[test]
    fn what_nobody_could_tell_does_not_count() {
        let (limits, now) = (Limits::default(), Instant::now());
        for _ in 0..100 {
            limits.login(ADA, from(HOME), now).expect("free").void();
        }
        assert!(limits.0.lock().expect("no panic").counters.is_empty());
    }

    #[test]
    fn an_account_of_ones_own_does_not_end_the_wait_of_other_tries() {
        let (limits, now) = (Limits::default(), Instant::now());
        for number in 0..48 {
            assert_eq!(fail(&limits, &format!("{number}@example.com"), from(HOME), now), Duration::ZERO);
        }
        let own = limits.login("mallory@example.com", from(HOME), now).expect("the 49th");
        assert_eq!(fail(&limits, "48@example.com", from(HOME), now), Duration::ZERO, "the 50th");
        own.succeeded();
        assert!(fail(&limits, ADA, from(HOME), now) > Duration::ZERO);
    }

    /// An attacker with many machines delays strangers, and not the user where
    /// she always is.
    #[test]
    fn a_user_is_not_locked_out_where_she_signed_in_before() {
        let (limits, now) = (Limits::default(), Instant::now());
        limits.login(ADA, from(HOME), now).expect("free").succeeded();
        for machine in 0..60 {
            let _ = limits.login(ADA, from(&format!("198.51.100.{machine}")), now);
        }
        assert!(fail(&limits, ADA, from("203.0.113.1"), now) > Duration::ZERO);
        assert_eq!(fail(&limits, ADA, from(HOME), now), Duration::ZERO);
        // From anywhere else a minute is the most.
        assert_eq!(fail(&limits, ADA, from("203.0.113.1"), now + MINUTE), Duration::ZERO);
    }

    #[test]
    fn one_address_tries_so_many_accounts_and_no_more() {
        let (limits, now) = (Limits::default(), Instant::now());
        for number in 0..50 {
            assert_eq!(fail(&limits, &format!("{number}@example.com"), from(HOME), now), Duration::ZERO);
        }
        assert!(fail(&limits, ADA, from(HOME), now) > Duration::ZERO);
        assert!(limits.register(from(HOME), now).is_err());
        // The address of a proxy is everybody's.
        let shared = Some(Client { own: false, ..from("192.0.2.2").expect("an address") });
        for number in 0..1_000 {
            assert_eq!(fail(&limits, &format!("{number}@example.com"), shared, now), Duration::ZERO, "{number}");
        }
        let wait = fail(&limits, ADA, shared, now);
        assert!((Duration::from_millis(1)..=Duration::from_secs(10)).contains(&wait), "{wait:?}");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let network = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn there_are_so_many_counters_and_no_more() {
        let (limits, now) = (Limits::default(), Instant::now());
        for number in 0..30_000 {
            let _ = limits.login(&format!("{number}@example.com"), None, now);
        }
        let counters = limits.0.lock().expect("no panic").counters.len();
        assert_eq!(counters, COUNTERS);
        // The latest are those that are kept.
        for _ in 0..9 {
            let _ = limits.login("29999@example.com", None, now);
        }
        assert!(fail(&limits, "29999@example.com", None, now) > Duration::ZERO);
    }
}
