//! Connections, lent one at a time.
//!
//! sqlx's own pool sends a ping after every use, which doubles the round trips
//! of a broker that needs one; deadpool leaves that decision to us. A lease that
//! comes back in the middle of a call, because the caller has gone, is settled
//! before anybody gets it, or closed: nothing of one call is left for the next.

use std::cell::Cell;
use std::fmt;
use std::io::ErrorKind::TimedOut;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, RecycleError, RecycleResult};
use tokio::runtime::Handle;

use super::SqlError;

/// A connection that was not used for so long is asked whether it still is one.
/// Shorter: more pings. Longer: more requests that meet a connection which a
/// restarted database or a proxy has closed.
const TRUST: Duration = Duration::from_secs(3);
/// Connections are renewed after so long, for load balancers and for memory
/// that the server keeps per connection.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Time for opening one: a sleeping Neon takes up to a second or two.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Connections that are being opened at once. More: a burst of calls waits for all of
/// the pool to be opened, for half a second of both ends' time, where the first few
/// connections would have served it. Fewer: with a database that is far, a pool grows
/// slowly.
const OPENING: usize = 4;
/// Time for a statement to come to its end whose caller has gone. Longer: a module's
/// connections stay with calls that nobody waits for. Shorter: whoever hangs up makes
/// the host open a new one, which costs both ends more than most statements do.
const SETTLE_TIME: Duration = Duration::from_millis(250);

/// How one kind of connection is opened and set up.
#[async_trait::async_trait]
pub(super) trait Open: Send + Sync + 'static {
    type Session: Send;

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

pub(super) struct Manager<O>(O);

impl<O: Open> managed::Manager for Manager<O> {
    type Type = O::Session;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Self::Type, Self::Error> {
        turn_came();
        let timed_out = |_| Err(sqlx::Error::Io(TimedOut.into()));
        tokio::time::timeout(CONNECT_TIME, self.0.open()).await.unwrap_or_else(timed_out)
    }

    async fn recycle(&self, session: &mut Self::Type, metrics: &Metrics) -> RecycleResult<Self::Error> {
        turn_came();
        if metrics.age() > LIFETIME {
            return Err(RecycleError::message("old"));
        }
        if metrics.last_used() > TRUST {
            self.0.ping(session).await.map_err(RecycleError::Backend)?;
        }
        Ok(())
    }
}

tokio::task_local! {
    /// Whether the wait for a connection has got as far as the database.
    static TURN: Cell<bool>;
}

fn turn_came() {
    // Whoever asks the pool past `lease` does not want to know.
    let _ = TURN.try_with(|turn| turn.set(true));
}

/// Connections to one database, opened when they are needed, and few at a time.
pub(super) struct Pool<O: Open> {
    inner: managed::Pool<Manager<O>>,
    most: usize,
    /// How many there may be now: those that are open, and some more.
    limit: Mutex<usize>,
}

impl<O: Open> Pool<O> {
    pub(super) fn new(open: O, most: u32) -> Self {
        let most = most as usize;
        let limit = OPENING.min(most);
        let inner = managed::Pool::builder(Manager(open)).max_size(limit).build();
        // Building fails only for timeouts without a runtime, and none are set.
        Self { inner: inner.expect("a pool without timeouts needs no runtime"), most, limit: Mutex::new(limit) }
    }

    /// What opens its connections.
    pub(super) fn open(&self) -> &O {
        &self.inner.manager().0
    }

    /// Whether somebody waits for the next connection that comes free: all there may
    /// be are lent, and it is not for a new one that he waits.
    pub(super) fn is_wanted(&self) -> bool {
        let status = self.inner.status();
        status.size == status.max_size && status.waiting > 0
    }

    /// Closes what nobody uses. Whatever ended one connection has ended the
    /// others with it, and each would cost a call.
    pub(super) fn forget_idle(&self) {
        self.inner.retain(|_, _| false);
    }

