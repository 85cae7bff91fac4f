//! How fast it starts, and how much memory it takes under load.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;

use super::container::{Setup, database};
use crate::harness::{Raw, Steady, http_client, report, token};

const STARTS: usize = 7;
/// What is aimed at, and what no machine that has other things to do may miss.
const READY_GOAL_MS: f64 = 300.0;
const READY_MOST_MS: f64 = 3_000.0;
const RATE: u32 = 200;
const RESIDENT_GOAL_MIB: f64 = 64.0;
/// Beyond this the limit of 128 MiB would be near.
const RESIDENT_MOST_MIB: f64 = 112.0;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds since the time that Docker writes as 2026-01-02T03:04:05.678901234Z.
fn since(started: &str) -> f64 {
    let time = started.split_once('T').expect("a time").1.trim_end_matches('Z');
    let seconds = time.split(':').fold(0.0, |all, part| all * 60.0 + part.parse::<f64>().expect("a number"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now").as_secs_f64() % 86_400.0;
    // Midnight may lie between.
    (now - seconds).rem_euclid(86_400.0) * 1_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_in_a_moment() {
    let (_database, url) = database().await;
    let setup = Setup::signed().env("DATABASE_URL", &url);
    // The first one makes the schema.
    setup.start().await.stop().await;
    let (mut all, mut own) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let container = setup.create().await;
        let asked = Instant::now();
        container.start().await;
        let address = container.address().await;
        loop {
            if TcpStream::connect(address).await.is_ok() {
                let mut connection = Raw::connect(address).await;
                connection.ask("/health/ready").await.expect("sent");
                if connection.answer().await.ok().flatten().is_some_and(|answer| answer.status == 200) {
                    break;
                }
            }
            assert!(asked.elapsed() < Duration::from_secs(20), "{}", container.logs().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        all.push(asked.elapsed().as_secs_f64() * 1_000.0);
        own.push(since(&container.inspect("{{.State.StartedAt}}").await));
    }
    let (all, own) = (median(all), median(own));
    report(&format!(
        "start to ready, median of {STARTS}: {own:.0} ms from the program's start (goal: {READY_GOAL_MS:.0}), {all:.0} ms from `docker start`"
    ));
    assert!(own <= READY_MOST_MS);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_requests_a_second_take_little_memory() {
    let (_database, url) = database().await;
    let container = Setup::signed().env("DATABASE_URL", &url).start().await;
    let idle = container.resident_mib().await;
    let (address, client, token) = (container.address().await, http_client(), token("ada"));
    let load = Steady::start(RATE, move |number| {
        let request = match number % 4 {
            0 => client.post(format!("http://{address}/api/tasks")).json(&json!({ "title": format!("{number}") })),
            _ => client.get(format!("http://{address}/api/tasks?limit=20")),
        };
        let request = request.bearer_auth(&token);
        async move { request.send().await.expect("an answer").status().as_u16() }
    });
    let mut most = 0_f64;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        most = most.max(container.resident_mib().await);
    }
    let answers = load.stop().await;
    let refused: Vec<_> = answers.iter().filter(|status| ![200, 201].contains(*status)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(answers.len() >= RATE as usize * 10, "{} requests in 10 s", answers.len());
    report(&format!(
        "{RATE} requests/s for 10 s: at most {most:.1} MiB resident (goal: {RESIDENT_GOAL_MIB:.0}), {idle:.1} MiB before"
    ));
    assert!(most <= RESIDENT_MOST_MIB);
}
