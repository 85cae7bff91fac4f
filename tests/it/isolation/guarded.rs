//! Through the host: the hostile guest runs whatever mallory sends it.

use serde_json::{Value, json};

use super::attacks::{Attack, all};
use super::oracle::without_chance;
use super::world::{OF_ALICE, OF_MALLORY, World, served};
use crate::harness::{As, Reply, Tap, TestHost, report};

/// State of a session that a call may leave behind.
const STATE: &str = "\
    SELECT session_user, current_user, coalesce(current_setting('innkeeper.caller', true), ''), \
    (SELECT md5(string_agg(name || '=' || setting, ',' ORDER BY name)) FROM pg_settings WHERE name NOT LIKE 'innkeeper.%'), \
    (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN ('search_path', \
     'statement_timeout', 'lock_timeout', 'work_mem', 'client_encoding', 'default_transaction_read_only', 'row_security', \
     'TimeZone')), \
    (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), \
    (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()), \
    (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), (SELECT count(*) FROM pg_cursors WHERE name <> ''), \
    (SELECT count(*) FROM pg_listening_channels()), \
    (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'), \
    now() = statement_timestamp(), pg_current_xact_id_if_assigned() IS NULL";

/// What the gate lets through of the other classes: plain reads of the own rows.
const HARMLESS: [&str; 5] = [
    "JSON of the whole row",
    "a comment that begins in a string",
    "a comment to the end",
    "a window over all",
    "a nested everything",
];

#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Each text on its own, until one fails.
    Texts,
    /// All of them in one transaction.
    Batch,
}

