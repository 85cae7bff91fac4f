//! Whose turn it is on the cores.
//!
//! A call begins when nothing that has begun can go on. One that waits for the database
//! holds an instance, its memory and a connection, and of many that are half done none
//! finds the caches as it left them.
//!
//! Nearly all end within a tick. One that takes longer goes on when it gets a turn, which
//! is a tick or two, and there are as many turns as cores: however many guests loop, no
//! more of them than that are in the queue of the runtime, which every honest call has to
//! pass several times. Calls of a module that runs for long as a rule do not even begin
//! without a turn. Modules share the turns first, and its calls what a module gets.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use wasmtime::UpdateDeadline;

use super::{Running, TICK};

/// The most that counts as guest time between two looks at the clock. Less: a long call
/// of a host function, which nothing interrupts, costs the guest less than the host.
/// More: it pays for a machine that stops this process, as the CPU limit of a container
/// does for up to 100 ms at a time.
const STRETCH: Duration = Duration::from_millis(10);

/// How far one kind of calls can outnumber the other. Fewer: a module that has a few long
/// ones among many is taken for slow. More: it takes as many to see that one is.
const MAJORITY: u32 = 16;

/// As many as the runtime has threads. One of the process, as its cores are.
static CORES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(cores())));

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The turns of one module: never more of its calls than there are cores stand in line
/// with those of other modules, so that many get no more than few.
#[derive(Debug)]
pub struct Turns {
    /// Places for calls that are about to begin. As many as threads begin them: the others
    /// wait outside of the queue of the runtime, and nothing in it waits for them.
    places: Semaphore,
    calls: Arc<Semaphore>,
    /// How far those that run for long before they wait, for whatever it is, outnumber
    /// those that do not. A machine that stops one now and then makes no difference.
    long: AtomicU32,
}

impl Default for Turns {
    fn default() -> Self {
        Self { places: Semaphore::new(cores()), calls: Arc::new(Semaphore::new(cores())), long: AtomicU32::new(0) }
    }
}

impl Turns {
    /// Until it is a call's turn to begin.
    async fn place(&self) -> SemaphorePermit<'_> {
        let place = self.places.acquire().await.expect("places do not end");
        behind_what_is_ready().await;
        place
    }

    fn are_long(&self) -> bool {
        self.long.load(Ordering::Relaxed) > MAJORITY / 2
    }

    /// One ran for so long. Of two at the same time, one may not count.
    fn count(&self, time: Duration) {
        let before = self.long.load(Ordering::Relaxed);
        let after = if time < TICK / 2 { before.saturating_sub(1) } else { MAJORITY.min(before + 1) };
        if after != before {
            self.long.store(after, Ordering::Relaxed);
        }
    }
}

/// One call's place in the order. All clones are one.
#[derive(Clone, Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    clock: Arc<Mutex<Clock>>,
}

#[derive(Debug)]
struct Clock {
    /// Since when the time that it runs is not counted; none while it does not run.
    since: Option<Instant>,
    /// Another guest runs in its place.
    paused: bool,
    /// Counted, and in no budget yet.
    ran: Duration,
    /// Run since its last turn began.
    in_turn: Duration,
    held: Option<Held>,
    _running: Running,
}

