//! What keeping callers apart costs in turns with the database.

use std::time::{Duration, Instant};

use serde_json::json;

use super::world::{World, served, served_with};
use crate::harness::{As, Tap, TestHost};

const READ: &str = "SELECT owner, body FROM secrets";
const WRITE: &str = "INSERT INTO board (note) VALUES ('x')";

/// One text alone, or several in one transaction.
async fn call(host: &TestHost, texts: &[&str]) {
    let path = if texts.len() == 1 { "/texts" } else { "/batch" };
    let answer = host.post(path, &json!(texts)).by("mallory").send().await.expect("an answer");
    let answer = answer.text().await.expect("a body");
    assert!(!answer.contains("error"), "{answer}");
}

/// The turns of one call. The host looks at its database now and then; a look
/// in between is no part of the call.
async fn turns(host: &TestHost, tap: &Tap, texts: &[&str]) -> Vec<String> {
    for _ in 0..5 {
        tap.ask("SELECT 1").await;
        tap.turns();
        call(host, texts).await;
        tap.ask("SELECT 1").await;
        let turns = tap.turns();
        if !turns.iter().any(|turn| turn.contains("session_user")) {
            return turns;
        }
    }
    panic!("the host looks at its database all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_call_takes_one_turn_to_read_and_three_to_write() {
    let world = World::new(true).await;
    let tap = Tap::before(world.database.url()).await;
    let host = served(&world, &tap.url(world.database.url())).await;
    for texts in [&[READ][..], &[WRITE], &[READ, READ], &[READ], &[WRITE], &[READ, READ]] {
        call(&host, texts).await;
    }
    // Bind, Execute, Close of the portal, Sync: the statement is prepared.
    assert_eq!(turns(&host, &tap, &[READ]).await, ["BECS"]);
    let writing = turns(&host, &tap, &[WRITE]).await;
    assert_eq!(writing.len(), 3, "{writing:?}");
    assert!(
        writing[0].starts_with("Q:BEGIN") && writing[1] == "BECS" && writing[2].starts_with("Q:COMMIT"),
        "{writing:?}"
    );
    // The ROLLBACK of reads is sent, and nobody waits for its answer.
    let reading = turns(&host, &tap, &[READ, READ]).await;
    assert_eq!(reading.len(), 4, "{reading:?}");
    assert!(
        reading[0].starts_with("Q:BEGIN") && reading[1..3] == ["BECS", "BECS"] && reading[3].starts_with("Q:ROLLBACK"),
        "{reading:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_reads_does_not_wait_for_the_end_of_their_transaction() {
    const DELAY: Duration = Duration::from_millis(300);
    let world = World::new(true).await;
    let tap = Tap::before(world.database.url()).await;
    let host = served(&world, &tap.url(world.database.url())).await;
    let reads = [READ, READ];
    call(&host, &reads).await;
    tap.ask("SELECT 1").await;
    tap.delay(DELAY);
    let started = Instant::now();
    call(&host, &reads).await;
    let took = started.elapsed();
    // A look of the host's at its database may be in the way once.
    assert!(took >= 3 * DELAY, "{took:?}: the delay has no effect");
    let started = Instant::now();
    tokio::time::sleep(2 * DELAY).await;
    call(&host, &reads).await;
    let again = started.elapsed().checked_sub(2 * DELAY).expect("it slept");
    let best = took.min(again);
    assert!(best < 4 * DELAY, "{best:?}: a fourth turn was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_right_after_others_do_not_wait_for_the_end_of_those() {
    const DELAY: Duration = Duration::from_millis(200);
    let world = World::new(true).await;
    let tap = Tap::before(world.database.url()).await;
    let host = served_with(&world, &tap.url(world.database.url()), 2).await;
    tap.delay(DELAY);
    for (texts, most) in [(&[READ][..], 2 * DELAY), (&[READ, READ], 4 * DELAY)] {
        let mut fast = 0;
        // The first ones open the connections that the later ones take in turns.
        for _ in 0..10 {
            let started = Instant::now();
            call(&host, texts).await;
            fast += usize::from(started.elapsed() < most);
        }
        // The host looks at its database now and then, and that may be in the way.
        assert!(fast >= 5, "{fast} of ten calls took no turn more than {texts:?} need");
    }
}
