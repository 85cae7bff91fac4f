//! Connections, lent one at a time, and opened beside the calls that wait for one.
//!
//! sqlx's own pool sends a ping after every use, which doubles the round trips
//! of a broker that needs one; deadpool leaves that decision to us. A call takes
//! whichever connection is free first: one that comes back, or one that was opened
//! meanwhile (`pool/opener.rs`). A lease that comes back in the middle of a call,
//! because the caller has gone, is settled before anybody gets it, or closed:
//! nothing of one call is left for the next.

mod opener;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use deadpool::unmanaged::Object;
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use super::SqlError;
pub(super) use opener::OpenError;
use opener::{Connections, Kept};

/// A connection that was not used for so long is asked whether it still is one.
/// Shorter: more pings. Longer: more requests that meet a connection which a
/// restarted database or a proxy has closed.
const TRUST: Duration = Duration::from_secs(3);
/// Time for a statement to come to its end whose caller has gone. Longer: a module's
/// connections stay with calls that nobody waits for. Shorter: whoever hangs up makes
/// the host open a new one, which costs both ends more than most statements do.
const SETTLE_TIME: Duration = Duration::from_millis(250);

/// How one kind of connection is opened and set up.
#[async_trait::async_trait]
pub(super) trait Open: Send + Sync + 'static {
    type Session: Send + 'static;

    /// A fresh connection, set up.
    async fn open(&self) -> Result<Self::Session, sqlx::Error>;

    /// Whether it still is one.
    async fn ping(&self, session: &mut Self::Session) -> Result<(), sqlx::Error>;

    /// Ends what a call has left that was cut off anywhere; says whether nothing of it
    /// is there any more, neither a transaction nor an answer. Where nobody can tell, no.
    async fn settle(&self, _session: &mut Self::Session) -> bool {
        false
    }
}

/// Connections to one database, opened when they are needed, and few at a time.
pub(super) struct Pool<O: Open>(Arc<Connections<O>>);

impl<O: Open> Pool<O> {
    pub(super) fn new(open: O, most: u32) -> Self {
        Self(Arc::new(Connections::new(open, most as usize)))
    }

    /// What opens its connections.
    pub(super) fn open(&self) -> &O {
        &self.0.open
    }

    /// Whether somebody waits for the next connection that comes free.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.waiting() > 0
    }

    /// Closes what nobody uses. Whatever ended one connection has ended the
    /// others with it, and each would cost a call.
    pub(super) fn forget_idle(&self) {
        while self.0.idle.try_remove().is_ok() {}
    }

    /// A connection, or `Busy` when none comes free in time.
    pub(super) async fn lease(&self, until: Instant) -> Result<Lease<O>, SqlError> {
        // As often as there are connections at most, and once more.
        loop {
            let mut lease = self.take(until).await?;
            if !lease.has_rested() {
                return Ok(lease);
            }
            match timeout_at(until.into(), self.open().ping(lease.work())).await {
                Ok(Ok(())) => {
                    lease.clean();
                    return Ok(lease);
                }
                Ok(Err(_)) => lease.lost(),
                Err(_) => {
                    lease.lost();
                    return Err(SqlError::Unavailable(None));
                }
            }
        }
    }

    /// As it was given back.
    async fn take(&self, until: Instant) -> Result<Lease<O>, SqlError> {
        let kept = match self.0.idle.try_get() {
            Ok(kept) => kept,
            Err(_) => self.0.wait(until).await?,
        };
        self.0.lent.fetch_add(1, Relaxed);
        Ok(Lease { kept: Some(kept), state: State::Clean, pool: Arc::clone(&self.0) })
    }
}

/// A connection on loan.
pub(super) struct Lease<O: Open> {
    kept: Option<Object<Kept<O::Session>>>,
    state: State,
    pool: Arc<Connections<O>>,
}

/// What has become of it.
enum State {
    /// Nothing of a call is left on it.
    Clean,
    /// A call is, or was, in the middle of something.
    Working,
    /// It is none any more, or not what it should be.
    Lost,
}

impl<O: Open> Lease<O> {
    /// The connection, for work that may be cut off. Until [`Lease::clean`] says
    /// otherwise nobody else will use it as it is.
    pub(super) fn work(&mut self) -> &mut O::Session {
        self.state = State::Working;
        // Taken only by `drop`.
        &mut self.kept.as_mut().expect("a lease holds its connection").session
    }

    /// The work came to its end and left nothing behind.
    pub(super) fn clean(&mut self) {
        self.state = State::Clean;
    }

    /// It is to be closed.
    pub(super) fn lost(&mut self) {
        self.state = State::Lost;
    }

    fn has_rested(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.used.elapsed() > TRUST)
    }
}

impl<O: Open> Drop for Lease<O> {
    fn drop(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        match self.state {
            State::Clean => self.pool.give_back(kept),
            State::Working => settle(&self.pool, kept),
            State::Lost => self.pool.discard(kept),
        }
    }
}

/// Gives a connection back when what was cut off has come to its end, or closes it.
fn settle<O: Open>(pool: &Arc<Connections<O>>, kept: Object<Kept<O::Session>>) {
    let mut lease = Lease { kept: Some(kept), state: State::Lost, pool: Arc::clone(pool) };
    let Ok(runtime) = Handle::try_current() else { return };
    // As many as there are connections at most, each for SETTLE_TIME at most.
    runtime.spawn(async move {
        let Some(kept) = &mut lease.kept else { return };
        let settled = tokio::time::timeout(SETTLE_TIME, lease.pool.open.settle(&mut kept.session)).await;
        if settled == Ok(true) {
            lease.clean();
        }
    });
}

impl<O: Open> fmt::Debug for Pool<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.idle.status())
    }
}

#[cfg(test)]
mod tests;
