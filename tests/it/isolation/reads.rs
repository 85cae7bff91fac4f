//! A read alone enters for its caller in the statement itself. It must say what it
//! says in a transaction that has entered before.

use serde_json::{Value, json};

use super::world::hostile;
use crate::harness::{As, TestHost};

/// Reads of every form that the gate lets through, with rows in an order.
const READS: [&str; 14] = [
    "SELECT body FROM secrets ORDER BY body DESC",
    "SELECT body FROM secrets ORDER BY body LIMIT 3 OFFSET 2",
    "SELECT body AS body, owner AS owner, body AS again FROM secrets ORDER BY body",
    "SELECT s.body AS entered, s.owner AS innkeeper_call FROM secrets AS s ORDER BY s.body",
    "WITH own AS (SELECT body FROM secrets) SELECT body FROM own ORDER BY body",
    "(SELECT body FROM secrets WHERE body < '05') UNION ALL (SELECT note FROM board) ORDER BY 1 DESC",
    "SELECT DISTINCT owner FROM secrets",
    "SELECT owner, count(*) AS n, string_agg(body, ',' ORDER BY body) AS bodies FROM secrets GROUP BY owner HAVING count(*) > 1",
    "SELECT a.body, b.body AS other FROM secrets AS a JOIN secrets AS b ON a.body < b.body ORDER BY a.body DESC, b.body",
    "SELECT body, row_number() OVER (ORDER BY body DESC) AS n FROM secrets ORDER BY n",
    "SELECT (SELECT max(body) FROM secrets) AS last, EXISTS (SELECT 1 FROM secrets WHERE owner = 'alice') AS others",
    "SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM secrets)",
    "SELECT NULL AS nothing, 'x' AS text, CAST(1.50 AS numeric) AS number FROM secrets LIMIT 1",
    "SELECT 1 / (count(*) - 9) AS divided FROM secrets",
];

/// A host on which two callers have nine rows each.
async fn host() -> TestHost {
    let host = hostile().start().await;
    for caller in ["alice", "mallory"] {
        let keep = |n| format!("INSERT INTO secrets (owner, body) VALUES ('{caller}', '0{n}')");
        let kept = host.post("/batch", &json!((1..10).map(keep).collect::<Vec<_>>())).by(caller).send().await;
        assert!(!kept.expect("an answer").text().await.expect("a body").contains("error"));
    }
    host
}

async fn ask(host: &TestHost, path: &str, texts: &Value) -> Value {
    host.post(path, texts).by("mallory").send().await.expect("an answer").json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_alone_says_what_it_says_in_a_transaction() {
    let host = host().await;
    for read in READS {
        let alone = ask(&host, "/texts", &json!([read])).await;
        let together = ask(&host, "/batch", &json!([read, "SELECT 1 AS n"])).await;
        assert_eq!(alone[0], together[0], "{read}");
        let is_told = alone[0]["rows"].as_array().is_some_and(|rows| !rows.is_empty());
        assert!(is_told || alone[0]["error"].as_str().is_some_and(|error| error.contains("zero")), "{read}: {alone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_read_calls_cannot_write() {
    let host = host().await;
    let schema = "SELECT nspname FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relname = 'board'";
    let admin = async |text: &str| {
        let reply = host.database.admin().await.simple(text).await.expect("an answer");
        assert_eq!(reply.error(), None, "{text}: {}", String::from_utf8_lossy(&reply.bytes));
        reply.cells()
    };
    let schema = admin(schema).await.remove(0);
    let note = format!("INSERT INTO {schema}.board (note) VALUES (''written'')");
    admin(&format!(
        "CREATE FUNCTION public.note() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN {note}; RETURN true; END'; \
         CREATE POLICY noting ON {schema}.secrets AS RESTRICTIVE FOR SELECT USING (public.note())"
    ))
    .await;
    let notes = format!("SELECT count(*) FROM {schema}.board");
    let read = ask(&host, "/texts", &json!(["SELECT body FROM secrets"])).await;
    assert!(read[0]["error"].is_string(), "{read}");
    assert_eq!(admin(&notes).await, ["0"]);
    // In a write the same function writes, so it was the read that forbade it.
    let keep = "INSERT INTO secrets (owner, body) VALUES ('mallory', '10') RETURNING body";
    let kept = ask(&host, "/texts", &json!([keep])).await;
    assert_eq!(kept[0]["rows"], json!([{ "body": "10" }]), "{kept}");
    assert_ne!(admin(&notes).await, ["0"]);
}
