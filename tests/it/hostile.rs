//! Hostile guests of every kind at once, and a polite one beside them: it is served, and
//! when they are gone, so is everything that they took.

mod each;
mod raw;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{HostProcess, guest, http_client, module, report};
use raw::RAWS;

/// What callers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    /// A whole answer of this status.
    Status(u16),
    /// An answer that is seen to be cut off.
    Cut,
    /// What a fast machine is done with before the guest's time is over: 200 or 504.
    InTimeOrNot,
}

/// Whom a call shares the machine with.
#[derive(Clone, Copy, Debug)]
enum Company {
    None,
    Crowd,
}

/// What `misbehave` does by path.
const MISDEEDS: [(&str, Gets); 17] = [
    ("spin", Gets::Status(504)),
    ("flood-host-calls", Gets::Status(500)),
    ("grow", Gets::Status(500)),
    ("recurse", Gets::Status(500)),
    ("trap", Gets::Status(500)),
    ("exit", Gets::Status(500)),
    ("sleep", Gets::Status(504)),
    ("trap-mid-answer", Gets::Cut),
    ("endless", Gets::Cut),
    ("gush", Gets::Cut),
    ("log-flood", Gets::InTimeOrNot),
    ("headers", Gets::Status(502)),
    ("host-headers", Gets::Status(200)),
    ("no-content-with-body", Gets::Status(502)),
    ("status-199", Gets::Status(502)),
    ("status-600", Gets::Status(502)),
    ("egress", Gets::Status(200)),
];
/// What `linger` does by path: work after a whole answer, which counts for nothing, and
/// answers without an end.
const LINGERING: [(&str, Gets); 6] = [
    ("loop", Gets::Status(200)),
    ("sleep", Gets::Status(200)),
    ("empty", Gets::Cut),
    ("drip", Gets::Cut),
    ("print", Gets::Cut),
    ("open", Gets::Cut),
];
/// Calls of each kind that are under way at once.
const AT_ONCE: usize = 3;
const ROUNDS: usize = 4;
/// What a host may take beyond what it had: pages of instances that it keeps warm.
const MORE_KIB: u64 = 96 << 10;

