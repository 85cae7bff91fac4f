//! A load that keeps its rate, whatever the answers take.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};

/// Requests at a rate, until it is stopped.
pub struct Steady<T> {
    stop: Arc<AtomicBool>,
    loading: JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> Steady<T> {
    /// Asks so often in a second; `ask` is given the number of the request.
    pub fn start<F>(rate: u32, ask: impl Fn(u32) -> F + Send + 'static) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let loading = tokio::spawn(async move {
            let (mut asking, mut answers, started) = (JoinSet::new(), Vec::new(), Instant::now());
            for number in 0_u32.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                tokio::time::sleep_until((started + Duration::from_secs(1) * number / rate).into()).await;
                asking.spawn(ask(number));
                while let Some(answered) = asking.try_join_next() {
                    answers.push(answered.expect("no panic"));
                }
            }
            answers.extend(asking.join_all().await);
            answers
        });
        Self { stop, loading }
    }

    /// Asks no more, and waits for what is asked.
    pub async fn stop(self) -> Vec<T> {
        self.stop.store(true, Ordering::Relaxed);
        self.loading.await.expect("no panic")
    }
}
