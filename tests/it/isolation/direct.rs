//! Past the host: the module's own role on a connection of its own, without a
//! token and inside a transaction that mallory's token has entered. Here nothing
//! but the database itself keeps rows apart.

use super::attacks::{Attack, Compared, all};
use super::oracle::without_chance;
use super::world::{World, settle};
use crate::harness::{Reply, Wire, report};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// The module's role and password, and no token.
    Stranger,
    /// In mallory's transaction.
    Mallory,
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Extended,
    Simple,
    /// All texts of an attack in one message.
    OneText,
}

/// What came of one attack: what was told and is compared, and everything that was
/// wrong.
struct Outcome {
    told: Vec<String>,
    wrong: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_host_no_attack_meets_rows_of_others() {
    let attacks = all();
    let (mut alices, mut carols) = tokio::join!(World::new(true), World::new(false));
    let (mut runs, mut wrong) = (0, Vec::new());
    for door in [Door::Stranger, Door::Mallory] {
        for protocol in [Protocol::Extended, Protocol::Simple, Protocol::OneText] {
            let (with, without) =
                tokio::join!(run(&mut alices, &attacks, door, protocol), run(&mut carols, &attacks, door, protocol));
            for ((attack, with), without) in attacks.iter().zip(with).zip(without) {
                runs += 1;
                let place = format!("{} / {} ({door:?}, {protocol:?})", attack.class, attack.name);
                wrong.extend(with.wrong.iter().map(|what| format!("{place}: {what}")));
                if with.told != without.told {
                    let (with, without) = (with.told, without.told);
                    wrong.push(format!("{place}: {with:?} beside alice, and {without:?} beside carol"));
                }
            }
        }
    }
    let count = attacks.len();
    report(&format!(
        "{count} attacks, 6 doors past the host, {runs} runs, {} in which rows of others mattered",
        wrong.len()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn run(world: &mut World, attacks: &[Attack], door: Door, protocol: Protocol) -> Vec<Outcome> {
    let mut session = world.session().await;
    let mut outcomes = Vec::new();
    for attack in attacks {
        let seal = steal(world, &mut session).await;
        let texts: Vec<String> = attack.texts.iter().map(|text| fill(world, text, door, session.pid, &seal)).collect();
        let told = attempt(world, &mut session, &texts, door, protocol).await;
        let with_numbers = attack.compared != Compared::Nothing;
        let mut wrong: Vec<String> =
            told.iter().filter_map(|reply| world.forbidden.leak(&reply.bytes, with_numbers)).collect();
        wrong.extend(aftermath(world, &mut session).await);
        wrong.extend(world.damage().await);
        if attack.class == "roles and grants" {
            world.restore_password().await;
        }
        if settle(&mut session).await.is_err() {
            session = world.session().await;
        }
        outcomes.push(Outcome { told: compared(attack, &told), wrong });
    }
    outcomes
}

/// What must be the same in both worlds.
fn compared(attack: &Attack, told: &[Reply]) -> Vec<String> {
    match attack.compared {
        Compared::Values => told.iter().flat_map(Reply::told).map(|told| without_chance(&told)).collect(),
        Compared::Shapes => told.iter().flat_map(Reply::shape).collect(),
        Compared::Nothing => Vec::new(),
    }
}

/// Without a token, mallory's own would be one.
fn fill(world: &World, text: &str, door: Door, pid: i32, seal: &str) -> String {
    let text = if door == Door::Stranger { text.replace("{own}", "{expired}") } else { text.to_owned() };
    world.fill(&text, pid, seal)
}

/// What alice's transaction has left in the setting, as a hostile module would
/// note it down while she calls.
async fn steal(world: &World, session: &mut Wire) -> String {
    let read = format!("{}; SELECT current_setting('innkeeper.caller'); COMMIT", world.enter("alice", session.pid));
    let cells = session.simple(&read).await.expect("an answer").cells();
    let seal = cells.last().expect("a seal").clone();
    assert!(seal.len() == 101 && seal.ends_with("alice"), "{seal}");
    seal
}

async fn attempt(world: &World, session: &mut Wire, texts: &[String], door: Door, protocol: Protocol) -> Vec<Reply> {
    let mut told = Vec::new();
    if door == Door::Mallory {
        let entered = session.simple(&world.enter("mallory", session.pid)).await.expect("an answer");
        assert_eq!(entered.error(), None);
    }
    match protocol {
        Protocol::OneText => told.extend(session.simple(&texts.join(";\n")).await),
        Protocol::Simple => {
            for text in texts {
                told.extend(session.simple(text).await);
            }
        }
        Protocol::Extended => {
            for text in texts {
                told.extend(session.extended(&[text]).await.into_iter().flatten());
            }
        }
    }
    told
}

/// Whatever the attack left behind: the next transaction without a token sees
/// nothing, and the next one of mallory's nothing of alice's, though she called
/// in between.
async fn aftermath(world: &World, session: &mut Wire) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut look = async |text: &str, most: usize| {
        // The attack may have ended the session.
        let Ok(reply) = session.simple(text).await else { return };
        wrong.extend(world.forbidden.leak(&reply.bytes, true).map(|what| format!("afterwards {what}")));
        let rows = reply.frames().filter(|frame| frame.tag == b'D').count();
        if rows > most {
            wrong.push(format!("afterwards {rows} rows and not {most}"));
        }
    };
    look("ROLLBACK", 0).await;
    look("SELECT owner, body FROM hostile.secrets", 0).await;
    look("BEGIN; SELECT owner, body FROM hostile.secrets; ROLLBACK", 0).await;
    let pid = session.pid;
    let mut session_of = async |caller: &str| {
        let read = format!(
            "{}; SELECT note FROM hostile.board; SELECT owner, body FROM hostile.secrets; COMMIT",
            world.enter(caller, pid)
        );
        session.simple(&read).await
    };
    let _ = session_of("alice").await;
    if let Ok(reply) = session_of("mallory").await {
        wrong.extend(world.forbidden.leak(&reply.bytes, true).map(|what| format!("in a later call {what}")));
    }
    wrong
}

/// Those of some attacks that nobody would notice where something of the host's is
/// missing.
async fn unnoticed(broken: &str, some: impl Fn(&Attack) -> bool) -> Vec<&'static str> {
    let mut attacks = all();
    attacks.retain(some);
    assert!(!attacks.is_empty());
    let (mut alices, mut carols) = tokio::join!(World::new(true), World::new(false));
    alices.break_with(broken).await;
    carols.break_with(broken).await;
    let (with, without) = tokio::join!(
        run(&mut alices, &attacks, Door::Mallory, Protocol::Extended),
        run(&mut carols, &attacks, Door::Mallory, Protocol::Extended)
    );
    let outcomes = attacks.iter().zip(with.iter().zip(&without));
    outcomes.filter(|(_, (a, b))| a.wrong.is_empty() && a.told == b.told).map(|(attack, _)| attack.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_succeed_where_the_database_knows_callers_by_a_plain_setting() {
    let plain = "CREATE OR REPLACE FUNCTION innkeeper.caller() RETURNS text LANGUAGE sql STABLE \
                 AS $$SELECT regexp_replace(current_setting('innkeeper.caller', true), '^[0-9a-f]{96}', '')$$";
    let names = [
        "name alice in the setting",
        "name alice by a function",
        "name alice behind comments",
        "name alice inside of xml",
        "the seal of an earlier transaction",
        "the seal with the name of another",
    ];
    assert_eq!(all().iter().filter(|attack| names.contains(&attack.name)).count(), names.len());
    assert_eq!(unnoticed(plain, |attack| names.contains(&attack.name)).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_succeed_where_rows_have_no_policy() {
    let open = "ALTER POLICY innkeeper ON hostile.secrets USING (true) WITH CHECK (true)";
    let reads = |attack: &Attack| attack.class == "own rows as oracles" || attack.name == "copy the table out";
    assert_eq!(unnoticed(open, reads).await, [""; 0]);
}