/// Asks the polite guest, over and over: answers that were not right, and how long each
/// took.
async fn be_polite(host: String, stop: Arc<AtomicBool>) -> (usize, Vec<Duration>) {
    let client = http_client();
    let (mut wrong, mut took) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let answer = client.get(format!("{host}/")).timeout(Duration::from_secs(5)).send().await;
        wrong += usize::from(!answer.is_ok_and(|answer| answer.status() == 200));
        took.push(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    took.sort();
    (wrong, took)
}

async fn polite_for(host: &HostProcess, time: Duration) -> (usize, Vec<Duration>) {
    let stop = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(be_polite(host.url(""), Arc::clone(&stop)));
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    asking.await.expect("no panic")
}

fn p99(took: &[Duration]) -> Duration {
    took[took.len() * 99 / 100]
}

async fn attack(client: &reqwest::Client, url: String, expected: Gets, company: Company) -> Result<(), String> {
    let answer = client.get(&url).timeout(Duration::from_secs(20)).send().await;
    let answer = answer.map_err(|error| format!("{url}: {error}"))?;
    let status = answer.status().as_u16();
    let is_whole = answer.bytes().await.is_ok();
    let is_right = match (expected, company) {
        (Gets::Cut, _) => status == 200 && !is_whole,
        (Gets::InTimeOrNot, _) => is_whole && [200, 504].contains(&status),
        // Who has to share the cores may meet the clock before the other limit.
        (Gets::Status(500), Company::Crowd) => is_whole && [500, 504].contains(&status),
        (Gets::Status(expected), _) => status == expected && is_whole,
    };
    if is_right { Ok(()) } else { Err(format!("{url}: {status}, whole: {is_whole}, and not {expected:?}")) }
}

/// A host with every hostile guest, a polite one at `/`, and the hostile calls that there
/// are, each made once: what is loaded at the first call is loaded then.
async fn host_of_all() -> (HostProcess, Vec<(String, Gets)>) {
    let shelf = tempfile::tempdir().expect("a directory");
    let limits = "limits = { cpu = \"100ms\", wall = \"2s\", memory = \"8MiB\", host_calls = 1000 }\nsmoke = \"off\"";
    let polite = module("polite", "hello", "").replace("\"/polite\"", "\"/\"");
    let mut file = polite + &module("misbehave", "misbehave", limits) + &module("linger", "linger", limits);
    for raw in RAWS {
        let path = shelf.path().join(format!("{}.wasm", raw.name));
        std::fs::write(&path, raw.component()).expect("written");
        let (name, path) = (raw.name, path.display());
        file += &format!("[[module]]\nname = \"raw-{name}\"\nsource = \"{path}\"\nroute = \"/raw/{name}\"\n{limits}\n");
    }
    let config = shelf.path().join("innkeeper.toml");
    std::fs::write(&config, file).expect("written");
    let config = config.display().to_string();
    let host = HostProcess::serve(&[
        ("INNKEEPER_CONFIG", config.as_str()),
        ("INNKEEPER_ADMIN_LISTEN", "127.0.0.1:0"),
        ("INNKEEPER_WATCH", "0"),
    ])
    .await;
    let attacks: Vec<(String, Gets)> = RAWS
        .iter()
        .map(|raw| (host.url(&format!("/raw/{}", raw.name)), Gets::Status(raw.status)))
        .chain(MISDEEDS.map(|(path, status)| (host.url(&format!("/misbehave/{path}")), status)))
        .chain(LINGERING.map(|(path, status)| (host.url(&format!("/linger/{path}")), status)))
        .collect();
    let client = http_client();
    for (url, expected) in &attacks {
        attack(&client, url.clone(), *expected, Company::None).await.unwrap_or_else(|why| panic!("{why}"));
    }
    (host, attacks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_polite_guest_is_served_beside_every_kind_of_hostile_one() {
    let (host, attacks) = host_of_all().await;
    let (wrong, quiet) = polite_for(&host, Duration::from_secs(2)).await;
    assert_eq!(wrong, 0);
    let before = host.held();

    let client = http_client();
    let stop = Arc::new(AtomicBool::new(false));
    let polite = tokio::spawn(be_polite(host.url(""), Arc::clone(&stop)));
    let mut most = before.0;
    for _ in 0..ROUNDS {
        let under_way: Vec<_> = attacks
            .iter()
            .flat_map(|one| std::iter::repeat_n(one.clone(), AT_ONCE))
            .map(|(url, expected)| {
                let client = client.clone();
                tokio::spawn(async move { attack(&client, url, expected, Company::Crowd).await })
            })
            .collect();
        for one in under_way {
            one.await.expect("no panic").unwrap_or_else(|why| panic!("{why}"));
            most = most.max(host.held().0);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (wrong, busy) = polite.await.expect("no panic");
    assert_eq!(wrong, 0, "of {} polite requests", busy.len());

    drop(client);
    let modules = host.admin("/modules").await;
    let modules: serde_json::Value = serde_json::from_str(&modules).expect("JSON");
    for module in modules["modules"].as_array().expect("modules") {
        assert_eq!(module["running"], 0, "{module}");
    }
    // Idle connections end after five seconds, and later on a busy machine.
    let until = Instant::now() + Duration::from_secs(30);
    while host.held().1 > before.1 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let after = host.held();
    report(&format!(
        "hostile: {} calls of {} kinds; {} polite ones beside them, {wrong} wrong, p99 {:?} (alone {:?}); \
         {} KiB in memory before, {most} at most, {} after; open files {} and {}",
        attacks.len() * AT_ONCE * ROUNDS,
        attacks.len(),
        busy.len(),
        p99(&busy),
        p99(&quiet),
        before.0,
        after.0,
        before.1,
        after.1,
    ));
    assert!(most < before.0 + MORE_KIB, "{} KiB, then {most}", before.0);
    assert!(after.1 <= before.1 + 2, "{} open files, then {}", before.1, after.1);
    let log = host.stop().await;
    // What guests say of themselves is in lines of JSON.
    let panicked = log.stderr.lines().find(|line| line.starts_with("thread") && line.contains("panicked"));
    assert!(panicked.is_none(), "a panic of the host: {panicked:?}");
    assert!(log.status.success());
}

/// What is no guest at all is refused before it is one, in bounded time.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_guest_is_refused_when_it_is_loaded() {
    let nested = |depth: usize| "(component ".repeat(depth) + &")".repeat(depth);
    let exports = |count: usize| {
        let all: String = (0..count).map(|n| format!("(export \"f{n}\" (func $f))")).collect();
        format!("(component (core module (func $f) {all}))")
    };
    let whole = std::fs::read(guest("hello")).expect("built");
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("nested", wat::parse_str(nested(90)).expect("text")),
        ("exports", wat::parse_str(exports(99_000)).expect("text")),
        (
            "a huge memory",
            wat::parse_str("(component (core module $m (memory 65536)) (core instance (instantiate $m)))")
                .expect("text"),
        ),
        (
            "a huge table",
            wat::parse_str("(component (core module $m (table 10000000 funcref)) (core instance (instantiate $m)))")
                .expect("text"),
        ),
        ("64-bit memory", wat::parse_str("(component (core module (memory i64 1)))").expect("text")),
        ("threads", wat::parse_str("(component (core module (memory 1 1 shared)))").expect("text")),
        ("half a file", whole[..whole.len() / 2].to_vec()),
        ("a byte too many", [&whole[..], &[0xff]].concat()),
        ("fifty megabytes of nothing", [b"\0asm\x0d\0\x01\0".to_vec(), vec![0; 50 << 20]].concat()),
    ];
    // One byte in the middle of everything.
    for at in (8..whole.len()).step_by(whole.len() / 12) {
        let mut wasm = whole.clone();
        wasm[at] ^= 0xff;
        cases.push(("a flipped byte", wasm));
    }
    let shelf = tempfile::tempdir().expect("a directory");
    let path = shelf.path().join("guest.wasm");
    let (mut refused, all) = (0, cases.len());
    for (what, wasm) in cases {
        std::fs::write(&path, wasm).expect("written");
        let begin = Instant::now();
        let finished = HostProcess::run(&["check"], &[("INNKEEPER_MODULE", &path.display().to_string())]).await;
        let code = finished.status.code();
        assert!(begin.elapsed() < Duration::from_secs(30), "{what} took {:?}", begin.elapsed());
        assert!(!finished.stderr.contains("panicked"), "{what}: {}", finished.stderr);
        // A byte of a name or of a number may be another one, and mean as much.
        assert!(
            code == Some(78) || (what == "a flipped byte" && code == Some(0)),
            "{what}: {code:?} {}",
            finished.stderr
        );
        refused += usize::from(code == Some(78));
    }
    report(&format!("hostile: {refused} of {all} malformed components refused"));
}
