//! Clients that stay while modules are swapped: they hear of it, and hold nothing back.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::editions::{Shelf, edition, host, swapped, until_one_is_kept};
use crate::mcp::client::{Session, Stream, message, post, text};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_hears_of_new_lists_and_sessions_go_on() {
    let shelf = Shelf::new();
    let host = host(&shelf).await;
    let wish = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}});
    let listen = post(&host, &message("subscriptions/listen", wish)).send().await.expect("an answer");
    let mut modern = Stream::new(listen);
    assert_eq!(modern.next().await.expect("a message")["method"], "notifications/subscriptions/acknowledged");
    let session = Session::begin(&host, None).await;
    let listen = session.signed(host.request(Method::GET, "/mcp")).header("accept", "text/event-stream");
    let mut legacy = Stream::new(listen.send().await.expect("an answer"));
    let tool = async |name: &str| session.call("tools/call", json!({"name": name, "arguments": {}})).await.1;
    assert_eq!(text(&tool("b.edition").await), "00000001");

    // Another version with the same tools is no news for anybody.
    shelf.put("b", &edition(2, "plain"));
    swapped(&host, "/modules/b").await;
    assert_eq!(text(&tool("b.edition").await), "00000002");
    shelf.put("b", &edition(3, "more"));
    swapped(&host, "/modules/b").await;
    let told = modern.next().await.expect("a message");
    assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    let told = legacy.next().await.expect("a message");
    assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    let (_, listed) = session.call("tools/list", json!({})).await;
    assert!(
        listed["result"]["tools"].as_array().expect("a list").iter().any(|tool| tool["name"] == "extra"),
        "{listed}"
    );
    assert_eq!(text(&tool("b.edition").await), "00000003");

    // All of them still listen, and of the versions that they have seen only the last
    // one is kept, for the way back.
    until_one_is_kept(&host, 1, Duration::from_secs(5)).await;
}
