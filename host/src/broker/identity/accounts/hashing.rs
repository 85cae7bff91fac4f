//! A few hashes at once, on threads that serve no request.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::AccountError;

/// Hashes at once. Each takes 32 MiB and most of a tenth of a second of a core:
/// more would take the memory and the cores from the requests that are served.
const AT_ONCE: usize = 2;
/// Those that wait for one of these: less than a second's worth. Longer, and
/// whoever waits has left before it is his turn.
const WAITING: usize = 16;

pub(super) struct Hashing {
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// A place in the queue.
pub(super) struct Place {
    place: OwnedSemaphorePermit,
    running: Arc<Semaphore>,
}

impl Hashing {
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE + WAITING)), running: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A place in the queue, when there is one.
    pub(super) fn enter(&self) -> Result<Place, AccountError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| AccountError::Busy)?;
        Ok(Place { place, running: Arc::clone(&self.running) })
    }
}

impl Place {
    /// Runs the work when it is its turn. Once begun it comes to its end even if
    /// nobody waits for it any more, and holds its place until then.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccountError> {
        // Never closed.
        let turn = self.running.acquire_owned().await.map_err(|_| AccountError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = (self.place, turn);
            work()
        });
        done.await.map_err(|panic| AccountError::Unavailable(panic.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn two_run_sixteen_wait_and_the_rest_is_sent_away() {
        let (hashing, most, now) = (Hashing::new(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let places: Vec<Place> = (0..AT_ONCE + WAITING).map(|_| hashing.enter().expect("a place")).collect();
        assert!(matches!(hashing.enter(), Err(AccountError::Busy)));
        let running = places.into_iter().map(|place| {
            let (most, now) = (Arc::clone(&most), Arc::clone(&now));
            tokio::spawn(place.run(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                now.fetch_sub(1, Ordering::SeqCst);
            }))
        });
        for done in running.collect::<Vec<_>>() {
            done.await.expect("no panic").expect("its turn");
        }
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
        assert!(hashing.enter().is_ok());
    }

    #[tokio::test]
    async fn who_leaves_while_waiting_gives_the_place_back() {
        let hashing = Hashing::new();
        let place = hashing.enter().expect("a place");
        let never = tokio::time::timeout(Duration::ZERO, async {
            let _place = place;
            std::future::pending::<()>().await;
        });
        assert!(never.await.is_err());
        assert_eq!(hashing.places.available_permits(), AT_ONCE + WAITING);
    }
}
