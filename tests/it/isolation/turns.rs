//! What keeping callers apart costs in turns with the database.

use std::time::{Duration, Instant};

use serde_json::json;

use super::world::{World, served, served_with};
use crate::harness::{As, Tap, TestHost};

async fn call(host: &TestHost, text: &str) {
    let answer = host.post("/texts", &json!([text])).by("mallory").send().await.expect("an answer");
    let answer = answer.text().await.expect("a body");
    assert!(!answer.contains("error"), "{answer}");
}

/// The turns of one call. The host looks at its database now and then; a look
/// in between is no part of the call.
async fn turns(host: &TestHost, tap: &Tap, text: &str) -> Vec<String> {
    for _ in 0..5 {
        tap.ask("SELECT 1").await;
        tap.turns();
        call(host, text).await;
        tap.ask("SELECT 1").await;
        let turns = tap.turns();
        if turns.iter().filter(|turn| turn.contains("BEGIN")).count() == 1 {
            return turns;
        }
    }
    panic!("the host looks at its database all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_call_takes_two_turns_to_read_and_three_to_write() {
    let world = World::new(true).await;
    let tap = Tap::before(world.database.url()).await;
    let host = served(&world, &tap.url(world.database.url())).await;
    let (read, write) = ("SELECT owner, body FROM secrets", "INSERT INTO board (note) VALUES ('x')");
    for text in [read, write, read, write] {
        call(&host, text).await;
    }
    // Bind, Execute, Close of the portal, Sync: the statement is prepared. The ROLLBACK of a read is
    // sent, and nobody waits for its answer.
    let reading = turns(&host, &tap, read).await;
    assert_eq!(reading.len(), 3, "{reading:?}");
    assert!(
        reading[0].starts_with("Q:BEGIN") && reading[1] == "BECS" && reading[2].starts_with("Q:ROLLBACK"),
        "{reading:?}"
    );
    let writing = turns(&host, &tap, write).await;
    assert_eq!(writing.len(), 3, "{writing:?}");
    assert!(
        writing[0].starts_with("Q:BEGIN") && writing[1] == "BECS" && writing[2].starts_with("Q:COMMIT"),
        "{writing:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_read_does_not_wait_for_the_end_of_its_transaction() {
    const DELAY: Duration = Duration::from_millis(300);
    let world = World::new(true).await;
    let tap = Tap::before(world.database.url()).await;
    let host = served(&world, &tap.url(world.database.url())).await;
    let read = "SELECT owner, body FROM secrets";
    call(&host, read).await;
    tap.ask("SELECT 1").await;
    tap.delay(DELAY);
    let started = Instant::now();
    call(&host, read).await;
    let took = started.elapsed();
    // A look of the host's at its database may be in the way once.
    assert!(took >= 2 * DELAY, "{took:?}: the delay has no effect");
    let started = Instant::now();
    tokio::time::sleep(2 * DELAY).await;
    call(&host, read).await;
    let again = started.elapsed().checked_sub(2 * DELAY).expect("it slept");
    let best = took.min(again);
    assert!(best < 3 * DELAY, "{best:?}: a third turn was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_right_after_another_does_not_wait_for_the_end_of_that_one() {
    const DELAY: Duration = Duration::from_millis(200);
    let world = World::new(true).await;
    let tap = Tap::before(world.database.url()).await;
    let host = served_with(&world, &tap.url(world.database.url()), 2).await;
    let read = "SELECT owner, body FROM secrets";
    tap.delay(DELAY);
    let mut fast = 0;
    // The first ones open the connections that the later ones take in turns.
    for _ in 0..10 {
        let started = Instant::now();
        call(&host, read).await;
        fast += usize::from(started.elapsed() < 3 * DELAY);
    }
    // The host looks at its database now and then, and that may be in the way.
    assert!(fast >= 5, "{fast} of ten reads took two turns");
}
