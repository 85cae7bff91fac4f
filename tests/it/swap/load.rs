//! Many swaps under load: no request fails, none meets two generations, and nothing is
//! left of all the versions.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::editions::{Shelf, edition, file};
use crate::harness::{HostProcess, Steady, guest, report};

/// Requests per second.
const RATE: u32 = 300;
/// Editions of each module, one after the other: their compiled code is kept, so that
/// most of the swaps cost what a swap costs, and not what a compilation does.
const EDITIONS: u32 = 12;

/// An answer, and when its request was sent.
struct Answered {
    path: &'static str,
    outcome: Result<(u16, u64, String), String>,
    took: Duration,
}

async fn ask(client: reqwest::Client, address: String, path: &'static str) -> Answered {
    let started = Instant::now();
    let request = match path {
        "/api/tools/b.edition" => client.post(format!("{address}{path}")).json(&json!({})),
        _ => client.get(format!("{address}{path}")),
    };
    let answer = async {
        let answer = request.send().await?;
        let generation = answer.headers().get("x-innkeeper-generation").and_then(|value| value.to_str().ok());
        let generation = generation.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok::<_, reqwest::Error>((answer.status().as_u16(), generation, answer.text().await?))
    };
    let outcome = answer.await.map_err(|error| innkeeper::fault::chain(&error));
    Answered { path, outcome, took: started.elapsed() }
}

/// Asks at the rate, by every way in turns.
fn load(address: String) -> Steady<Answered> {
    const PATHS: [&str; 4] = ["/a/pair?b.edition", "/b", "/a/nap?40", "/api/tools/b.edition"];
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().expect("a client");
    Steady::start(RATE, move |number| ask(client.clone(), address.clone(), PATHS[number as usize % PATHS.len()]))
}

/// What is wrong with each of ten versions.
fn bad(number: usize) -> Vec<u8> {
    let wat = |text: &str| wat::parse_str(text).expect("valid text");
    let good = edition(99, "plain");
    match number % 10 {
        0 => b"#!/bin/sh\n".to_vec(),
        1 => Vec::new(),
        2 => good[..good.len() / 2].to_vec(),
        3 => wat("(module)"),
        4 => wat("(component (import \"acme:unknown/thing@1.0.0\" (instance)))"),
        5 => wat("(component)"),
        6 => std::fs::read(guest("sql-probe")).expect("built"),
        7 => edition(99, "twice"),
        8 => edition(99, "traps"),
        _ => edition(99, "fails"),
    }
}

struct Operator {
    client: reqwest::Client,
    admin: String,
}

