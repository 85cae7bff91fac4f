//! From one digest to another under load: no request fails.

use std::time::{Duration, Instant};

use super::{GRANTS, HEADER, artifact, cache, registry, setup};
use crate::harness::{Doors, Steady, report};
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
    let (client, url) = (host.client.clone(), host.url("/a"));
    let load = Steady::start(RATE, move |_| {
        let request = client.get(&url);
        async move {
            let answer = request.send().await.expect("an answer");
            let generation = answer.headers()["x-innkeeper-generation"].to_str().expect("a number").to_owned();
            (answer.status().as_u16(), generation, answer.text().await.expect("a text"))
        }
    });
    let began = Instant::now();
    for number in 1..=SWAPS {
        std::fs::write(&host.file, [HEADER, &toml(number)].concat()).expect("written");
        assert_eq!(swapped(&host, "/modules").await["generation"], number + 1);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let took = began.elapsed();
    let answers = load.stop().await;
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
