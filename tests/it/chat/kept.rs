//! Conversations, as lists and one by one.

use std::time::{Duration, Instant};

use reqwest::Method;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_listed_read_renamed_and_deleted() {
    for database in Database::BOTH {
        let model = OpenAi::answering(|_| Turn::text("Hello.")).await;
        let host = setup(&model, database).start().await;
        for message in ["first\nand more", "second", "third"] {
            say(&host, None, message).await;
        }
        say(&host, Some(1), "again").await;
        let ids = async |path: &str| -> Vec<i64> {
            let list = get(&host, path).await;
            list.as_array().expect("a list").iter().map(|each| each["id"].as_i64().expect("an id")).collect()
        };
        for family in ["/api/ada/conversations", "/api/conversations", "/api/chat/conversations"] {
            assert_eq!(ids(family).await, [1, 3, 2], "{family}");
            assert_eq!(ids(&format!("{family}?sort_by=created_at&order=asc")).await, [1, 2, 3]);
            assert_eq!(ids(&format!("{family}?sort_by=created_at")).await, [3, 2, 1]);
            assert_eq!(ids(&format!("{family}?order=asc&limit=2")).await, [2, 3]);
            assert_eq!(ids(&format!("{family}?limit=1&offset=1")).await, [3]);
        }
        for query in ["?limit=0", "?limit=101", "?sort_by=title", "?order=up"] {
            assert_eq!(answer(host.get(&format!("/api/conversations{query}")).by("ada")).await.0, 422, "{query}");
        }
        let one = get(&host, "/api/ada/conversations/1").await;
        assert_eq!(
            (&one["title"], &one["message_count"], &one["user_id"]),
            (&json!("first"), &json!(4), &json!("ada"))
        );
        let messages = get(&host, "/api/chat/conversations/1/messages").await;
        assert_eq!(one["messages"], messages);
        let said: Vec<&Value> = messages.as_array().expect("a list").iter().map(|each| &each["content"]).collect();
        assert_eq!(said, ["first\nand more", "Hello.", "again", "Hello."]);
        assert_eq!(get(&host, "/api/conversations/1/messages?limit=2").await[0]["content"], "again");

        for method in [Method::PATCH, Method::PUT] {
            let title = format!("by {method}");
            let rename = host.request(method, "/api/conversations/1").json(&json!({ "title": title })).by("ada");
            let (status, renamed) = answer(rename).await;
            assert_eq!((status, &renamed["title"]), (200, &json!(title)));
        }
        let empty = host.request(Method::PATCH, "/api/conversations/1").json(&json!({ "title": " " })).by("ada");
        assert_eq!(answer(empty).await.0, 422);
        let gone = answer(host.request(Method::DELETE, "/api/ada/conversations/1").by("ada")).await;
        assert_eq!(gone, (200, json!({ "message": "Conversation deleted successfully" })));
        for (method, suffix) in [(Method::GET, ""), (Method::GET, "/messages"), (Method::DELETE, "")] {
            let path = format!("/api/conversations/1{suffix}");
            let answer = answer(host.request(method, &path).by("ada")).await;
            assert_eq!(answer, (404, json!({ "detail": "Conversation not found" })));
        }
        let again = host.post("/api/chat", &json!({ "message": "hi", "conversation_id": 1 })).by("ada");
        assert_eq!(answer(again).await.0, 404);
        assert_eq!(ids("/api/conversations").await.len(), 2);
    }
}

/// What is deleted while the model thinks is not brought back, and nothing is done
/// for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_is_deleted_meanwhile_stays_deleted() {
    for database in Database::BOTH {
        let model = OpenAi::start(vec![add("milk").after(Duration::from_millis(500))]).await;
        let host = setup(&model, database).start().await;
        let said = answer(host.post("/api/chat", &json!({ "message": "add milk" })).by("ada"));
        let deleted = async {
            let until = Instant::now() + Duration::from_secs(10);
            while model.requests().is_empty() {
                assert!(Instant::now() < until, "the model is never asked");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let request = host.request(Method::DELETE, "/api/conversations/1").by("ada");
            assert_eq!(answer(request).await.0, 200);
        };
        let ((status, answer), ()) = tokio::join!(said, deleted);
        assert_eq!((status, &answer["detail"]), (404, &json!("Conversation not found")), "{answer}");
        assert_eq!(get(&host, "/api/conversations").await, json!([]));
        assert!(titles(&host).await.is_empty());
        model.finish();
    }
}

/// A long conversation: the model is told of the latest, and everything can be
/// read.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_conversation_is_told_in_part_and_kept_whole() {
    let model = OpenAi::answering(|request| {
        let last = request["messages"].as_array().expect("messages").last().expect("one").clone();
        match last["role"] == "tool" {
            true => Turn::text("Listed."),
            false => Turn::calls([("list_tasks", json!({}))]),
        }
    })
    .await;
    let host = setup(&model, Database::Postgres).start().await;
    for turn in 0..30 {
        say(&host, (turn > 0).then_some(1), &format!("message {turn}")).await;
    }
    let told = model.last()["messages"].as_array().expect("messages").clone();
    assert_eq!(told[1]["content"], "message 9", "twenty turns before the last one");
    assert_eq!(told.len(), 1 + 20 * 4 + 3);
    assert_eq!(get(&host, "/api/conversations/1/messages").await.as_array().expect("a list").len(), 60);
    assert_eq!(get(&host, "/api/conversations/1/messages?limit=50").await[0]["content"], "message 5");
}
