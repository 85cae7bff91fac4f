//! Thirty plugins in one host: what they cost.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{HostProcess, guest, http_client, report};

const PLUGINS: usize = 30;
/// What a plugin may take from the memory of an idle host, on average.
const KIB_EACH: u64 = 4 << 10;

/// So many plugins, no two of which are the same component.
fn shelf(count: usize) -> (tempfile::TempDir, String) {
    let shelf = tempfile::tempdir().expect("a directory");
    let mut file = format!("[[module]]\nname = \"hello\"\nsource = \"{}\"\nroute = \"/\"\n", guest("hello").display());
    for number in 0..count {
        let mut wasm = std::fs::read(guest(["dates", "text", "bill"][number % 3])).expect("built");
        // A section that means nothing: another digest, and code of its own.
        wasm.extend([0, 5, 3, b'n', b'o', b'.', u8::try_from(number).expect("few")]);
        let path = shelf.path().join(format!("{number}.wasm"));
        std::fs::write(&path, wasm).expect("written");
        file += &format!("[[module]]\nname = \"plugin-{number}\"\nsource = \"{}\"\n", path.display());
    }
    let config = shelf.path().join("innkeeper.toml");
    std::fs::write(&config, file).expect("written");
    (shelf, config.display().to_string())
}

/// How long it took to be ready, and what it holds when nobody asks.
async fn idle(config: &str) -> (Duration, HostProcess, u64) {
    let begin = Instant::now();
    let host = HostProcess::serve(&[("INNKEEPER_CONFIG", config)]).await;
    let took = begin.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let kib = host.held().0;
    (took, host, kib)
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_plugins_start_at_once_and_take_little() {
    let (_none, alone) = shelf(0);
    let (_all, config) = shelf(PLUGINS);
    // What is not compiled yet is compiled here.
    idle(&config).await.1.stop().await;
    let (_, host, before) = idle(&alone).await;
    host.stop().await;
    let (took, host, after) = idle(&config).await;
    let client = http_client();
    for number in 0..PLUGINS {
        let (tool, arguments) = [
            ("resolve_date", json!({ "when": "tomorrow" })),
            ("text_statistics", json!({ "text": "one two" })),
            ("split_bill", json!({ "total": 10, "people": 3, "tip_percent": 0 })),
        ][number % 3]
            .clone();
        let url = host.url(&format!("/api/tools/plugin-{number}.{tool}"));
        let answer = client.post(&url).json(&arguments).send().await.expect("an answer");
        let status = answer.status();
        let told: Value = answer.json().await.expect("JSON");
        assert_eq!(status, 200, "{url}: {told}");
    }
    let each = after.saturating_sub(before) / PLUGINS as u64;
    report(&format!(
        "{PLUGINS} plugins, warm cache: ready after {took:?}; {after} KiB when idle, {before} without them: {each} KiB each; \
         {} KiB when each was called",
        host.held().0,
    ));
    assert!(each <= KIB_EACH, "{each} KiB each");
}
