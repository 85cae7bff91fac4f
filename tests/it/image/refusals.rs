//! What keeps it from serving, said in a sentence, and the exit code that goes with it.

use super::container::{Setup, database};
use super::{add, answer};
use crate::harness::SECRET;

const EX_UNAVAILABLE: i64 = 69;
const EX_CONFIG: i64 = 78;

#[track_caller]
fn expect((code, logs): (i64, String), expected: i64, sentences: &[&str]) {
    assert_eq!(code, expected, "{logs}");
    for sentence in sentences {
        assert!(logs.contains(sentence), "no `{sentence}` in: {logs}");
    }
    assert!(!logs.contains(SECRET), "a secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_that_is_missing_or_wrong_is_named_at_once() {
    let setup = Setup::new()
        .env("AUTH_LOCAL", "1")
        .env("DATABASE_URL", "mysql://db/x")
        .env("INNKEEPER_LISTN", "x")
        .env("OPENAI_API_KEY_FILE", "/run/secrets/nowhere");
    let sentences = ["BETTER_AUTH_SECRET", "DATABASE_URL", "did you mean INNKEEPER_LISTEN?", "/run/secrets/nowhere"];
    expect(setup.run().await, EX_CONFIG, &sentences);
    expect(setup.command(&["check"]).run().await, EX_CONFIG, &sentences);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_somebody_elses_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = Setup::signed().option(&format!("--volume={}:/data", folder.path().display()));
    let (code, logs) = setup.run().await;
    assert_ne!(code, 0, "{logs}");
    assert!(logs.contains("/data/cache") && logs.contains("INNKEEPER_DATA_DIR"), "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_its_setting() {
    let first = Setup::signed().start().await;
    let beside = Setup::signed().beside(&first);
    expect(beside.run().await, 1, &["0.0.0.0:8000", "INNKEEPER_LISTEN"]);
    let other = beside.env("INNKEEPER_LISTEN", "0.0.0.0:8001").env("INNKEEPER_ADMIN_LISTEN", "off").create().await;
    other.start().await;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !other.exec(&["/app/innkeeper", "health"]).await.0 {
        assert!(std::time::Instant::now() < until, "{}", other.logs().await);
    }
    add(&first, "both serve").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_nobody_knows_is_not_ready_and_not_dead() {
    let (_database, url) = database().await;
    let nowhere = url.replace("postgres.internal", "nowhere.internal");
    let setup = Setup::signed().env("DATABASE_URL", &nowhere);
    expect(setup.clone().command(&["check"]).run().await, EX_UNAVAILABLE, &["cannot be reached", "DATABASE_URL"]);
    let container = setup.create().await;
    container.start().await;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let asked = container.get("/health/ready").await.send().await;
        if asked.is_ok_and(|answer| answer.status() == 503) {
            break;
        }
        assert!(std::time::Instant::now() < until, "{}", container.logs().await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(answer(container.get("/health/live").await).await.0, 200);
    let (healthy, why) = container.exec(&["/app/innkeeper", "health"]).await;
    assert!(!healthy && why.contains("503"), "{why}");
    assert!(container.exec(&["/app/innkeeper", "health", "--live"]).await.0);
}
