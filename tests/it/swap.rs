//! Modules are swapped while the host serves: what it takes for a new version to be
//! served, what becomes of the old one, and the way back.

mod clients;
mod compile;
mod databases;
pub mod editions;
mod load;
mod rollback;

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{HostProcess, Setup, guest, module};
use editions::{Shelf, asked, change, edition, host, modules, setup, swapped, until_one_is_kept};

/// Twice the time between two looks at the files, and a compilation of the slow kind.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_swaps_a_module_and_leaves_the_others_as_they_are() {
    let shelf = Shelf::new();
    let host = host(&shelf).await;
    assert_eq!(asked(&host, "/a/pair?b.edition").await, (1, r#"["00000001","00000001"]"#.to_owned()));
    let before = modules(&host).await;

    shelf.put("b", &edition(2, "plain"));
    assert_eq!(asked(&host, "/b").await.1, "00000001", "nobody has said so yet");
    assert_eq!(swapped(&host, "/modules/b").await, json!({"generation": 2, "changed": ["b"]}));
    assert_eq!(asked(&host, "/a/pair?b.edition").await, (2, r#"["00000001","00000002"]"#.to_owned()));
    let after = modules(&host).await;
    assert_eq!(
        (&after["modules"][0]["sha256"], &after["modules"][0]["since"]),
        (&before["modules"][0]["sha256"], &json!(1))
    );
    assert_ne!(after["modules"][1]["sha256"], before["modules"][1]["sha256"]);
    assert_eq!(
        (&after["modules"][1]["since"], &after["modules"][1]["previous"]),
        (&json!(2), &before["modules"][1]["sha256"])
    );

    // The same again is nothing new, however it is asked for.
    for path in ["/modules/b", "/modules"] {
        assert_eq!(swapped(&host, path).await, json!({"generation": 2, "changed": []}), "{path}");
    }
    assert_eq!(change(&host, "/modules/nobody").await.0, 404);
    assert_eq!(change(&host, "/metrics").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_anywhere_cannot_have_a_browser_swap_modules() {
    let shelf = Shelf::new();
    let host = host(&shelf).await;
    shelf.put("a", &edition(2, "plain"));
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let posted = host.client.post(format!("http://{}/modules/a", host.admin)).header(name, value);
        assert_eq!(posted.send().await.expect("an answer").status(), 403, "{name}: {value}");
    }
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_never_takes_the_place_of_what_is() {
    let shelf = Shelf::new();
    let host = host(&shelf).await;
    let wat = |text: &str| wat::parse_str(text).expect("valid text");
    let of = |name: &str| std::fs::read(guest(name)).expect("built");
    let good = edition(7, "plain");
    let bad: [(&str, Option<Vec<u8>>); 13] = [
        ("cannot read", None),
        ("it is not WebAssembly at all", Some(b"#!/bin/sh\n".to_vec())),
        ("is not a WebAssembly component", Some(Vec::new())),
        ("is not a WebAssembly component", Some(good[..good.len() / 2].to_vec())),
        ("it is a core module", Some(wat("(module)"))),
        ("which this host does not provide", Some(wat("(component (import \"acme:unknown/thing@1.0.0\" (instance)))"))),
        ("exports nothing that can be served", Some(wat("(component)"))),
        ("without a grant", Some(of("sql-probe"))),
        ("tool `edition` is there twice", Some(edition(7, "twice"))),
        ("the guest trapped", Some(edition(7, "traps"))),
        ("longer than limits.cpu", Some(edition(7, "spins"))),
        ("it answered 500", Some(edition(7, "fails"))),
        ("its grant `toolbox` is refused: module `b` has no tools", Some(of("hello"))),
    ];
    for (index, (sentence, wasm)) in bad.into_iter().enumerate() {
        match wasm {
            Some(wasm) => shelf.put("b", &wasm),
            None => std::fs::remove_file(shelf.path("b")).expect("removed"),
        }
        let (status, told) = change(&host, "/modules/b").await;
        let why = told["detail"].as_str().expect("a reason");
        assert!(status == 422 && why.contains(sentence), "{index}: no `{sentence}` in {status} {why}");
        assert_eq!(asked(&host, "/a/pair?b.edition").await, (1, r#"["00000001","00000001"]"#.to_owned()), "{index}");
        // Whose fault it is, where operators look. The last is what `a` was granted.
        let shown = modules(&host).await;
        let of = if sentence.contains("grant `toolbox`") { 0 } else { 1 };
        let refused = &shown["modules"][of]["refused"];
        assert!(refused["why"].as_str().is_some_and(|shown| shown == why) && refused["cause"] == "operator", "{shown}");
    }
    shelf.put("b", &good);
    swapped(&host, "/modules/b").await;
    assert_eq!(asked(&host, "/b").await, (2, "00000007".to_owned()));
    assert_eq!(modules(&host).await["modules"][1]["refused"], json!(null), "that was another time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_swaps_its_module() {
    let shelf = Shelf::new();
    let host = setup(&shelf).start().await;
    shelf.put("a", &edition(2, "plain"));
    until(&host, "/a", "00000002").await;
    // Written over in place, in two parts with time between them: what is half there
    // is refused at the most.
    let third = edition(3, "plain");
    std::fs::write(shelf.path("a"), &third[..third.len() / 2]).expect("written");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(asked(&host, "/a").await.1, "00000002");
    std::fs::write(shelf.path("a"), &third).expect("written");
    until(&host, "/a", "00000003").await;
    // One that cannot be served is told of, and the next one is served again.
    shelf.put("a", b"nothing");
    let since = Instant::now();
    while modules(&host).await["modules"][0]["refused"]["cause"] != "file" {
        assert!(since.elapsed() < SOON, "{}", modules(&host).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(asked(&host, "/a").await.1, "00000003");
    shelf.put("a", &edition(4, "plain"));
    until(&host, "/a", "00000004").await;
}

/// As the kubelet does it: the files are links into `..data`, which is itself a link
/// to the folder of the moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_swaps_all_of_its_files_by_one_link_swaps_the_modules() {
    let shelf = Shelf::new();
    let folder = shelf.folder();
    let publish = |version: &str, number: u32| {
        let real = folder.join(version);
        std::fs::create_dir(&real).expect("made");
        for name in ["a.wasm", "b.wasm"] {
            std::fs::write(real.join(name), edition(number, "plain")).expect("written");
        }
        symlink(version, folder.join("..data_tmp")).expect("linked");
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("moved");
    };
    publish("..2026_1", 1);
    symlink("..data/a.wasm", shelf.path("a")).expect("linked");
    symlink("..data/b.wasm", shelf.path("b")).expect("linked");
    let host = Setup::modules(&editions::file(&shelf)).start().await;
    assert_eq!(asked(&host, "/a/pair?b.edition").await.1, r#"["00000001","00000001"]"#);
    publish("..2026_2", 2);
    std::fs::remove_dir_all(folder.join("..2026_1")).expect("removed");
    until(&host, "/a", "00000002").await;
    // Both were there in one step, and are served in one.
    assert_eq!(asked(&host, "/a/pair?b.edition").await, (2, r#"["00000002","00000002"]"#.to_owned()));
}

async fn until(host: &crate::harness::TestHost, path: &str, text: &str) {
    let since = Instant::now();
    while asked(host, path).await.1 != text {
        assert!(since.elapsed() < SOON, "{path} does not become {text}: {}", modules(host).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_end_on_the_version_that_they_began_with_and_then_it_is_gone() {
    let shelf = Shelf::new();
    let host = host(&shelf).await;
    let nap = tokio::spawn(host.get("/a/nap?8000").send());
    host.until_running(1).await;
    let first = modules(&host).await["modules"][0]["sha256"].clone();
    for number in [2, 3] {
        shelf.put("a", &edition(number, "plain"));
        swapped(&host, "/modules/a").await;
    }
    assert_eq!(asked(&host, "/a").await, (3, "00000003".to_owned()));
    let retired = modules(&host).await["retired"].clone();
    let still: Vec<_> = retired.as_array().expect("a list").iter().filter(|old| old["sha256"] == first).collect();
    assert_eq!(still.len(), 1, "{retired}");
    assert_eq!(still[0]["running"], 1, "{retired}");

    let answer = nap.await.expect("no panic").expect("an answer");
    assert_eq!(answer.headers()["x-innkeeper-generation"], "1");
    assert_eq!(answer.text().await.expect("a text"), "00000001");
    // The one before is kept for a way back, and nothing of the one before that.
    until_one_is_kept(&host, 0, Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_read_again_adds_changes_and_removes_modules() {
    let shelf = Shelf::new();
    let host = host(&shelf).await;
    shelf.put("c", &edition(9, "plain"));
    let new = [shelf.module("b", "grants = { toolbox = [\"c\"] }"), shelf.module("c", "grants = { toolbox = [] }")];
    std::fs::write(&host.file, new.concat()).expect("written");
    assert_eq!(swapped(&host, "/modules").await, json!({"generation": 2, "changed": ["b", "c"]}));
    assert_eq!(asked(&host, "/b/pair?c.edition").await, (2, r#"["00000001","00000009"]"#.to_owned()));
    assert_eq!(host.get("/a").send().await.expect("an answer").status(), 404);

    // All of it or nothing: a mistake anywhere, and a module that cannot be served.
    std::fs::write(&host.file, "[[module]]\nname = \"B\"\nrout = \"/\"\n").expect("written");
    let (status, told) = change(&host, "/modules").await;
    let why = told["detail"].as_str().expect("a reason");
    assert!(
        status == 422 && why.contains("did you mean `route`?") && why.contains("`B` is not a module name"),
        "{why}"
    );
    assert_eq!(modules(&host).await["refused"]["why"], why);
    std::fs::write(&host.file, [editions::file(&shelf), module("d", "todo", "")].concat()).expect("written");
    assert_eq!(change(&host, "/modules").await.0, 422);
    assert_eq!(asked(&host, "/c").await, (2, "00000009".to_owned()));
    assert_eq!(host.get("/a").send().await.expect("an answer").status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_the_configuration_again_and_says_what_counts_later() {
    let shelf = Shelf::new();
    shelf.put("a", &edition(1, "plain"));
    let config = shelf.folder().join("innkeeper.toml");
    std::fs::write(&config, shelf.module("a", "grants = { toolbox = [] }")).expect("written");
    let host = HostProcess::serve(&[("INNKEEPER_CONFIG", &config.display().to_string())]).await;
    let get = async |path: &str| {
        let answer = reqwest::get(host.url(path)).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    assert_eq!(get("/a").await, (200, "00000001".to_owned()));
    shelf.put("b", &edition(2, "plain"));
    let both = [
        "max_in_flight = 100\n",
        &shelf.module("a", "grants = { toolbox = [] }"),
        &shelf.module("b", "grants = { toolbox = [] }"),
    ];
    std::fs::write(&config, both.concat()).expect("written");
    host.signal("HUP").await;
    let since = Instant::now();
    while get("/b").await != (200, "00000002".to_owned()) {
        assert!(since.elapsed() < SOON, "{}", host.stderr());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = host.stderr();
    assert!(log.contains("counts after a restart: `max_in_flight`"), "{log}");
    assert!(log.contains("generation 2 is served: `b` swapped"), "{log}");
    std::fs::write(&config, "[[module]]\nname = \"a\"\n").expect("written");
    host.signal("HUP").await;
    let since = Instant::now();
    while !host.stderr().contains("a swap was refused, and what was served goes on") {
        assert!(since.elapsed() < SOON, "{}", host.stderr());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(get("/b").await, (200, "00000002".to_owned()));
    let finished = host.stop().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_tell_their_generation_when_the_operator_wants_it() {
    let shelf = Shelf::new();
    let told = host(&shelf).await;
    for path in ["/a", "/nowhere", "/api/tools"] {
        let answer = told.get(path).send().await.expect("an answer");
        assert_eq!(answer.headers()["x-innkeeper-generation"], "1", "{path}");
    }
    let host = Setup::guest("hello").start().await;
    let answer = host.get("/").send().await.expect("an answer");
    assert!(!answer.headers().contains_key("x-innkeeper-generation"));
}
