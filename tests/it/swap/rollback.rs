//! The way back: asked for, and taken.

use std::time::{Duration, Instant};

use serde_json::json;

use super::editions::{Shelf, asked, change, edition, file, host, modules, swapped};
use crate::harness::{Setup, TestHost};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_taken_back_by_one_call_and_stays_so() {
    let shelf = Shelf::new();
    let host = host(&shelf).await;
    let (status, told) = change(&host, "/modules/a/rollback").await;
    assert!(status == 409 && told["detail"].as_str().expect("a reason").contains("no version before"), "{told}");
    assert_eq!(change(&host, "/modules/nobody/rollback").await.0, 404);
    let first = modules(&host).await["modules"][0]["sha256"].clone();
    shelf.put("a", &edition(2, "plain"));
    swapped(&host, "/modules/a").await;
    assert_eq!(swapped(&host, "/modules/a/rollback").await, json!({"generation": 3, "changed": ["a"]}));
    assert_eq!(asked(&host, "/a").await, (3, "00000001".to_owned()));
    let shown = modules(&host).await["modules"][0].clone();
    assert_eq!((&shown["sha256"], &shown["previous"]), (&first, &json!(null)));
    assert_eq!(shown["rolled_back"]["cause"], "operator");
    assert_eq!(change(&host, "/modules/a/rollback").await.0, 409);

    // The file is still the one that was taken back: whoever reads all of them again,
    // for another module's sake, does not mean it.
    shelf.put("b", &edition(5, "plain"));
    assert_eq!(swapped(&host, "/modules").await, json!({"generation": 4, "changed": ["b"]}));
    assert_eq!(asked(&host, "/a").await.1, "00000001");
    // Whoever names it does.
    assert_eq!(swapped(&host, "/modules/a").await, json!({"generation": 5, "changed": ["a"]}));
    assert_eq!(asked(&host, "/a").await.1, "00000002");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_calls_fail_is_taken_back_by_itself() {
    let shelf = Shelf::new();
    let host = patient(&shelf, 5).await;
    shelf.put("a", &edition(2, "bomb"));
    swapped(&host, "/modules/a").await;
    let mut failed = 0;
    let since = Instant::now();
    loop {
        let answer = host.get("/a").send().await.expect("an answer");
        if answer.status() == 200 {
            assert_eq!(answer.headers()["x-innkeeper-generation"], "3");
            assert_eq!(answer.text().await.expect("a text"), "00000001");
            break;
        }
        assert_eq!(answer.status(), 500);
        failed += 1;
        assert!(since.elapsed() < Duration::from_secs(20), "{failed} calls failed: {}", modules(&host).await);
    }
    assert!(failed >= 5, "{failed} failures were enough");
    let shown = modules(&host).await["modules"][0].clone();
    assert_eq!(shown["rolled_back"]["cause"], "failures", "{shown}");
    // A tool's traps count as those of a handler do.
    shelf.put("a", &edition(3, "bomb"));
    swapped(&host, "/modules/a").await;
    let since = Instant::now();
    while modules(&host).await["generation"] != 5 {
        let _ = host.post("/api/tools/a.edition", &json!({})).send().await.expect("an answer");
        assert!(since.elapsed() < Duration::from_secs(20), "{}", modules(&host).await);
    }
    assert_eq!(asked(&host, "/a").await, (5, "00000001".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_back_where_the_operator_does_not_want_it() {
    let shelf = Shelf::new();
    let host = patient(&shelf, 0).await;
    shelf.put("a", &edition(2, "bomb"));
    swapped(&host, "/modules/a").await;
    for _ in 0..150 {
        assert_eq!(host.get("/a").send().await.expect("an answer").status(), 500);
    }
    assert_eq!(modules(&host).await["generation"], 2);
}

/// A host that takes a version back after so many failures.
async fn patient(shelf: &Shelf, failures: u32) -> TestHost {
    shelf.put("a", &edition(1, "plain"));
    shelf.put("b", &edition(1, "plain"));
    let text = file(shelf).replace("[swap]\n", &format!("[swap]\nrollback_failures = {failures}\n"));
    Setup::modules(&text).env("INNKEEPER_WATCH", "0").start().await
}
