//! Through PgBouncer in transaction mode: a session's backend is another one from
//! transaction to transaction, and other callers' between them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{RequestBuilder, Url};
use serde_json::{Value, json};

use super::attacks::{Attack, all};
use super::guarded::{self, Way, honest};
use super::time::end_at_their_time;
use super::world::{OF_ALICE, World, hostile, hostile_within};
use crate::harness::{As, Bouncer, Database, Setup, Steady, TestDatabase, TestHost, Wire, report};

const CALLERS: usize = 8;
const ROUNDS: usize = 25;
/// What a transaction may leave on a backend, and the backend's number. The settings that
/// the bouncer itself sets for its clients do not count.
const STATE: &str = "\
    SELECT session_user, current_user, coalesce(current_setting('innkeeper.caller', true), ''), \
    current_setting('search_path'), current_setting('statement_timeout'), \
    (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source = 'session' AND \
     name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', \
     'standard_conforming_strings', 'TimeZone')), \
    (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), \
    (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()), \
    (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), (SELECT count(*) FROM pg_cursors WHERE name <> ''), \
    (SELECT count(*) FROM pg_listening_channels()), \
    (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'), pg_backend_pid()";

/// Before two backends for each role.
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
    host.until("/health/ready", 200, Duration::from_secs(20)).await;
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
    hosts[1].until("/health/ready", 200, Duration::from_secs(20)).await;
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

