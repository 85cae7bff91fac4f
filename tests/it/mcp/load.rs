//! Many at once.

use std::sync::Arc;

use serde_json::json;

use super::client::{call, message, post, text, tool};
use crate::harness::{As, Setup, module};

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_never_mixed_up() {
    let host = Arc::new(Setup::modules(&module("probe", "probe", "")).start().await);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let host = Arc::clone(&host);
            tokio::spawn(async move {
                for round in 0..20 {
                    let user = format!("user-{task}-{round}");
                    let request = post(&host, &message("tools/call", json!({"name": "whoami"}))).by(&user);
                    let told = super::client::answer(request).await.1;
                    assert_eq!(text(&told), format!("{user} []"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(host.running().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_busy_says_so_and_others_go_on() {
    let busy = module("busy", "probe", "limits = { concurrency = 2, wall = \"3s\" }");
    let other = module("other", "probe", "config = { prefix = \"other://\" }");
    let host = Arc::new(Setup::modules(&[busy, other].concat()).start().await);
    let sleeping: Vec<_> = (0..2)
        .map(|_| {
            let host = Arc::clone(&host);
            tokio::spawn(async move { tool(&host, "busy.sleep", json!({"ms": 1_500})).await })
        })
        .collect();
    while host.running().await < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let told = tool(&host, "busy.whoami", json!({})).await.1;
    assert_eq!(told["error"]["code"], -32603);
    assert!(told["error"]["message"].as_str().expect("text").contains("try again"), "{told}");
    assert_eq!(text(&tool(&host, "other.whoami", json!({})).await.1), "nobody");
    for task in sleeping {
        assert_eq!(text(&task.await.expect("no panic").1), "slept");
    }
    assert_eq!(call(&host, "tools/list", json!({})).await.0, 200);
}
