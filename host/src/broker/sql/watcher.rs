//! Looks after a module's database: tries until it is there, then looks now and
//! then whether it still is, and tells of every change once.

use std::time::Duration;

use super::{Readiness, Store};

/// The waits between tries to reach a database, from the first to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// How often a database that is up is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Never ends. Prepares until it succeeds, then looks every two seconds, and at
/// once when a call could not reach the database.
pub async fn look_after(module: &str, store: &Store) {
    let mut wait = RETRY_FIRST;
    let mut last = store.readiness();
    loop {
        let up = last == Readiness::Up;
        let pause = tokio::time::sleep(if up { LOOK } else { jittered(wait) });
        tokio::select! {
            () = pause => {}
            () = store.alarmed(), if up => {}
        }
        let now = match up {
            true => store.look().await,
            // With migrations and statements: what comes back may be another one.
            false => match store.prepare().await {
                Ok(()) => Readiness::Up,
                Err(error) => Readiness::Down(crate::fault::chain(&error).into()),
            },
        };
        if now != last {
            match &now {
                Readiness::Up => tracing::info!(module.name = module, "database of `{module}` is up"),
                Readiness::Down(why) => tracing::error!(module.name = module, "database of `{module}` is down: {why}"),
            }
        }
        wait = if now == Readiness::Up { RETRY_FIRST } else { (wait * 2).min(RETRY_LONGEST) };
        last = now;
    }
}

/// Replicas that lost the same database do not all come back at once.
fn jittered(wait: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() % 100;
    wait.mul_f64(0.75 + f64::from(u8::try_from(random).unwrap_or(0)) / 200.0)
}
