use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::opener::OPENING;
use super::{Open, Pool};
use crate::broker::sql::SqlError;

/// Needs its time to open one, and counts.
#[derive(Default)]
struct Door {
    /// Milliseconds more than twenty.
    slowness: AtomicU64,
    is_shut: AtomicBool,
    /// How many there is room for; 0: any number.
    room: AtomicUsize,
    opening: AtomicUsize,
    at_once: AtomicUsize,
    opened: AtomicUsize,
}

#[async_trait::async_trait]
impl Open for Arc<Door> {
    type Session = ();

    async fn open(&self) -> Result<(), sqlx::Error> {
        let opening = self.opening.fetch_add(1, SeqCst) + 1;
        self.at_once.fetch_max(opening, SeqCst);
        if (1..self.opened.load(SeqCst) + opening).contains(&self.room.load(SeqCst)) {
            self.opening.fetch_sub(1, SeqCst);
            return Err(sqlx::Error::WorkerCrashed);
        }
        sleep(Duration::from_millis(20 + self.slowness.load(SeqCst))).await;
        self.opening.fetch_sub(1, SeqCst);
        if self.is_shut.load(SeqCst) {
            return Err(sqlx::Error::WorkerCrashed);
        }
        self.opened.fetch_add(1, SeqCst);
        Ok(())
    }

    async fn ping(&self, (): &mut ()) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

fn door() -> (Arc<Door>, Arc<Pool<Arc<Door>>>) {
    let door = Arc::new(Door::default());
    (Arc::clone(&door), Arc::new(Pool::new(door, 20)))
}

fn after(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

#[tokio::test]
async fn a_burst_waits_for_a_few_connections_and_a_load_gets_all() {
    let (door, pool) = door();
    let until = after(3_600_000);
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

#[tokio::test]
async fn a_call_takes_the_first_connection_that_is_free_and_not_the_one_that_is_opened_for_it() {
    let (door, pool) = door();
    let lease = pool.lease(after(10_000)).await.expect("a connection");
    door.slowness.store(2_000, SeqCst);
    let (other, started) = (Arc::clone(&pool), Instant::now());
    let waits = tokio::spawn(async move { other.lease(after(10_000)).await.map(|_| started.elapsed()) });
    sleep(Duration::from_millis(50)).await;
    drop(lease);
    let waited = waits.await.expect("it ends").expect("a connection");
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn a_connection_whose_caller_gave_up_is_the_next_one_s() {
    let (door, pool) = door();
    door.slowness.store(80, SeqCst);
    let refused = pool.lease(after(10)).await.err();
    assert!(matches!(refused, Some(SqlError::Unavailable(None))), "{refused:?}");
    pool.lease(after(10_000)).await.expect("a connection");
    assert_eq!(door.opened.load(SeqCst), 1);
}

#[tokio::test]
async fn whoever_has_nothing_to_wait_for_is_told_at_once_and_others_wait_on() {
    let (door, pool) = door();
    door.is_shut.store(true, SeqCst);
    let started = Instant::now();
    let all = futures_util::future::join_all((0..32).map(|_| pool.lease(after(60_000)))).await;
    assert!(all.iter().all(|one| matches!(one, Err(SqlError::Unavailable(Some(_))))), "somebody got one");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // It heals by itself; and while there is one, it is worth waiting for.
    door.is_shut.store(false, SeqCst);
    let lease = pool.lease(after(10_000)).await.expect("a connection");
    door.is_shut.store(true, SeqCst);
    let refused = pool.lease(after(300)).await.err();
    assert!(matches!(refused, Some(SqlError::Busy)), "{refused:?}");
    let (other, attempts) = (Arc::clone(&pool), door.opened.load(SeqCst));
    let waits = tokio::spawn(async move { other.lease(after(10_000)).await.map(drop) });
    sleep(Duration::from_millis(100)).await;
    drop(lease);
    waits.await.expect("it ends").expect("the connection that came back");
    assert_eq!(door.opened.load(SeqCst), attempts);
}

#[tokio::test]
async fn who_is_refused_a_connection_waits_for_those_that_are_on_their_way() {
    let (door, pool) = door();
    door.room.store(2, SeqCst);
    let calls = (0..32).map(|_| async { pool.lease(after(10_000)).await.map(drop) });
    let refused = futures_util::future::join_all(calls).await.into_iter().find_map(Result::err);
    assert!(refused.is_none(), "{refused:?}");
    assert_eq!(door.opened.load(SeqCst), 2);
}
