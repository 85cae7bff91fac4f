//! The todo guest: two users never meet, and what they wrote is kept; every
//! claim on SQLite and on Postgres.

mod golden;

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use crate::harness::{As, Database, Setup, TestHost};

async fn todo(database: Database, config: &Map<String, Value>) -> TestHost {
    let config: String = config.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let file = format!(
        "[[module]]\nname = \"todo\"\nsource = \"replaced\"\ngrants = {{ sql = \"main\", accounts = true, llm = [], toolbox = [] }}\n[module.config]\n{config}"
    );
    Setup::guest("todo").file(&file).on(database).start().await
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Whatever one user does with the other's ids: for him they do not exist.
#[tokio::test(flavor = "multi_thread")]
async fn two_users_never_meet() {
    for database in Database::BOTH {
        let host = todo(database, &Map::new()).await;
        let mut owned = Vec::new();
        for user in ["ada", "bob"] {
            let task = answer(
                host.post(&format!("/api/{user}/tasks"), &json!({ "title": format!("of {user}"), "tags": [user] }))
                    .by(user),
            )
            .await;
            assert_eq!(task.0, 201, "{}", task.1);
            owned.push(task.1);
        }
        for (caller, other) in [(0, 1), (1, 0)] {
            let (name, stranger) = (["ada", "bob"][caller], ["ada", "bob"][other]);
            let id = &owned[other]["id"];
            for query in
                ["", "?search=of", "?status=all", "?sort=title", &format!("?tag={stranger}"), "?limit=100&offset=0"]
            {
                let (status, list) = answer(host.get(&format!("/api/{name}/tasks{query}")).by(name)).await;
                assert_eq!(status, 200, "{query}");
                let foreign = list
                    .as_array()
                    .expect("a list")
                    .iter()
                    .any(|task| task["id"] == *id || task["user_id"] == stranger);
                assert!(!foreign, "{query} on {database:?}: {list}");
            }
            let change = json!({ "title": "taken over" });
            for (method, suffix, body) in [
                (Method::GET, "", None),
                (Method::PUT, "", Some(&change)),
                (Method::PATCH, "", Some(&change)),
                (Method::PATCH, "/complete", None),
                (Method::POST, "/complete", None),
                (Method::DELETE, "", None),
            ] {
                // By the own path, by the path without a user, and by the other's.
                for (path, expected) in [
                    (format!("/api/{name}/tasks/{id}{suffix}"), (404, "Task not found")),
                    (format!("/api/tasks/{id}{suffix}"), (404, "Task not found")),
                    (format!("/api/{stranger}/tasks/{id}{suffix}"), (403, "Access denied: user ID mismatch")),
                ] {
                    let request = host.request(method.clone(), &path).by(name);
                    let got = answer(if let Some(body) = body { request.json(body) } else { request }).await;
                    assert_eq!(got, (expected.0, json!({ "detail": expected.1 })), "{method} {path} on {database:?}");
                }
            }
            let got = answer(host.post(&format!("/api/{stranger}/tasks"), &json!({ "title": "x" })).by(name)).await;
            assert_eq!(got.0, 403, "{got:?}");
        }
        for (user, task) in ["ada", "bob"].iter().zip(&owned) {
            assert_eq!(
                answer(host.get(&format!("/api/{user}/tasks")).by(user)).await,
                (200, json!([task])),
                "on {database:?}"
            );
        }
    }
}

/// What PUT and DELETE answer is in the golden answers; that it is so in the
/// database after a restart is not.
#[tokio::test(flavor = "multi_thread")]
async fn todos_outlive_the_host() {
    for database in Database::BOTH {
        let host = todo(database, &Map::new()).await;
        let kept = answer(
            host.post("/api/tasks", &json!({ "title": "kept", "tags": ["a"], "due_date": "2030-01-02" })).by("ada"),
        )
        .await
        .1;
        let gone = answer(host.post("/api/tasks", &json!({ "title": "gone" })).by("ada")).await.1;
        assert_eq!(answer(host.request(Method::DELETE, &format!("/api/tasks/{}", gone["id"])).by("ada")).await.0, 200);
        let (_, database) = host.stop().await;
        let host = Setup::guest("todo").start_with(database).await.expect("it starts again");
        assert_eq!(answer(host.get("/api/tasks").by("ada")).await, (200, json!([kept])));
        let next = answer(host.post("/api/tasks", &json!({ "title": "next" })).by("ada")).await.1;
        assert!(next["id"].as_i64() > gone["id"].as_i64(), "the id {} is given twice", gone["id"]);
    }
}
