//! What an administrator changes while the host runs: it heals within seconds,
//! and until then nobody meets what is another's.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{OF_MALLORY, World, hostile, served_with};
use crate::harness::{As, Reply, Tap, TestHost};

/// The host looks every two seconds; its pauses between two tries grow to 5 s.
const HEALED: Duration = Duration::from_secs(12);

/// A host on which both callers have a row.
async fn host() -> TestHost {
    let host = hostile().start().await;
    for caller in ["alice", "mallory"] {
        let texts = json!([format!("INSERT INTO secrets (owner, body) VALUES ('{caller}', 'x')")]);
        let answer = host.post("/texts", &texts).by(caller).send().await.expect("an answer");
        assert!(answer.text().await.expect("a body").contains("\"affected\":1"));
    }
    host
}

/// Whether both callers are served; whoever is served meets his own row alone.
async fn serves(host: &TestHost) -> bool {
    let mut served = true;
    for caller in ["alice", "mallory"] {
        let texts = json!(["SELECT owner FROM secrets"]);
        let answer = host.post("/texts", &texts).by(caller).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        match answer[0].get("rows") {
            Some(rows) => assert_eq!(*rows, json!([{ "owner": caller }])),
            None => served = false,
        }
    }
    served
}

async fn heals(host: &TestHost) {
    let until = Instant::now() + HEALED;
    while !serves(host).await {
        assert!(Instant::now() < until, "not healed after {HEALED:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    host.until("/health/ready", 200, HEALED).await;
    assert!(serves(host).await);
}

async fn admin(host: &TestHost, text: &str) {
    let reply = host.database.admin().await.simple(text).await.expect("an answer");
    assert_eq!(reply.error(), None, "{text}: {}", String::from_utf8_lossy(&reply.bytes));
}

async fn role(host: &TestHost) -> String {
    host.database.admin().await.simple("SELECT role FROM innkeeper.login").await.expect("a row").cells().remove(0)
}

const END_SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                            WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread")]
async fn another_password_is_set_back() {
    let host = host().await;
    let role = role(&host).await;
    admin(&host, &format!("ALTER ROLE \"{role}\" PASSWORD 'another'; {END_SESSIONS}")).await;
    heals(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_is_taken_up() {
    let host = host().await;
    admin(&host, "INSERT INTO innkeeper.key (kid, key) VALUES (2, decode(repeat('5a', 32), 'hex'))").await;
    assert!(serves(&host).await, "the first is as good");
    admin(&host, "DELETE FROM innkeeper.key WHERE kid = 1").await;
    heals(&host).await;
    admin(&host, "DELETE FROM innkeeper.key").await;
    heals(&host).await;
    // Another key under the same number.
    admin(&host, "UPDATE innkeeper.key SET key = decode(repeat('a5', 32), 'hex')").await;
    heals(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_dropped_is_made_again() {
    let host = host().await;
    let role = role(&host).await;
    admin(&host, &format!("{END_SESSIONS}; DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"")).await;
    heals(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_pass_policies_by_is_not_used() {
    for power in ["BYPASSRLS", "SUPERUSER", "CREATEROLE"] {
        let (_, database) = host().await.stop().await;
        let mut admin = database.admin().await;
        let role = admin.simple("SELECT role FROM innkeeper.login").await.expect("a row").cells().remove(0);
        admin.simple(&format!("ALTER ROLE \"{role}\" {power}")).await.expect("an answer");
        let host = hostile().start_with(database).await.expect("it starts, and waits");
        for _ in 0..10 {
            assert!(!serves(&host).await, "served with {power}");
        }
        let ready = host.get("/health/ready").send().await.expect("an answer").status();
        assert_eq!(ready, 503);
        admin.simple(&format!("ALTER ROLE \"{role}\" NOBYPASSRLS NOSUPERUSER NOCREATEROLE")).await.expect("an answer");
        heals(&host).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_a_member_of_another_is_not_used() {
    let (_, database) = host().await.stop().await;
    let mut admin = database.admin().await;
    let role = admin.simple("SELECT role FROM innkeeper.login").await.expect("a row").cells().remove(0);
    admin.simple(&format!("GRANT pg_read_all_data TO \"{role}\"")).await.expect("an answer");
    let host = hostile().start_with(database).await.expect("it starts, and waits");
    assert!(!serves(&host).await);
    admin.simple(&format!("REVOKE pg_read_all_data FROM \"{role}\"")).await.expect("an answer");
    heals(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_given_more_while_the_host_runs_is_no_longer_used() {
    let host = host().await;
    let role = role(&host).await;
    for (given, taken) in [
        (format!("ALTER ROLE \"{role}\" BYPASSRLS"), format!("ALTER ROLE \"{role}\" NOBYPASSRLS")),
        (format!("GRANT pg_read_all_data TO \"{role}\""), format!("REVOKE pg_read_all_data FROM \"{role}\"")),
    ] {
        admin(&host, &given).await;
        host.until("/health/ready", 503, HEALED).await;
        assert!(!serves(&host).await, "{given}");
        admin(&host, &taken).await;
        heals(&host).await;
    }
}

/// What a module's role sets for its later sessions, past the gate: the host's own
/// sessions have what the host sets.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_sets_for_itself_reaches_no_call() {
    const DEFAULTS: [(&str, &str, &str); 7] = [
        ("search_path", "pg_temp", "pg_catalog, pg_temp"),
        ("statement_timeout", "0", "2s"),
        ("lock_timeout", "1", "2s"),
        ("synchronous_commit", "off", "on"),
        ("default_transaction_read_only", "on", "off"),
        ("row_security", "off", "on"),
        ("TimeZone", "'Pacific/Kiritimati'", "UTC"),
    ];
    let (_, database) = host().await.stop().await;
    let mut admin = database.admin().await;
    let role = admin.simple("SELECT role FROM innkeeper.login").await.expect("a row").cells().remove(0);
    for (name, value, _) in DEFAULTS {
        let text = format!("ALTER ROLE \"{role}\" SET {name} = {value}");
        assert_eq!(admin.simple(&text).await.expect("an answer").error(), None, "{text}");
    }
    let tap = Tap::before(database.url()).await;
    let host = hostile().start_at(database.clone(), &tap.url(database.url())).await.expect("the host starts");
    heals(&host).await;
    let names = DEFAULTS.map(|(name, ..)| format!("current_setting('{name}')")).join(", ");
    let replies = tap.ask(&format!("SELECT session_user, {names}")).await;
    let of_role: Vec<_> = replies.iter().map(Reply::cells).filter(|cells| cells[0] == role).collect();
    assert!(!of_role.is_empty());
    for cells in of_role {
        assert_eq!(cells[1..], DEFAULTS.map(|(.., held)| held));
    }
}

/// What a server that is full answers: here to the module's role alone.
#[tokio::test(flavor = "multi_thread")]
async fn calls_share_the_connections_that_there_is_room_for() {
    const LIMIT: usize = 2;
    let mut world = World::new(true).await;
    let host = served_with(&world, world.database.url(), 20).await;
    let limited = format!("ALTER ROLE \"{}\" CONNECTION LIMIT {LIMIT}", world.role);
    world.break_with(&limited).await;
    let texts = json!(["SELECT owner FROM secrets"]);
    // More than once: those who are refused leave nothing behind that others trip over.
    for _ in 0..3 {
        let calls = (0..40).map(|_| host.post("/texts", &texts).by("mallory").send());
        for answer in futures_util::future::join_all(calls).await {
            let answer: Value = answer.expect("an answer").json().await.expect("JSON");
            assert_eq!(answer[0]["rows"].as_array().map(Vec::len), Some(OF_MALLORY), "{answer}");
        }
    }
    let held = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'innkeeper%' AND datname = current_database()";
    let held = host.database.admin().await.simple(held).await.expect("a row").cells().remove(0);
    assert!((1..=LIMIT).contains(&held.parse().expect("a number")), "{held} connections");
}
