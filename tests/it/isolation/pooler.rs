//! Through PgBouncer in transaction mode: a session's backend is another one from
//! transaction to transaction, and other callers' between them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::hostile;
use crate::harness::{As, Bouncer, Database, Setup, TestDatabase, TestHost, report};

const CALLERS: usize = 8;
const ROUNDS: usize = 25;

async fn pooled(setup: Setup) -> Option<(Arc<TestHost>, Bouncer)> {
    let Some(program) = Bouncer::program() else {
        report("skipped: everything through PgBouncer, for want of INNKEEPER_TEST_PGBOUNCER");
        return None;
    };
    let database = TestDatabase::create(Database::Postgres).await;
    let bouncer = Bouncer::start(program, database.url(), 2).await;
    let url = bouncer.url(database.url());
    let host = setup.env("INNKEEPER_DATABASE_POOLED", "1").start_at(database, &url).await;
    let host = host.unwrap_or_else(|error| panic!("{error}: {}", bouncer.log()));
    host.until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
    Some((Arc::new(host), bouncer))
}

/// Everybody calls at once, again and again.
async fn all_at_once<F: Future<Output = ()> + Send + 'static>(call: impl Fn(usize) -> F) {
    let calling: Vec<_> = (0..CALLERS).map(|caller| tokio::spawn(call(caller))).collect();
    for caller in calling {
        caller.await.expect("served as he should be");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_share_backends_never_meet() {
    let Some((host, bouncer)) = pooled(hostile()).await else { return };
    let health: Value = host.get("/health").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(health["modules"][0]["isolation"], "row-level-security");
    // A second replica, through the same pooler.
    let url = bouncer.url(host.database.url());
    let other = hostile().env("INNKEEPER_DATABASE_POOLED", "1").start_at(host.database.clone(), &url).await;
    let hosts = [Arc::clone(&host), Arc::new(other.expect("the other host starts"))];
    hosts[1].until("/health/ready", 200, std::time::Duration::from_secs(20)).await;
    all_at_once(|caller| {
        let hosts = hosts.clone();
        async move {
            let name = format!("caller-{caller}");
            for round in 1..=ROUNDS {
                let host = &hosts[round % 2];
                let insert = format!("INSERT INTO secrets (owner, body) VALUES ('{name}', '{round}')");
                let texts = json!([insert, "SELECT owner, count(*) AS n FROM secrets GROUP BY owner"]);
                let answer = host.post("/texts", &texts).by(&name).send().await.expect("an answer");
                let answer: Value = answer.json().await.expect("JSON");
                assert_eq!(answer[1]["rows"], json!([{ "owner": name, "n": round }]), "{answer}");
            }
        }
    })
    .await;
    let anonymous = host.post("/texts", &json!(["SELECT owner FROM secrets"])).send().await.expect("an answer");
    assert_eq!(anonymous.json::<Value>().await.expect("JSON")[0]["rows"], json!([]));
    let log = bouncer.log();
    assert!(!log.contains("prepared statement"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_todo_guest_works_as_ever() {
    let Some((host, bouncer)) = pooled(Setup::guest("todo")).await else { return };
    all_at_once(|caller| {
        let host = Arc::clone(&host);
        async move {
            let name = format!("caller-{caller}");
            for round in 0..ROUNDS {
                let ask = async |method: &str, path: &str, body: Value| {
                    let method = method.parse().expect("a method");
                    let answer = host.request(method, path).json(&body).by(&name).send().await.expect("an answer");
                    let status = answer.status().as_u16();
                    (status, answer.json::<Value>().await.unwrap_or_default())
                };
                let (status, made) =
                    ask("POST", "/api/tasks", json!({ "title": format!("{name} {round}"), "tags": ["a"] })).await;
                assert_eq!((status, &made["user_id"]), (201, &json!(name)), "{made}");
                let one = format!("/api/tasks/{}", made["id"]);
                assert_eq!(ask("PATCH", &format!("{one}/complete"), json!({})).await.1["completed"], true);
                assert_eq!(ask("PUT", &one, json!({ "priority": "high" })).await.1["priority"], "high");
                let (status, list) = ask("GET", "/api/tasks?tag=a&sort=title&limit=100", json!(null)).await;
                let list = list.as_array().expect("a list").clone();
                assert_eq!((status, list.len()), (200, 1), "{list:?}");
                assert!(list.iter().all(|task| task["user_id"] == *name), "{list:?}");
                assert_eq!(ask("DELETE", &one, json!(null)).await.0, 200);
                assert_eq!(ask("GET", &one, json!(null)).await.0, 404);
            }
        }
    })
    .await;
    let log = bouncer.log();
    assert!(!log.contains("prepared statement"), "{log}");
}
