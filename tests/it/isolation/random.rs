//! Random hostile statements in mallory's transaction, and some through the host.

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::generator::Generator;
use super::oracle::without_chance;
use super::world::{World, served, settle};
use crate::harness::{As, Reply, Wire, report};

/// Statements of one message. More would fill the sockets' buffers while nobody
/// reads; fewer, and round trips take the time.
const AT_ONCE: usize = 20;
/// In place of an answer: the session ended, or the test's own patience.
const LOST: &str = "lost";
const LATE: &str = "late";
/// In a statement whose values are the server's own, or hold a seal: they are another at
/// each run.
const CHANCE: [&str; 11] =
    ["caller", "{", "ctid", "xmin", "tableoid", "explain", "pg_", "query", "now", "user", "current_role"];
/// How many go through the host as well, which is slower.
const THROUGH_THE_HOST: usize = 1_000;

/// The seed that the environment names, or another one each time.
pub(super) fn seed() -> u64 {
    let named = std::env::var("INNKEEPER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    named.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        now.as_secs() ^ u64::from(now.subsec_nanos())
    })
}

fn statements() -> usize {
    let named = std::env::var("INNKEEPER_HOSTILE_STATEMENTS").ok().and_then(|number| number.parse().ok());
    named.unwrap_or(20_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_statements_past_the_host_meet_no_rows_of_others() {
    let (seed, statements) = (seed(), statements());
    let (mut alices, mut carols) = tokio::join!(World::new(true), World::new(false));
    let (beside_alice, beside_carol) =
        tokio::join!(attack(&mut alices, random(seed, statements)), attack(&mut carols, random(seed, statements)));
    let mut wrong: Vec<&String> = beside_alice.wrong.iter().chain(&beside_carol.wrong).collect();
    let different = different(&beside_alice, &beside_carol);
    let again = once_more(&different).await;
    wrong.extend(&again);
    let ran = beside_alice.codes.get("none").copied().unwrap_or_default();
    report(&format!(
        "{statements} random statements past the host, seed {seed}: {ran} ran, {} kinds of errors, {} in which rows of others mattered",
        beside_alice.codes.len() - 1,
        wrong.len()
    ));
    assert!(ran > statements / 5, "hardly any statement is one: {:?}", beside_alice.codes);
    let all = || beside_alice.told.iter().chain(&beside_carol.told);
    let late = all().filter(|(_, told)| is_late(told)).count();
    assert!(late < statements / 10, "{late} were not compared, for they took too long");
    let lost = all().filter(|(_, told)| told == &[LOST]).count();
    assert!(lost < statements / 10, "{lost} were not compared, for their sessions ended");
    // Another end of a statement was met once in some hundred thousand, and another number
    // of the server's own a few times. More are no chance, whatever fresh worlds say.
    let shapes = beside_alice.shapes.iter().zip(&beside_carol.shapes);
    let ends = shapes.filter(|(alice, carol)| alice != carol && !is_late(alice) && !is_late(carol)).count();
    assert!(ends <= statements.div_ceil(10_000), "INNKEEPER_TEST_SEED={seed}\n{different:#?}");
    assert!(different.len() <= statements.div_ceil(1_000), "INNKEEPER_TEST_SEED={seed}\n{different:#?}");
    assert!(wrong.is_empty(), "INNKEEPER_TEST_SEED={seed}\n{wrong:#?}");
}

#[derive(Default)]
struct Outcome {
    told: Vec<(String, Vec<String>)>,
    /// The same without the values.
    shapes: Vec<Vec<String>>,
    codes: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// What a seed makes, so many at once.
fn random(seed: u64, statements: usize) -> impl Iterator<Item = Vec<String>> {
    let mut generator = Generator::new(seed);
    (0..statements.div_ceil(AT_ONCE)).map(move |_| (0..AT_ONCE).map(|_| generator.statement()).collect())
}

/// The statements that came out differently, and how.
fn different(beside_alice: &Outcome, beside_carol: &Outcome) -> Vec<(String, String)> {
    let mut different = Vec::new();
    for ((template, alice), (_, carol)) in beside_alice.told.iter().zip(&beside_carol.told) {
        if alice != carol && !is_late(alice) && !is_late(carol) {
            different.push((template.clone(), format!("{template}: {alice:?} beside alice, {carol:?} beside carol")));
        }
    }
    different
}

/// What is different in fresh worlds, too, and alike in two of alice's.
///
/// After thousands of statements one table may have grown by a page more than the other;
/// the server then plans a statement another way, and one that fails by itself does so in
/// the one and is not reached in the other. And what the server numbers by itself, such as
/// tables, is another number in every world.
async fn once_more(different_at_first: &[(String, String)]) -> Vec<String> {
    if different_at_first.is_empty() {
        return Vec::new();
    }
    report(&format!("tried once more: {different_at_first:#?}"));
    let templates: Vec<String> = different_at_first.iter().map(|(template, _)| template.clone()).collect();
    let batches = || templates.chunks(AT_ONCE).map(<[String]>::to_vec);
    let in_a_world = async |by_alice| attack(&mut World::new(by_alice).await, batches()).await;
    let (alices, again, carols) = tokio::join!(in_a_world(true), in_a_world(true), in_a_world(false));
    let by_chance: HashSet<String> = different(&alices, &again).into_iter().map(|(template, _)| template).collect();
    let others = different(&alices, &carols).into_iter();
    others.filter(|(template, _)| !by_chance.contains(template)).map(|(_, told)| told).collect()
}

async fn attack(world: &mut World, batches: impl IntoIterator<Item = Vec<String>>) -> Outcome {
    let mut session = world.session().await;
    let mut outcome = Outcome::default();
    for templates in batches {
        let seal = seal(world, &mut session).await;
        let texts: Vec<String> = templates.iter().map(|text| world.fill(text, session.pid, &seal)).collect();
        let enter = world.enter("mallory", session.pid);
        let replies = match session.in_transactions(&enter, &texts, "ROLLBACK").await {
            Ok(replies) => replies,
            Err(error) => {
                let instead = if error.kind() == ErrorKind::TimedOut { LATE } else { LOST };
                outcome.shapes.extend(templates.iter().map(|_| vec![instead.to_owned()]));
                outcome.told.extend(templates.iter().map(|text| (text.clone(), vec![instead.to_owned()])));
                Vec::new()
            }
        };
        for (template, reply) in templates.into_iter().zip(&replies) {
            if let Some(leak) = world.forbidden.leak(&reply.bytes, true) {
                outcome.wrong.push(format!("{leak}: {template}"));
            }
            *outcome.codes.entry(reply.error().unwrap_or_else(|| "none".to_owned())).or_default() += 1;
            let told = told(&template, reply);
            outcome.shapes.push(shape(reply));
            outcome.told.push((template, told));
        }
        outcome.wrong.extend(afterwards(world, &mut session).await);
        if settle(&mut session).await.is_err() {
            session = world.session().await;
        }
    }
    outcome
}

/// What must be the same in both worlds: every value, or what happened where values are
/// another at each run.
fn told(template: &str, reply: &Reply) -> Vec<String> {
    let lower = template.to_lowercase();
    if CHANCE.iter().any(|word| lower.contains(word)) {
        return shape(reply);
    }
    reply.told().iter().map(|told| without_chance(told)).collect()
}

/// A seal is a number too large in one world, and none in the other.
fn shape(reply: &Reply) -> Vec<String> {
    reply.shape().into_iter().map(|part| part.replace("22003", "22P02")).collect()
}

/// A statement that was cut off at its two seconds, or an answer that did not come
/// in the test's own time: how quick a busy machine was says nothing about rows.
fn is_late(told: &[String]) -> bool {
    told.iter().any(|part| part == LATE || part.starts_with("error 57014"))
}

async fn seal(world: &World, session: &mut Wire) -> String {
    let read = format!("{}; SELECT current_setting('innkeeper.caller'); COMMIT", world.enter("alice", session.pid));
    session.simple(&read).await.expect("an answer").cells().pop().expect("a seal")
}

async fn afterwards(world: &mut World, session: &mut Wire) -> Vec<String> {
    let mut wrong = Vec::from_iter(world.damage().await);
    let _ = session.simple("ROLLBACK").await;
    let rows =
        session.simple("SELECT owner, body FROM hostile.secrets").await.as_ref().map_or(0, |reply| reply.cells().len());
    if rows > 0 {
        wrong.push(format!("{rows} cells without a token"));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn random_statements_through_the_host_meet_no_rows_of_others() {
    let seed = seed();
    let mut world = World::new(true).await;
    let host = served(&world, world.database.url()).await;
    let mut generator = Generator::new(seed);
    let mut ran = 0;
    for n in 0..THROUGH_THE_HOST {
        let text = world.fill(&generator.statement(), 1, "00");
        let answer = host.post("/texts", &json!([text])).by("mallory").send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "INNKEEPER_TEST_SEED={seed} {text}");
        let body = answer.bytes().await.expect("a body");
        assert_eq!(world.forbidden.leak(&body, true), None, "INNKEEPER_TEST_SEED={seed} {text}");
        ran += usize::from(!String::from_utf8_lossy(&body).contains("error"));
        if n % 50 == 49 {
            assert_eq!(world.damage().await, None, "INNKEEPER_TEST_SEED={seed} {text}");
        }
    }
    report(&format!("{THROUGH_THE_HOST} random statements through the host, seed {seed}: {ran} ran"));
    assert!(ran > 50, "hardly any statement is one");
}