/// Given back in this order: the core first.
type Held = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Turn {
    /// A call that begins.
    pub fn begin(turns: &Arc<Turns>) -> Self {
        let clock = Clock {
            since: Some(Instant::now()),
            paused: false,
            ran: Duration::ZERO,
            in_turn: Duration::ZERO,
            held: None,
            _running: Running::begin(),
        };
        Self { turns: Arc::clone(turns), clock: Arc::new(Mutex::new(clock)) }
    }

    /// What the call does, from its beginning to its end. Its time counts while this is
    /// polled, and whenever it waits, for whatever it is, its turn is another's.
    pub async fn run<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        let mut place = match self.turns.are_long() {
            true => {
                self.clone().wait().await;
                None
            }
            false => Some(self.turns.place().await),
        };
        poll_fn(|context| {
            let begin = Instant::now();
            self.lock().start(begin);
            let polled = call.as_mut().poll(context);
            let end = Instant::now();
            self.turns.count(end - begin);
            let mut clock = self.lock();
            clock.stop(end);
            clock.held = None;
            // It has begun, and is one of those that the next one lets go first.
            place = None;
            polled
        })
        .await
    }

    /// The guest's time since this was asked before.
    pub fn ran(&self) -> Duration {
        let (mut clock, now) = (self.lock(), Instant::now());
        clock.stop(now);
        clock.start(now);
        std::mem::take(&mut clock.ran)
    }

    /// What comes after a tick: more of the same turn, or the wait for the next one.
    pub fn next(&self) -> UpdateDeadline {
        let mut clock = self.lock();
        if clock.in_turn < TICK {
            return UpdateDeadline::Continue(1);
        }
        clock.held = None;
        drop(clock);
        UpdateDeadline::YieldCustom(1, Box::pin(self.clone().wait()))
    }

    async fn wait(self) {
        let call = acquire(&self.turns.calls).await;
        let core = acquire(&CORES).await;
        behind_what_is_ready().await;
        let mut clock = self.lock();
        clock.in_turn = Duration::ZERO;
        clock.held = Some((core, call));
    }

    /// Another guest runs in this one's place, until [`resume`](Self::resume).
    pub fn pause(&self) {
        let mut clock = self.lock();
        clock.stop(Instant::now());
        clock.paused = true;
    }

    /// The call's own time goes on.
    pub fn resume(&self) {
        let mut clock = self.lock();
        clock.paused = false;
        clock.start(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Clock> {
        // Nothing that runs under the lock can panic half-way.
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn start(&mut self, now: Instant) {
        self.since = (!self.paused).then_some(now);
    }

    fn stop(&mut self, now: Instant) {
        let ran = self.since.take().map_or(Duration::ZERO, |since| (now - since).min(STRETCH));
        self.ran += ran;
        self.in_turn += ran;
    }
}

/// Until the runtime has nothing else to do, or has done a round of it (61 tasks, and
/// it looks at what the system has for it). Whoever is woken by the end of another's turn
/// would go before all that is ready.
async fn behind_what_is_ready() {
    tokio::task::yield_now().await;
}

async fn acquire(turns: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(turns).acquire_owned().await.expect("turns do not end")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::{JoinSet, yield_now};

    use super::{MAJORITY, TICK, Turn, Turns, cores};

    #[tokio::test]
    async fn what_has_begun_goes_on_before_another_begins() {
        let (turns, under_way, most) = (Arc::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut calls = JoinSet::new();
        for _ in 0..40 * cores() {
            let (turn, under_way, most) = (Turn::begin(&turns), Arc::clone(&under_way), Arc::clone(&most));
            calls.spawn(async move {
                let call = async {
                    most.fetch_max(1 + under_way.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
                    for _ in 0..3 {
                        yield_now().await; // for what is there at once
                    }
                    under_way.fetch_sub(1, Ordering::Relaxed);
                };
                turn.run(call).await;
            });
        }
        calls.join_all().await;
        let most = most.load(Ordering::Relaxed);
        assert!(most <= 10 * cores(), "{most} were under way at once");
    }

    #[test]
    fn a_module_is_slow_when_most_of_its_calls_are() {
        let turns = Turns::default();
        for call in 0..1_000 {
            turns.count(if call % 3 == 0 { TICK * 50 } else { TICK / 10 });
            assert!(!turns.are_long(), "one of three was long");
        }
        for _ in 0..MAJORITY {
            turns.count(TICK);
        }
        assert!(turns.are_long());
        for _ in 0..MAJORITY {
            turns.count(TICK / 10);
        }
        assert!(!turns.are_long(), "it is what it is now");
    }
}