impl Operator {
    async fn change(&self, path: &str) -> (u16, Value) {
        let answer = self.client.post(format!("{}{path}", self.admin)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}

/// What it holds when nobody asks any more, and idle connections have ended: after five
/// seconds, and later on a machine that has other things to do.
async fn at_rest(host: &HostProcess, files: usize) -> (u64, usize) {
    tokio::time::sleep(Duration::from_secs(7)).await;
    let until = Instant::now() + Duration::from_secs(20);
    while host.held().1 > files && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    host.held()
}

/// Slots of the pool that the load needs at once, at most. Each keeps the image of the
/// version that it served last, which is an open file, until another one takes the slot.
const SLOTS: usize = 12;

/// So many swaps of both modules under load, with ten bad versions of ten kinds spread
/// among them. The answers, and which edition each generation was.
async fn run(host: &HostProcess, operator: &Operator, shelf: &Shelf, swaps: u32) -> (Vec<Answered>, HashMap<u64, u32>) {
    let loading = load(host.url(""));
    let (mut served, mut refused) = (HashMap::new(), 0);
    for number in 1..=swaps {
        if (number - 1) * 10 / swaps != number * 10 / swaps {
            shelf.put("b", &bad(refused));
            let (status, told) = operator.change("/modules/b").await;
            assert_eq!(status, 422, "{refused}: {told}");
            refused += 1;
        }
        // Both are what the number says, in the same generation.
        shelf.put("a", &edition(number % EDITIONS, "plain"));
        shelf.put("b", &edition(number % EDITIONS, "plain"));
        let (status, done) = operator.change("/modules").await;
        assert_eq!(status, 200, "{done}");
        served.insert(done["generation"].as_u64().expect("a number"), number % EDITIONS);
    }
    let answers = loading.stop().await;
    assert_eq!((refused, served.len()), (10, swaps as usize));
    (answers, served)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn swaps_under_load_fail_no_request_mix_no_generations_and_leave_nothing() {
    // INNKEEPER_SWAPS=500 makes it the long one.
    let swaps: u32 = std::env::var("INNKEEPER_SWAPS").ok().map_or(60, |text| text.parse().expect("a number"));
    let shelf = Shelf::new();
    for name in ["a", "b"] {
        shelf.put(name, &edition(0, "plain"));
    }
    let config = shelf.folder().join("innkeeper.toml");
    // A host that was not optimised, on a machine that others use too, may be behind for
    // a moment: that is not what is looked for here.
    let roomy = file(&shelf).replace("\ngrants", "\nlimits = { concurrency = 1024, wall = \"30s\" }\ngrants");
    std::fs::write(&config, roomy).expect("written");
    let vars = [
        ("INNKEEPER_MAX_IN_FLIGHT", "1024".to_owned()),
        ("INNKEEPER_CONFIG", config.display().to_string()),
        ("INNKEEPER_WATCH", "0".to_owned()),
        ("INNKEEPER_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
    ];
    let host = HostProcess::serve(&vars.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let operator = Operator { client: reqwest::Client::new(), admin: host.admin_url() };

    // Once to find the level: every edition, its compilation, and as much load.
    let (_, mut served) = run(&host, &operator, &shelf, EDITIONS * 2).await;
    let (memory_before, files_before) = at_rest(&host, usize::MAX).await;
    let started = Instant::now();
    let (answers, more) = run(&host, &operator, &shelf, swaps).await;
    let swapping = started.elapsed();
    served.extend(more);
    served.insert(1, 0);

    let mut times: Vec<Duration> = answers.iter().map(|answered| answered.took).collect();
    times.sort_unstable();
    let mut met = std::collections::HashSet::new();
    for Answered { path, outcome, .. } in &answers {
        let (status, generation, text) = outcome.as_ref().unwrap_or_else(|why| panic!("{path}: {why}"));
        assert_eq!(*status, 200, "{path} of generation {generation}: {text}");
        let number = served.get(generation).unwrap_or_else(|| panic!("{path}: nobody published {generation}"));
        let one = format!("{number:08}");
        let expected = match *path {
            "/a/pair?b.edition" => json!([one, one]).to_string(),
            "/api/tools/b.edition" => {
                let told: Value = serde_json::from_str(text).expect("JSON");
                assert_eq!(told["content"][0]["text"], one, "{path} of generation {generation}");
                text.clone()
            }
            _ => one,
        };
        assert_eq!(*text, expected, "{path} of generation {generation}");
        met.insert(*generation);
    }
    let rate = answers.len() as f64 / swapping.as_secs_f64();
    let at = |part: usize| times[times.len() * part / 1_000];

    let (memory_after, files_after) = at_rest(&host, files_before + SLOTS).await;
    // What was replaced goes with its last call, but for the one to go back to.
    let shown: Value = serde_json::from_str(&host.admin("/modules").await).expect("JSON");
    assert_eq!(shown["retired"].as_array().expect("a list").len(), 2, "{shown}");
    report(&format!(
        "{swaps} swaps and 10 refusals in {swapping:.1?}; {} requests ({rate:.0}/s), none failed, {} generations \
         met; p50 {:.1?}, p99 {:.1?}, longest {:.1?}; memory {memory_before} KiB before and {memory_after} KiB after, \
         open files {files_before} and {files_after}",
        answers.len(),
        met.len(),
        at(500),
        at(990),
        times.last().copied().unwrap_or_default(),
    ));
    assert!(met.len() > swaps as usize / 2, "{} generations met", met.len());
    // Versions that stay would be 2 MiB each.
    assert!(memory_after < memory_before + (24 << 10), "{memory_before} KiB before, {memory_after} KiB after");
    assert!(files_after <= files_before + SLOTS, "{files_before} open files before, {files_after} after");
    assert_eq!(host.stop().await.status.code(), Some(0));
}
