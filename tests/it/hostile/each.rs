//! Each kind of hostile call by itself, from many callers at once, and a polite one beside
//! them: whom it keeps waiting, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::{Company, attack, host_of_all, p99, polite_for};
use crate::harness::{http_client, report};

/// Callers of one kind, each of whom begins again when it has its answer.
const CALLERS: usize = 25;
/// How long each kind has, when nobody says otherwise.
const MILLISECONDS: u64 = 300;
/// Kinds that are named, of those that others waited for longest.
const NAMED: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_polite_guest_is_served_beside_many_callers_of_each_kind() {
    // INNKEEPER_HOSTILE_MS=2000 measures: many requests for each kind, and nothing beside it.
    let time = std::env::var("INNKEEPER_HOSTILE_MS").ok().map_or(MILLISECONDS, |text| text.parse().expect("a number"));
    let time = Duration::from_millis(time);
    let (host, attacks) = host_of_all().await;
    let (wrong, alone) = polite_for(&host, time.max(Duration::from_secs(1))).await;
    assert_eq!(wrong, 0);
    let alone = p99(&alone);
    let mut waits = Vec::new();
    for (url, expected) in &attacks {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (client, url, expected) = (http_client(), url.clone(), *expected);
                let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        attack(&client, url.clone(), expected, Company::Crowd).await?;
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<_, String>(())
                })
            })
            .collect();
        // All of them are there, and then it counts.
        tokio::time::sleep(time / 10).await;
        let (wrong, took) = polite_for(&host, time).await;
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.expect("no panic").unwrap_or_else(|why| panic!("{why}"));
        }
        assert_eq!(wrong, 0, "of {} polite requests beside {url}", took.len());
        let name = url.split_once("//").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        waits.push((p99(&took), took.len(), calls.load(Ordering::Relaxed), name.to_owned()));
    }
    waits.sort_by(|one, other| other.cmp(one));
    let all = waits.len();
    let worst: String = (waits.iter().take(NAMED))
        .map(|(wait, polite, calls, name)| format!("\n      {wait:>10.1?} {name} ({polite} polite, {calls} hostile)"))
        .collect();
    report(&format!(
        "hostile: {CALLERS} callers of each of {all} kinds; p99 of the polite one, alone {alone:.1?}:{worst}"
    ));
    assert!(host.stop().await.status.success());
}