    /// Lets a few more be opened beside those that are. It never shrinks: the pool below
    /// would count wrong.
    fn grow(&self) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if *limit == self.most {
            return;
        }
        let room = (self.inner.status().size + OPENING).min(self.most);
        if room > *limit {
            self.inner.resize(room);
            *limit = room;
        }
    }

    /// A connection, or `Busy` when none comes free in time.
    pub(super) async fn lease(&self, until: Instant) -> Result<Lease<O>, SqlError> {
        let wait = async { (tokio::time::timeout_at(until.into(), self.inner.get()).await, TURN.with(Cell::get)) };
        let (taken, had_its_turn) = TURN.scope(Cell::new(false), wait).await;
        match taken {
            Ok(Ok(object)) => {
                self.grow();
                Ok(Lease { object: Some(object), state: State::Clean })
            }
            Ok(Err(managed::PoolError::Backend(sqlx::Error::Io(error)))) if error.kind() == TimedOut => {
                Err(SqlError::Unavailable(None))
            }
            Ok(Err(managed::PoolError::Backend(error))) => Err(SqlError::Unavailable(Some(error.into()))),
            Ok(Err(error)) => Err(SqlError::Unavailable(Some(error.to_string().into()))),
            // All that time others had the connections, which says nothing against
            // the database. How full the pool is now would not tell: connections
            // whose calls were cut off are being replaced.
            Err(_) if !had_its_turn => Err(SqlError::Busy),
            Err(_) => Err(SqlError::Unavailable(None)),
        }
    }
}

/// A connection on loan.
pub(super) struct Lease<O: Open> {
    object: Option<Object<Manager<O>>>,
    state: State,
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
        self.object.as_mut().expect("a lease holds its connection")
    }

    /// The work came to its end and left nothing behind.
    pub(super) fn clean(&mut self) {
        self.state = State::Clean;
    }

    /// It is to be closed.
    pub(super) fn lost(&mut self) {
        self.state = State::Lost;
    }
}

impl<O: Open> Drop for Lease<O> {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        match self.state {
            State::Clean => drop(object),
            State::Working => settle(object),
            // Dropping the connection closes its socket, and the server ends
            // what it was doing there.
            State::Lost => drop(Object::take(object)),
        }
    }
}

/// Gives a connection back when what was cut off has come to its end, or closes it.
fn settle<O: Open>(object: Object<Manager<O>>) {
    let pool = Object::pool(&object);
    let mut lease = Lease { object: Some(object), state: State::Lost };
    let (Some(pool), Ok(runtime)) = (pool, Handle::try_current()) else { return };
    // As many as there are connections at most, each for SETTLE_TIME at most.
    runtime.spawn(async move {
        let Some(session) = &mut lease.object else { return };
        let settled = tokio::time::timeout(SETTLE_TIME, pool.manager().0.settle(session)).await;
        if settled == Ok(true) {
            lease.clean();
        }
    });
}

impl<O: Open> fmt::Debug for Pool<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.inner.status())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::{Duration, Instant};

    use tokio::time::sleep;

    use super::{OPENING, Open, Pool};

    /// Needs its time to open one, and counts.
    #[derive(Default)]
    struct Door {
        opening: AtomicUsize,
        at_once: AtomicUsize,
        opened: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Open for Arc<Door> {
        type Session = ();

        async fn open(&self) -> Result<(), sqlx::Error> {
            self.at_once.fetch_max(self.opening.fetch_add(1, SeqCst) + 1, SeqCst);
            sleep(Duration::from_millis(20)).await;
            self.opening.fetch_sub(1, SeqCst);
            self.opened.fetch_add(1, SeqCst);
            Ok(())
        }

        async fn ping(&self, (): &mut ()) -> Result<(), sqlx::Error> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_burst_waits_for_a_few_connections_and_a_load_gets_all() {
        let door = Arc::new(Door::default());
        let pool = Arc::new(Pool::new(Arc::clone(&door), 20));
        let until = Instant::now() + Duration::from_secs(3600);
        let call = async |time| {
            let (pool, started) = (Arc::clone(&pool), Instant::now());
            let mut lease = pool.lease(until).await.expect("a connection");
            lease.work();
            sleep(time).await;
            lease.clean();
            started.elapsed()
        };
        let short = Duration::from_millis(1);
        let burst = futures_util::future::join_all((0..32).map(|_| call(short))).await;
        assert!(burst.iter().all(|took| *took < Duration::from_secs(1)), "{burst:?}");
        let opened = door.opened.load(SeqCst);
        assert!(opened <= 3 * OPENING, "{opened} for 32 short calls");
        // As many as there may be, when they are needed at once; and no more.
        let long = Duration::from_secs(1);
        let load = futures_util::future::join_all((0..32).map(|_| call(long))).await;
        let at_first = load.iter().filter(|took| **took < 2 * long).count();
        assert_eq!((at_first, door.opened.load(SeqCst)), (20, 20));
        assert!(door.at_once.load(SeqCst) <= OPENING, "{} were opened at once", door.at_once.load(SeqCst));
    }
}
