//! From one digest to another under load: no request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{GRANTS, HEADER, artifact, cache, registry, setup};
use crate::harness::{Doors, report};
use crate::swap::editions::swapped;

/// Requests per second.
const RATE: u32 = 200;
const SWAPS: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn digests_are_swapped_under_load_without_a_failed_request() {
    let Some(registry) = registry(Doors::Open).await else { return };
    let cache = cache();
    let mut digests = Vec::new();
    for number in 0..4 {
        digests.push(registry.push(&format!("edition:v{number}"), &artifact(number)).await);
    }
    let toml = |number: u32| {
        let artifact = format!("edition@{}", digests[number as usize % digests.len()]);
        registry.module("a", &artifact, &format!("limits = {{ concurrency = 1024, wall = \"30s\" }}\n{GRANTS}"))
    };
    let host = setup(cache.path(), &toml(0)).env("INNKEEPER_MAX_IN_FLIGHT", "1024").start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let (client, url, stopped) = (host.client.clone(), host.url("/a"), Arc::clone(&stop));
    let loading = tokio::spawn(async move {
        let (mut asking, mut answers, started) = (JoinSet::new(), Vec::new(), Instant::now());
        for number in 0_u32.. {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            tokio::time::sleep_until((started + Duration::from_secs(1) * number / RATE).into()).await;
            let request = client.get(&url);
            asking.spawn(async move {
                let answer = request.send().await.expect("an answer");
                let generation = answer.headers()["x-innkeeper-generation"].to_str().expect("a number").to_owned();
                (answer.status().as_u16(), generation, answer.text().await.expect("a text"))
            });
            while let Some(answered) = asking.try_join_next() {
                answers.push(answered.expect("no panic"));
            }
        }
        answers.extend(asking.join_all().await);
        answers
    });
    let began = Instant::now();
    for number in 1..=SWAPS {
        std::fs::write(&host.file, [HEADER, &toml(number)].concat()).expect("written");
        assert_eq!(swapped(&host, "/modules").await["generation"], number + 1);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let answers = loading.await.expect("no panic");
    let mut met = std::collections::HashSet::new();
    for (status, generation, text) in &answers {
        let number: u32 = generation.parse().expect("a number");
        assert_eq!((*status, text), (200, &format!("{:08}", (number - 1) % 4)), "generation {generation}");
        met.insert(number);
    }
    report(&format!(
        "{SWAPS} swaps of digests in {took:.1?}; {} requests, none failed, {} generations met",
        answers.len(),
        met.len()
    ));
    assert!(met.len() > SWAPS as usize / 2, "{} generations met", met.len());
}
