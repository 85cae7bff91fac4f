//! Where a module may come from beside a registry: a directory with one file.

use std::time::{Duration, Instant};

use super::{GRANTS, cache, run};
use crate::harness::{Setup, module};
use crate::swap::editions::{Shelf, asked, edition, modules};

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_with_one_component_is_a_source_and_is_watched() {
    let shelf = Shelf::new();
    let folder = shelf.folder().display().to_string();
    let (code, said) = run(&["check"], &folder, cache().path(), &[]).await;
    assert!(code == 78 && said.contains("it is a directory without a .wasm file"), "{code} {said}");
    shelf.put("first", &edition(1, "plain"));
    std::fs::write(shelf.folder().join("notes.txt"), "not it").expect("written");
    // The harness's own form, with another source.
    let built = crate::harness::guest("edition").display().to_string();
    let toml = module("a", "edition", GRANTS).replace(&built, &folder);
    let host = Setup::modules(&["[swap]\ngeneration_header = true\n", &toml].concat()).start().await;
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));
    let since = Instant::now();
    let until = async |what: &str, is_so: &dyn Fn(&serde_json::Value) -> bool| {
        while !is_so(&modules(&host).await) {
            assert!(since.elapsed() < Duration::from_secs(40), "not {what}: {}", modules(&host).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Two are none: what is served goes on, and it is said.
    shelf.put("second", &edition(2, "plain"));
    until("refused", &|shown| {
        let why = shown["modules"][0]["refused"]["why"].as_str().unwrap_or_default();
        why.contains("it is a directory with 2 .wasm files, and one is served")
    })
    .await;
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));
    std::fs::remove_file(shelf.path("first")).expect("removed");
    until("swapped", &|shown| shown["generation"] == 2).await;
    assert_eq!(asked(&host, "/a").await, (2, "00000002".to_owned()));
}