pub(super) struct Outcome {
    /// Errors, rows and all.
    told: String,
    /// The gate has let none of it through, or not all.
    denied: bool,
    pub(super) wrong: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_host_no_attack_meets_rows_of_others_or_leaves_anything() {
    let attacks = all();
    let (mut alices, mut carols) = tokio::join!(World::new(true), World::new(false));
    let (with, without) = tokio::join!(run(&mut alices, &attacks, OF_ALICE), run(&mut carols, &attacks, 0));
    let mut wrong = Vec::new();
    let denied = with.iter().filter(|(_, outcome)| outcome.denied).count();
    let runs = with.len();
    for ((place, with), (_, without)) in with.into_iter().zip(without) {
        wrong.extend(with.wrong.iter().chain(&without.wrong).map(|what| format!("{place}: {what}")));
        if with.told != without.told {
            wrong.push(format!("{place}: {} beside alice, and {} beside carol", with.told, without.told));
        }
    }
    let count = attacks.len();
    report(&format!(
        "{count} attacks through the host, {runs} runs, {denied} denied before the database, {} in which rows of others mattered or a trace was left",
        wrong.len()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn run(world: &mut World, attacks: &[Attack], of_alice: usize) -> Vec<(String, Outcome)> {
    let tap = Tap::before(world.database.url()).await;
    let host = served(world, &tap.url(world.database.url())).await;
    honest(&host, of_alice).await.expect("a host that works");
    let clean = state(&tap).await;
    let mut outcomes = Vec::new();
    for way in [Way::Texts, Way::Batch] {
        for attack in attacks {
            let mut outcome = attempt(world, &host, attack, way).await;
            let after = state(&tap).await;
            if after != clean {
                outcome.wrong.push(format!("the session is {after:?} and was {clean:?}"));
            }
            if attack.class == "roles and grants" {
                let role = world.role().await;
                outcome.wrong.extend((role != ["", ""]).then(|| format!("the role: {role:?}")));
            }
            // Before mallory has his rows back.
            outcome.wrong.extend(world.damage().await);
            outcome.wrong.extend(honest(&host, of_alice).await.err());
            let may_pass = attack.class == "own rows as oracles" || HARMLESS.contains(&attack.name);
            if !outcome.denied && !may_pass {
                outcome.wrong.push("the gate lets it through".to_owned());
            }
            outcomes.push((format!("{} / {} ({way:?})", attack.class, attack.name), outcome));
        }
    }
    outcomes
}

pub(super) async fn attempt(world: &World, host: &TestHost, attack: &Attack, way: Way) -> Outcome {
    // A seal of hers that fits no session.
    let seal = format!("{}alice", "0".repeat(96));
    let texts: Vec<String> = attack.texts.iter().map(|text| world.fill(text, 1, &seal)).collect();
    let path = match way {
        Way::Texts => "/texts",
        Way::Batch => "/batch",
    };
    let answer = host.post(path, &json!(texts)).by("mallory").send().await.expect("an answer");
    let status = answer.status();
    let body = answer.bytes().await.expect("a body");
    let mut wrong = Vec::from_iter(world.forbidden.leak(&body, true));
    if status != 200 {
        wrong.push(format!("{status} {}", String::from_utf8_lossy(&body)));
    }
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let steps = told.as_array().map(Vec::as_slice).unwrap_or_default();
    let denied = steps.iter().any(|step| step["error"].as_str().is_some_and(is_the_gates));
    Outcome { told: without_chance(&told.to_string()), denied, wrong }
}

/// Postgres, which is asked what the gate has let through, denies in words of its own.
fn is_the_gates(error: &str) -> bool {
    error.starts_with("Error::Denied")
        && !["permission denied", "row-level security"].iter().any(|word| error.contains(word))
}

/// Both callers see what is theirs, through the session that was attacked.
pub(super) async fn honest(host: &TestHost, of_alice: usize) -> Result<(), String> {
    for (caller, expected) in [("alice", of_alice), ("mallory", OF_MALLORY)] {
        let count =
            json!(["SELECT count(*) AS n, coalesce(min(owner), '') AS a, coalesce(max(owner), '') AS z FROM secrets"]);
        let answer = host.post("/texts", &count).by(caller).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        let row = &answer[0]["rows"][0];
        let owner = if expected == 0 { "" } else { caller };
        if *row != json!({ "n": expected, "a": owner, "z": owner }) {
            return Err(format!("{caller} sees {answer} afterwards, and should see {expected} rows"));
        }
    }
    Ok(())
}

/// The state of every session of the host's module, once it is idle.
async fn state(tap: &Tap) -> Vec<Vec<String>> {
    let replies = tap.ask(STATE).await;
    for reply in &replies {
        assert!(reply.error().is_none() && reply.is_idle(), "{}", String::from_utf8_lossy(&reply.bytes));
    }
    replies.iter().map(Reply::cells).filter(|cells| cells[0].starts_with("innkeeper_")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_on_a_session_is_noticed() {
    let world = World::new(false).await;
    let mut session = world.session().await;
    let mut look = async |left: &str| {
        session.simple("ROLLBACK").await.expect("an answer");
        session.simple("DISCARD ALL").await.expect("an answer");
        let reply = session.simple(left).await.expect("an answer");
        assert_eq!(reply.error(), None, "{left}");
        session.simple(STATE).await.expect("an answer").cells()
    };
    let clean = look("SELECT 1").await;
    for left in [
        "SET search_path = pg_temp",
        "SET statement_timeout = 7",
        "SET work_mem = '77MB'",
        "SET client_encoding = 'LATIN1'",
        "SET default_transaction_read_only = on",
        "SET synchronous_commit = local",
        "SELECT set_config('innkeeper.caller', 'alice', false)",
        "CREATE TEMP TABLE kept (a int)",
        "CREATE FUNCTION pg_temp.kept() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "PREPARE kept AS SELECT 1",
        "BEGIN; DECLARE kept CURSOR WITH HOLD FOR SELECT 1; COMMIT",
        "LISTEN kept",
        "SELECT pg_advisory_lock(1)",
        "BEGIN",
        "BEGIN; SELECT pg_current_xact_id()",
    ] {
        assert_ne!(look(left).await, clean, "{left}");
        assert_eq!(look("SELECT 1").await, clean, "after {left}");
    }
}
