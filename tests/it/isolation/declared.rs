//! Statements that the hostile guest declares: none of them has a condition on
//! the owner that would hold.

use serde_json::{Value, json};

use super::world::{OF_ALICE, OF_MALLORY, World, served};
use crate::harness::{As, TestHost};

/// What the guest declares, by name.
const DECLARED: [&str; 14] = [
    "keep-for-mallory",
    "read-all",
    "read-victims",
    "count-all",
    "exists",
    "join",
    "with",
    "steal",
    "give",
    "deface",
    "forge",
    "delete-all",
    "divide",
    "publish",
];

async fn declared(host: &TestHost, name: &str, caller: Option<&str>) -> (String, Value) {
    let request = host.post("/declared", &json!(name));
    let request = match caller {
        Some(caller) => request.by(caller),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{name} as {caller:?}");
    let text = answer.text().await.expect("a body");
    let value = serde_json::from_str(&text).expect("JSON");
    (text, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_without_a_condition_meet_no_rows_of_others() {
    let mut world = World::new(true).await;
    let host = served(&world, world.database.url()).await;
    let mut run = 0;
    for caller in [Some("mallory"), None, Some("nobody-before"), Some("alice|"), Some("Alice"), Some("alice ")] {
        for name in DECLARED {
            let (text, value) = declared(&host, name, caller).await;
            assert_eq!(world.forbidden.leak(text.as_bytes(), true), None, "{name} as {caller:?}: {text}");
            assert!(!text.contains("division"), "{name} as {caller:?}: {text}");
            assert_eq!(world.damage().await, None, "{name} as {caller:?}");
            let mallory = caller == Some("mallory");
            match name {
                "read-victims" | "exists" => assert_eq!(value["rows"], json!([]), "{name} as {caller:?}"),
                "read-all" if !mallory => assert_eq!(value["rows"], json!([]), "{name} as {caller:?}"),
                "deface" | "publish" => {
                    let own = if mallory { OF_MALLORY } else { 0 };
                    assert_eq!(value["affected"], own, "{name} as {caller:?}: {text}");
                }
                "forge" | "give" if mallory => assert!(text.contains("Denied"), "{name} as {caller:?}: {text}"),
                "forge" => assert!(text.contains("Denied"), "{name} as {caller:?}: {text}"),
                _ => {}
            }
            run += 1;
        }
    }
    assert_eq!(run, 6 * DECLARED.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_statements_meet_the_callers_own_rows() {
    let mut world = World::new(true).await;
    let host = served(&world, world.database.url()).await;
    for (name, rows) in
        [("read-all", OF_ALICE), ("read-victims", OF_ALICE), ("count-all", 1), ("exists", 1), ("with", 1)]
    {
        let (text, value) = declared(&host, name, Some("alice")).await;
        assert_eq!(value["rows"].as_array().map(Vec::len), Some(rows), "{name}: {text}");
        assert!(!text.contains("mallory"), "{name}: {text}");
    }
    let (text, _) = declared(&host, "divide", Some("alice")).await;
    assert!(text.contains("division by zero"), "{text}");
    assert_eq!(world.damage().await, None);
    for (name, affected) in [("give", OF_ALICE), ("deface", OF_ALICE), ("delete-all", OF_ALICE)] {
        let (text, value) = declared(&host, name, Some("alice")).await;
        assert_eq!(value["affected"], affected, "{name}: {text}");
    }
    let (_, left) = declared(&host, "read-all", Some("mallory")).await;
    assert_eq!(left["rows"], json!(vec![json!({ "owner": "mallory", "body": "of mallory" }); OF_MALLORY]));
}
