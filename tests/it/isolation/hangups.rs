//! Callers who hang up in the middle of a call, wherever it is: their connection goes
//! to the next caller, and nothing of theirs with it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::random::seed;
use super::world::{World, served_with};
use crate::harness::{As, Tap, TestHost, report};

const CONNECTIONS: u32 = 4;
const HANG_UPS: usize = 400;
const READ: &str = "SELECT owner, body FROM secrets";
/// Some ten milliseconds of work, for a hang-up to fall into.
const SLOW: &str = "SELECT count(*) AS n, min(s.owner) AS owner FROM secrets AS s, board AS a, board AS b \
                    WHERE concat(a.note, b.note, s.owner) <> 'x'";
const WRITE: &str = "UPDATE secrets SET body = concat(body, '') RETURNING owner";
/// Which server process it is, whether it is in a transaction, and who is in it.
const STATE: &str = "SELECT pg_backend_pid(), now() = statement_timestamp(), \
                     coalesce(current_setting('innkeeper.caller', true), '')";

/// Calls of every kind: a read alone, a write, and both in one transaction.
async fn call(host: &TestHost, caller: &str, rng: &mut Rng) -> Value {
    let (path, texts) = match rng.u8(0..4) {
        0 => ("/texts", json!([READ])),
        1 => ("/texts", json!([SLOW])),
        2 => ("/texts", json!([WRITE])),
        _ => ("/batch", json!([READ, WRITE, READ])),
    };
    let answer = host.post(path, &texts).by(caller).send().await.expect("an answer");
    answer.json().await.expect("JSON")
}

async fn hang_up(host: Arc<TestHost>, mut rng: Rng) {
    for _ in 0..HANG_UPS / 8 {
        let caller = if rng.bool() { "alice" } else { "mallory" };
        let patience = Duration::from_micros(rng.u64(0..40_000));
        let _ = tokio::time::timeout(patience, call(&host, caller, &mut rng)).await;
    }
}

/// Insists on answers, and that they are the caller's own.
async fn listen(host: Arc<TestHost>, caller: &'static str, mut rng: Rng) -> usize {
    let mut rows = 0;
    for _ in 0..60 {
        let outcomes = call(&host, caller, &mut rng).await;
        for outcome in outcomes.as_array().expect("outcomes") {
            let told = outcome["rows"].as_array().unwrap_or_else(|| panic!("{caller}: {outcome}"));
            assert!(!told.is_empty() && told.iter().all(|row| row["owner"] == caller), "{caller}: {outcome}");
            rows += told.len();
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_leaves_nothing_and_costs_no_connection() {
    let seed = seed();
    let world = World::new(true).await;
    let tap = Tap::before(world.database.url()).await;
    let host = Arc::new(served_with(&world, &tap.url(world.database.url()), CONNECTIONS).await);
    let notes: Vec<String> = (0..10).map(|n| format!("INSERT INTO board (note) VALUES ('{n}')")).collect();
    let noted = host.post("/batch", &json!(notes)).by("mallory").send().await.expect("an answer");
    let noted = noted.text().await.expect("a body");
    assert!(!noted.contains("error"), "{noted}");
    // All connections are opened before anybody hangs up.
    let rng = |n: u64| Rng::with_seed(seed.wrapping_add(n));
    let all = (0..8).map(|n| tokio::spawn(listen(Arc::clone(&host), "mallory", rng(n))));
    for one in all.collect::<Vec<_>>() {
        one.await.expect("his own");
    }
    let before = sessions(&tap).await;
    let hangers: Vec<_> = (0..8).map(|n| tokio::spawn(hang_up(Arc::clone(&host), rng(10 + n)))).collect();
    let listeners = ["alice", "mallory"].map(|caller| tokio::spawn(listen(Arc::clone(&host), caller, rng(20))));
    for hanger in hangers {
        hanger.await.expect("no panic");
    }
    let mut rows = 0;
    for listener in listeners {
        rows += listener.await.unwrap_or_else(|error| panic!("INNKEEPER_TEST_SEED={seed}: {error}"));
    }
    let after = sessions(&tap).await;
    let kept = before.intersection(&after).count();
    report(&format!(
        "{HANG_UPS} hang-ups, {rows} rows of others meanwhile; {kept} of {} connections are the same",
        before.len()
    ));
    // On a busy machine one may have needed longer than it is waited for.
    assert!(before.len() > 1 && kept > 0, "INNKEEPER_TEST_SEED={seed}: {before:?}, and then {after:?}");
}

/// The server's processes behind the host's connections, none of which has a caller.
async fn sessions(tap: &Tap) -> HashSet<String> {
    let replies = tap.ask(STATE).await;
    let cells: Vec<_> = replies.iter().map(|reply| reply.cells()).filter(|cells| cells.len() == 3).collect();
    assert!(cells.iter().all(|cells| cells[1] == "t" && cells[2].is_empty()), "{cells:?}");
    cells.into_iter().map(|mut cells| cells.remove(0)).collect()
}
