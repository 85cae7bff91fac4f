//! What becomes of modules when their registry is down.

use super::{GRANTS, artifact, cache, refused, registry, run, setup};
use crate::harness::{Doors, HostProcess};
use crate::swap::editions::{asked, swapped};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pulled_is_served_without_its_registry() {
    let Some(mut registry) = registry(Doors::Open).await else { return };
    let cache = cache();
    let digest = registry.push("edition:v1", &artifact(1)).await;
    let pinned = registry.module("a", &format!("edition@{digest}"), GRANTS);
    let tagged = registry.module("a", "edition:v1", GRANTS);
    setup(cache.path(), &tagged).start().await.stop().await;
    registry.down().await;
    for toml in [&pinned, &tagged] {
        let host = setup(cache.path(), toml).start().await;
        assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()), "{toml}");
        // The same again is nothing new, and no failure.
        assert_eq!(swapped(&host, "/modules").await["changed"], serde_json::json!([]));
    }
    // A tag that was never looked up is nothing that could be served.
    let host = setup(cache.path(), &pinned).start().await;
    std::fs::write(&host.file, registry.module("a", "edition:v2", GRANTS)).expect("written");
    refused(&host, "/modules", 503, "its registry does not answer").await;
    assert_eq!(asked(&host, "/a").await.1, "00000001");
    // Nor is anything without what was kept.
    let (empty, source) = (super::cache(), registry.source("edition:v1"));
    for command in ["serve", "check"] {
        let (code, said) = run(&[command], &source, empty.path(), &[]).await;
        assert!(code == 69 && said.contains("its registry does not answer"), "{command}: {code} {said}");
    }
    // It is back, and has something newer.
    registry.resume().await;
    registry.push("edition:v2", &artifact(2)).await;
    swapped(&host, "/modules").await;
    assert_eq!(asked(&host, "/a").await, (2, "00000002".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_cannot_be_looked_up_is_said_to_be_what_it_was() {
    let Some(mut registry) = registry(Doors::Open).await else { return };
    let (cache, digest) = (cache(), registry.push("edition:v1", &artifact(1)).await);
    let config = cache.path().join("innkeeper.toml");
    std::fs::write(&config, registry.module("a", "edition:v1", GRANTS)).expect("written");
    let (dir, config) = (cache.path().display().to_string(), config.display().to_string());
    let vars = [("INNKEEPER_CONFIG", config.as_str()), ("INNKEEPER_CACHE_DIR", dir.as_str())];
    assert_eq!(HostProcess::serve(&vars).await.stop().await.status.code(), Some(0));
    registry.down().await;
    let host = HostProcess::serve(&vars).await;
    let finished = host.stop().await;
    let warning = format!("is taken for what it was last, {digest}: its registry does not answer");
    assert!(finished.stderr.contains(&warning), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_and_was_changed_is_not_served() {
    let Some(mut registry) = registry(Doors::Open).await else { return };
    let cache = cache();
    let digest = registry.push("edition:v1", &artifact(1)).await;
    let pinned = registry.module("a", &format!("edition@{digest}"), GRANTS);
    setup(cache.path(), &pinned).start().await.stop().await;
    let kept = || {
        let files = std::fs::read_dir(cache.path().join("modules")).expect("it is there");
        let mut files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    };
    let files = kept();
    assert_eq!(files.len(), 2, "a manifest and a component: {files:?}");
    for file in &files {
        let mut bytes = std::fs::read(file).expect("it is there");
        let half = bytes.len() / 2;
        bytes[half] ^= 1;
        std::fs::write(file, bytes).expect("written");
    }
    registry.down().await;
    let source = registry.source(&format!("edition@{digest}"));
    let (code, said) = run(&["check"], &source, cache.path(), &[]).await;
    assert!(code == 69 && said.contains("is not what it was, and is pulled again"), "{code} {said}");
    registry.resume().await;
    let host = setup(cache.path(), &pinned).start().await;
    assert_eq!(asked(&host, "/a").await.1, "00000001");
    assert_eq!(kept(), files, "it is kept again");
}
