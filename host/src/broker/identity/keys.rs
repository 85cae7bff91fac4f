//! The issuer's public keys: kept, and asked for again when a token names one
//! that is not among them, or when they have grown old.

mod fetch;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use url::Url;

use self::fetch::Fetcher;
use super::public_key::{Jwk, PublicKey};
use super::tables::{TableError, Tables};
use super::{Refusal, Rejected, Unavailable};

/// Keys in one set. Better Auth has one, and a month's expired ones.
const KEYS: usize = 64;
/// How often is often enough.
#[derive(Clone, Copy)]
struct Pace {
    /// The source is asked at most once in so long, which is more than an answer
    /// takes. Shorter: whoever invents names of keys makes this host attack its
    /// issuer. Longer: after a rotation new tokens are refused for so long.
    between: Duration,
    /// Older keys are asked for again, while they go on being used: one that was
    /// withdrawn is to be dropped.
    fresh: Duration,
    /// How long keys outlive an issuer that does not answer. Longer: a withdrawn
    /// key can be kept alive by keeping the issuer away from us.
    stale: Duration,
}

const PACE: Pace = Pace {
    between: Duration::from_secs(30),
    fresh: Duration::from_secs(5 * 60),
    stale: Duration::from_secs(24 * 60 * 60),
};

pub(super) enum Source {
    Url(Box<Fetcher>),
    Tables(Arc<Tables>),
}

impl Source {
    pub(super) fn url(url: &Url) -> Result<Self, &'static str> {
        Ok(Self::Url(Box::new(Fetcher::new(url)?)))
    }

    /// The published keys.
    async fn fetch(&self) -> Result<Vec<Jwk>, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Url(fetcher) => Ok(fetcher.fetch().await?),
            Self::Tables(tables) => match tables.keys().await {
                // Nothing is published there, and that is an answer.
                Err(TableError::Missing) => Ok(Vec::new()),
                other => Ok(other?),
            },
        }
    }
}

type Flight = Shared<BoxFuture<'static, ()>>;

pub(super) struct Keys {
    source: Source,
    pace: Pace,
    state: Mutex<State>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct State {
    keys: HashMap<String, Arc<PublicKey>>,
    /// When these keys came.
    fetched: Option<Instant>,
    /// When the source was last asked, and the end of that.
    asked: Option<(Instant, Flight)>,
    /// Whether it answered then.
    answered: bool,
}

enum Cached {
    Fresh(Arc<PublicKey>),
    Old(Arc<PublicKey>),
    Unknown,
}

impl Keys {
    pub(super) fn new(source: Source, tasks: TaskTracker) -> Arc<Self> {
        Self::at(PACE, source, tasks)
    }

    fn at(pace: Pace, source: Source, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self { source, pace, state: Mutex::default(), tasks })
    }

    /// The key of a name.
    ///
    /// # Errors
    /// It is not published; or that is not known, because the source is away.
    pub(super) async fn find(self: &Arc<Self>, kid: &str) -> Result<Arc<PublicKey>, Refusal> {
        match self.cached(kid) {
            Cached::Fresh(key) => return Ok(key),
            Cached::Old(key) => {
                // Nobody waits for this one.
                drop(self.ask());
                return Ok(key);
            }
            Cached::Unknown => self.ask().await,
        }
        match self.cached(kid) {
            Cached::Fresh(key) | Cached::Old(key) => Ok(key),
            Cached::Unknown if self.lock().answered => Err(Rejected::Invalid.into()),
            Cached::Unknown => Err(Unavailable::Keys.into()),
        }
    }

    fn cached(&self, kid: &str) -> Cached {
        let state = self.lock();
        let Some(age) = state.fetched.map(|fetched| fetched.elapsed()).filter(|age| *age < self.pace.stale) else {
            return Cached::Unknown;
        };
        match state.keys.get(kid) {
            Some(key) if age < self.pace.fresh => Cached::Fresh(Arc::clone(key)),
            Some(key) => Cached::Old(Arc::clone(key)),
            None => Cached::Unknown,
        }
    }

    /// Asks the source, unless it was asked a moment ago; all who ask meanwhile
    /// wait for the same answer. A task of its own does it, because a client
    /// that hangs up must not keep the others from their keys.
    fn ask(self: &Arc<Self>) -> Flight {
        let mut state = self.lock();
        if let Some((when, flight)) = &state.asked
            && when.elapsed() < self.pace.between
        {
            return flight.clone();
        }
        let keys = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let fetched = keys.source.fetch().await;
            keys.land(fetched);
        });
        let flight = task.map(|_| ()).boxed().shared();
        state.asked = Some((Instant::now(), flight.clone()));
        flight
    }

    fn land(&self, fetched: Result<Vec<Jwk>, Box<dyn std::error::Error + Send + Sync>>) {
        let fetched = fetched.and_then(|jwks| {
            let count = jwks.len();
            if count > KEYS { Err(format!("it has {count} keys, and {KEYS} are the most").into()) } else { Ok(jwks) }
        });
        let mut state = self.lock();
        state.answered = fetched.is_ok();
        match fetched {
            Ok(jwks) => {
                state.keys = usable(&jwks);
                state.fetched = Some(Instant::now());
                tracing::debug!(keys = state.keys.len(), "public keys were read");
            }
            Err(error) => {
                let why = crate::fault::chain(&*error);
                tracing::warn!("{} cannot be read, and the keys at hand go on being used: {why}", self.source);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn usable(jwks: &[Jwk]) -> HashMap<String, Arc<PublicKey>> {
    let mut keys = HashMap::new();
    for jwk in jwks {
        let named = jwk.kid.clone().filter(|kid| !kid.is_empty()).ok_or(super::public_key::Unusable::NoName);
        match named.and_then(|kid| Ok((kid, PublicKey::new(jwk)?))) {
            // The first of a name: the newest, in Better Auth's order.
            Ok((kid, key)) => drop(keys.entry(kid).or_insert_with(|| Arc::new(key))),
            Err(why) => {
                let kid: String = jwk.kid.as_deref().unwrap_or_default().chars().take(64).collect();
                tracing::warn!(key = ?kid, "a published key is not used: {why}");
            }
        }
    }
    keys
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(fetcher) => write!(f, "the JWKS at {fetcher}"),
            Self::Tables(_) => f.write_str("the table \"jwks\""),
        }
    }
}
