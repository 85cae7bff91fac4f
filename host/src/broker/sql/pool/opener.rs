//! Who opens connections: tasks of the pool, and never a call.
//!
//! Under load a connection takes half a second to open. A call that opened its own
//! would wait for that one while others come free, and who hangs up meanwhile would
//! leave a connection half open.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool::unmanaged::{self, Object};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout, timeout_at};

use super::Open;
use crate::broker::sql::SqlError;

/// Connections that are being opened at once. More: a burst of calls makes both ends
/// open the whole pool, where the first few connections would have served it. Fewer:
/// with a database that is far, a pool grows slowly.
pub(super) const OPENING: usize = 4;
/// Time for opening one: a sleeping Neon takes up to a second or two.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// After one that could not be opened, while there are others. Shorter: a server that
/// has no room for more is asked with every call. Longer: room is noticed late.
const PAUSE: Duration = Duration::from_millis(500);
/// Connections are renewed after so long, for load balancers and for memory
/// that the server keeps per connection.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// By which their lives differ, one after another: those of one burst would all be
/// renewed at once. All of them together are to be less than a life.
const STAGGER: Duration = Duration::from_secs(30);
/// How many lives there are.
const STAGGERS: u32 = 16;

/// Why one could not be opened, for each of those who waited for it.
pub(in crate::broker::sql) type OpenError = Arc<sqlx::Error>;

/// A connection, and its age.
pub(super) struct Kept<S> {
    pub(super) session: S,
    /// When a call gave it back, or when it was opened.
    pub(super) used: Instant,
    retires: Instant,
}

/// All that there are, and those that are to come.
pub(super) struct Connections<O: Open> {
    pub(super) open: O,
    pub(super) idle: unmanaged::Pool<Kept<O::Session>>,
    /// How often one was lent.
    pub(super) lent: AtomicU64,
    most: usize,
    demand: Mutex<Demand>,
    /// Why the last one could not be opened; nothing when it took too long.
    failure: watch::Sender<Option<OpenError>>,
}

#[derive(Default)]
struct Demand {
    waiting: usize,
    opening: usize,
    opened: u32,
    /// No more are opened before.
    pause: Option<Instant>,
}

impl<O: Open> Connections<O> {
    pub(super) fn new(open: O, most: usize) -> Self {
        Self {
            open,
            idle: unmanaged::Pool::new(most),
            lent: AtomicU64::new(0),
            most,
            demand: Mutex::default(),
            failure: watch::Sender::new(None),
        }
    }

    /// How many calls wait.
    pub(super) fn waiting(&self) -> usize {
        self.demand().waiting
    }

    /// The next one that is free. Fails at once when there is none and none is to come.
    pub(super) async fn wait(self: &Arc<Self>, until: Instant) -> Result<Object<Kept<O::Session>>, SqlError> {
        let mut failure = self.failure.subscribe();
        let lent = self.lent.load(Relaxed);
        let _waiting = Waiting::begin(self);
        self.fill();
        let mut failures = 0;
        loop {
            let failed = tokio::select! {
                biased;
                taken = timeout_at(until.into(), self.idle.get()) => return match taken {
                    Ok(Ok(kept)) => Ok(kept),
                    Ok(Err(closed)) => Err(SqlError::Unavailable(Some(closed.into()))),
                    // All that time others had the connections, which says nothing
                    // against the database.
                    Err(_) if self.size() > 0 || self.lent.load(Relaxed) != lent => Err(SqlError::Busy),
                    Err(_) => Err(SqlError::Unavailable(None)),
                },
                _ = failure.changed() => failure.borrow_and_update().clone(),
            };
            failures += 1;
            // Of so many, some were begun for this call: with callers coming all the time
            // there is always one more on its way.
            if self.size() == 0 && (failures >= OPENING || self.demand().opening == 0) {
                return Err(SqlError::Unavailable(failed.map(Into::into)));
            }
        }
    }

    /// Takes it back. What is old is closed now, when nobody waits for it to open anew.
    pub(super) fn give_back(self: &Arc<Self>, mut kept: Object<Kept<O::Session>>) {
        let now = Instant::now();
        if now >= kept.retires {
            return self.discard(kept);
        }
        kept.used = now;
    }

    /// Closes it: without its socket the server ends what it was doing there.
    pub(super) fn discard(self: &Arc<Self>, kept: Object<Kept<O::Session>>) {
        drop(Object::take(kept));
        self.fill();
    }

    /// Opens as many as there are calls that wait, within the limits.
    fn fill(self: &Arc<Self>) {
        // Outside of the runtime the next call that waits does it.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut demand = self.demand();
        if self.size() > 0 && demand.pause.is_some_and(|pause| Instant::now() < pause) {
            return;
        }
        let room = OPENING.min(self.most.saturating_sub(self.size()));
        while demand.opening < demand.waiting.min(room) {
            demand.opening += 1;
            runtime.spawn(Opening(Arc::clone(self)).run());
        }
    }

    fn size(&self) -> usize {
        self.idle.status().size
    }

    fn demand(&self) -> MutexGuard<'_, Demand> {
        // Counters: nothing that runs under the lock can panic half-way.
        self.demand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, session: O::Session) {
        let mut demand = self.demand();
        demand.opened = demand.opened.wrapping_add(1);
        demand.pause = None;
        let now = Instant::now();
        let kept = Kept { session, used: now, retires: now + LIFETIME - STAGGER * (demand.opened % STAGGERS) };
        // There is room: it was counted as one that is to come.
        let _ = self.idle.try_add(kept);
    }

    /// Those who have no other connection to wait for are told.
    fn fail(&self, error: Option<OpenError>) {
        if self.size() > 0 {
            let reason = error.as_ref().map_or_else(|| format!("no answer for {CONNECT_TIME:?}"), ToString::to_string);
            tracing::warn!(blame = "host", "the database gives no further connection: {reason}");
        }
        self.demand().pause = Some(Instant::now() + PAUSE);
        self.failure.send_replace(error);
    }
}

/// A call that waits.
struct Waiting<'a, O: Open>(&'a Connections<O>);

impl<'a, O: Open> Waiting<'a, O> {
    fn begin(pool: &'a Connections<O>) -> Self {
        pool.demand().waiting += 1;
        Self(pool)
    }
}

impl<O: Open> Drop for Waiting<'_, O> {
    fn drop(&mut self) {
        self.0.demand().waiting -= 1;
    }
}

/// A connection that is to come.
struct Opening<O: Open>(Arc<Connections<O>>);

impl<O: Open> Opening<O> {
    async fn run(self) {
        let pool = Arc::clone(&self.0);
        let opened = timeout(CONNECT_TIME, pool.open.open()).await.map_err(|_| None);
        match opened.and_then(|opened| opened.map_err(|error| Some(Arc::new(error)))) {
            Ok(session) => {
                pool.keep(session);
                drop(self);
            }
            Err(error) => {
                // First: it is none that is to come any more.
                drop(self);
                pool.fail(error);
                sleep(PAUSE).await;
            }
        }
        pool.fill();
    }
}

impl<O: Open> Drop for Opening<O> {
    fn drop(&mut self) {
        self.0.demand().opening -= 1;
    }
}