async fn ask(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_signs_in_and_out_as_ever() {
    let Some((host, bouncer)) = pooled(Setup::guest("todo").env("AUTH_LOCAL", "1")).await else { return };
    let account = json!({ "email": "ada@example.com", "password": "correct horse battery", "name": "Ada" });
    let (status, registered) = ask(host.post("/api/auth/register", &account)).await;
    assert_eq!(status, 201, "{registered}");
    let (status, signed_in) = ask(host.post("/api/auth/login", &account)).await;
    assert_eq!(status, 200, "{signed_in}");
    // Better Auth's own kind of token for the session that began first.
    let opaque = "SELECT token FROM \"session\" ORDER BY \"createdAt\" LIMIT 1";
    let opaque = host.database.admin().await.simple(opaque).await.expect("a row").cells().remove(0);
    let jwt = |answer: &Value| answer["access_token"].as_str().expect("a token").to_owned();
    let tokens = [jwt(&signed_in), jwt(&registered), opaque];
    let tasks = format!("/api/{}/tasks", registered["user"]["id"].as_str().expect("an id"));
    for round in 0..ROUNDS {
        let made = tokens.iter().map(|token| {
            let task = json!({ "title": format!("round {round}") });
            ask(host.post(&tasks, &task).bearer_auth(token))
        });
        for (status, made) in join_all(made).await {
            assert_eq!(status, 201, "round {round}: {made}");
        }
    }
    let (_, out) = ask(host.post("/api/auth/logout", &json!({})).bearer_auth(&tokens[0])).await;
    assert_eq!(out, json!({ "message": "Successfully logged out" }));
    for (token, expected) in tokens.iter().zip([401, 200, 200]) {
        let (status, list) = ask(host.get(&format!("{tasks}?limit=100")).bearer_auth(token)).await;
        assert_eq!(status, expected, "{list}");
        let rows = if expected == 200 { Some(tokens.len() * ROUNDS) } else { None };
        assert_eq!(list.as_array().map(Vec::len), rows, "{list}");
    }
    let log = bouncer.log();
    assert!(!log.contains("prepared statement"), "{log}");
}

/// What somebody asks who wants to see rows of everybody.
fn whose(host: &TestHost, caller: &str) -> RequestBuilder {
    host.post("/texts", &json!(["SELECT owner, count(*) AS n FROM secrets GROUP BY owner"])).by(caller)
}

/// What is wrong with the answer, when it is not this caller's own rows and no others.
async fn wrong_rows(question: RequestBuilder, caller: &'static str, rows: usize) -> Option<String> {
    let (_, answer) = ask(question).await;
    let own = json!([{ "owner": caller, "n": rows }]);
    (answer[0]["rows"] != own).then(|| format!("{caller} sees {answer}, and should see {rows} rows"))
}

/// Everything that was wrong with an attack's answer, with the world after it, and with
/// what both callers see then.
async fn attempt(world: &mut World, host: &TestHost, attack: &Attack) -> Vec<String> {
    let mut wrong = guarded::attempt(world, host, attack, Way::Texts).await.wrong;
    // Before mallory has his rows back.
    wrong.extend(world.damage().await);
    wrong.extend(honest(host, OF_ALICE).await.err());
    wrong.into_iter().map(|what| format!("{} / {}: {what}", attack.class, attack.name)).collect()
}

/// The state of a session's backend, and its number.
async fn state(session: &mut Wire) -> (Vec<String>, String) {
    let reply = session.simple(STATE).await.expect("an answer");
    assert_eq!(reply.error(), None);
    let mut cells = reply.cells();
    let backend = cells.pop().expect("a number");
    (cells, backend)
}

/// Looks at both backends of the hostile module's role, through the bouncer as another
/// of its clients. Each must be as a login of one's own is. Gives their numbers.
async fn look(world: &World, bouncer: &Bouncer) -> HashSet<String> {
    let mut fresh = world.database.login(&world.role, &world.password).await.expect("the role logs in");
    let (clean, _) = state(&mut fresh).await;
    let url = Url::parse(&bouncer.url(world.database.url())).expect("a URL");
    let (address, name) = (format!("127.0.0.1:{}", url.port().expect("a port")), url.path().trim_start_matches('/'));
    let mut sessions = Vec::new();
    // Two transactions at once are on two backends.
    for _ in 0..2 {
        let session = Wire::connect(&address, name, &world.role, &world.password).await;
        let mut session = session.expect("the role logs in");
        assert_eq!(session.simple("BEGIN").await.expect("an answer").error(), None);
        sessions.push(session);
    }
    let mut backends = HashSet::new();
    for session in &mut sessions {
        let (found, backend) = state(session).await;
        assert_eq!(found, clean, "on the backend {backend}");
        backends.insert(backend);
    }
    for mut session in sessions {
        session.simple("ROLLBACK").await.expect("an answer");
    }
    assert_eq!(backends.len(), 2, "{backends:?}");
    backends
}

/// None of the role's backends stays in a transaction or keeps a lock, as the server tells
/// its administrator. The host looks at its database now and then.
async fn comes_to_rest(world: &World) {
    let role = &world.role;
    let text = format!(
        "SELECT count(*) FILTER (WHERE state IS DISTINCT FROM 'idle'), \
         (SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE usename = '{role}') \
         FROM pg_stat_activity WHERE usename = '{role}'"
    );
    let mut admin = world.database.admin().await;
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let cells = admin.simple(&text).await.expect("an answer").cells();
        if cells == ["0", "0"] {
            return;
        }
        assert!(Instant::now() < until, "{} backends are at work, and have {} locks", cells[0], cells[1]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Alice reads all the while, so that both backends are used, and hers are those that
/// mallory has had a moment ago.
#[tokio::test(flavor = "multi_thread")]
async fn no_attack_meets_rows_of_others_or_leaves_anything_on_a_backend() {
    // As much time as the attacks have without a bouncer.
    let Some((host, bouncer)) = pooled(hostile_within("10s")).await else { return };
    let mut world = World::of(host.database.clone(), true).await;
    let before = look(&world, &bouncer).await;
    let alices = Arc::clone(&host);
    let reading = Steady::start(40, move |_| wrong_rows(whose(&alices, "alice"), "alice", OF_ALICE));
    let (attacks, mut wrong) = (all(), Vec::new());
    for attack in &attacks {
        wrong.extend(attempt(&mut world, &host, attack).await);
    }
    let read = reading.stop().await;
    wrong.extend(read.iter().flatten().map(|what| format!("meanwhile {what}")));
    comes_to_rest(&world).await;
    let after = look(&world, &bouncer).await;
    report(&format!(
        "{} attacks through PgBouncer, {} reads of alice's meanwhile, {} in which rows of others mattered; \
         {} of 2 backends are the same, and nothing is left on them",
        attacks.len(),
        read.len(),
        wrong.len(),
        before.intersection(&after).count()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let log = bouncer.log();
    assert!(!log.contains("prepared statement"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_statements_end_at_their_time_and_leave_nothing_on_a_backend() {
    let Some((host, bouncer)) = pooled(hostile_within("1s")).await else { return };
    end_at_their_time(&host, "Postgres behind PgBouncer").await;
    let world = World::of(host.database.clone(), true).await;
    comes_to_rest(&world).await;
    look(&world, &bouncer).await;
}
