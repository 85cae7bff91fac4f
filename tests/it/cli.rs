//! The command line, by the real binary: exit codes, and sentences that say
//! what to do.

mod call;
mod dev;
mod new;

use std::os::unix::fs::PermissionsExt;

use crate::harness::{As, Database, Finished, HostProcess, Setup, TestDatabase, binary, guest};

const EX_UNAVAILABLE: i32 = 69;
const EX_CONFIG: i32 = 78;

#[track_caller]
fn expect(finished: &Finished, code: i32, sentences: &[&str]) {
    assert_eq!(finished.status.code(), Some(code), "{}", finished.stderr);
    for sentence in sentences {
        assert!(finished.stderr.contains(sentence), "no `{sentence}` in: {}", finished.stderr);
    }
}

fn todo() -> String {
    guest("todo").display().to_string()
}

/// A configuration file of this content, for as long as it is kept.
fn file(content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), content).expect("written");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_the_configuration_is_told_at_once() {
    let file = file(
        "max_in_fligt = 3\n[database]\nconections = 2\n[[module]]\nname = \"Todo\"\nsource = \"x.wasm\"\nlimits = { cpu = \"soon\" }\n",
    );
    let path = file.path().display().to_string();
    for command in ["serve", "check"] {
        let vars = [("INNKEEPER_LISTN", "127.0.0.1:0"), ("DATABASE_URL", "mysql://localhost/x"), ("CORS_ORIGINS", "*")];
        let finished = HostProcess::run(&[command, "--config", &path], &vars).await;
        expect(
            &finished,
            EX_CONFIG,
            &[
                "the configuration has 7 problems",
                "max_in_fligt: no such key",
                "did you mean `max_in_flight`?",
                "database.conections: no such key",
                "did you mean `connections`?",
                "`Todo` is not a module name",
                "`soon` is not a duration",
                "INNKEEPER_LISTN: no such setting",
                "did you mean INNKEEPER_LISTEN?",
                "neither postgres:// nor sqlite://",
                "`*` is not an origin",
            ],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_cannot_be_served_ends_the_start() {
    let vars = [("INNKEEPER_LISTEN", "127.0.0.1:0"), ("INNKEEPER_MODULE", "/nowhere/notes.wasm")];
    let finished = HostProcess::run(&["serve"], &vars).await;
    expect(&finished, EX_CONFIG, &["module `notes`: cannot read /nowhere/notes.wasm", "set INNKEEPER_MODULE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let todo = todo();
    let finished = HostProcess::run(&["serve"], &[("INNKEEPER_LISTEN", &address), ("INNKEEPER_MODULE", &todo)]).await;
    expect(&finished, 1, &[&address, "INNKEEPER_LISTEN"]);
    let vars =
        [("INNKEEPER_LISTEN", "127.0.0.1:0"), ("INNKEEPER_ADMIN_LISTEN", &*address), ("INNKEEPER_MODULE", &todo)];
    expect(&HostProcess::run(&["serve"], &vars).await, 1, &[&address, "INNKEEPER_ADMIN_LISTEN"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_would_keep_serve_from_serving() {
    let todo = todo();
    for database in Database::BOTH {
        let database = TestDatabase::create(database).await;
        let finished =
            HostProcess::run(&["check"], &[("INNKEEPER_MODULE", &todo), ("DATABASE_URL", database.url())]).await;
        expect(&finished, 0, &[]);
    }

    let bad = guest("bad-statement").display().to_string();
    let file = file(&format!(
        "[[module]]\nname = \"one\"\nsource = \"{bad}\"\ngrants = {{ sql = \"main\" }}\n\
         [[module]]\nname = \"two\"\nsource = \"/nowhere.wasm\"\nroute = \"/two\"\n"
    ));
    let path = file.path().display().to_string();
    let finished = HostProcess::run(&["check", "--config", &path], &[]).await;
    expect(
        &finished,
        EX_CONFIG,
        &["module `one`: statement `sleep` is refused", "module `two`: cannot read /nowhere.wasm"],
    );

    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
    let url = format!("postgres://postgres:hidden@{closed}/test");
    let finished = HostProcess::run(&["check"], &[("INNKEEPER_MODULE", &todo), ("DATABASE_URL", &url)]).await;
    expect(&finished, EX_UNAVAILABLE, &["the database cannot be reached", "DATABASE_URL"]);
    assert!(!finished.stderr.contains("hidden"), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_shows_what_a_module_needs_stores_and_runs() {
    let finished = HostProcess::run(&["inspect", &todo()], &[]).await;
    expect(&finished, 0, &[]);
    for line in [
        "sha256 ",
        "grants = { accounts = true, sql = \"main\", ",
        "innkeeper:backend/sql",
        "wasi:http/incoming-handler",
        "tasks (rows belong to",
        "task-create (writes)",
        "task-list (reads)",
    ] {
        assert!(finished.stdout.contains(line), "no `{line}` in: {}", finished.stdout);
    }
    let finished = HostProcess::run(&["inspect", "/nowhere.wasm"], &[]).await;
    expect(&finished, EX_CONFIG, &["cannot read /nowhere.wasm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn inspect_of_two_versions_shows_what_the_newer_one_asks_for() {
    let both = async |older: &str, newer: &str| {
        let paths = [older, newer].map(|name| guest(name).display().to_string());
        let finished = HostProcess::run(&["inspect", &paths[0], &paths[1]], &[]).await;
        expect(&finished, 0, &[]);
        let (more, rest) = finished.stdout.split_once("\nelse").expect("two lists");
        (more.to_owned(), rest.to_owned())
    };
    let (more, rest) = both("hello", "todo").await;
    for line in ["+ import innkeeper:backend/sql\n", "+ statement that writes, task-create\n      INSERT INTO"] {
        assert!(more.contains(line), "no `{line}` in: {more}");
    }
    for line in ["+ statement that reads, task-list\n", "+ table tasks\n      rows belong", "+ tool add_task\n"] {
        assert!(rest.contains(line) && !more.contains(line), "no `{line}` in: {rest}");
    }
    let (more, rest) = both("todo", "hello").await;
    assert!(more.contains("asks for more: nothing") && rest.contains("- statement that writes, task-create"), "{rest}");
    let (more, rest) = both("todo", "todo").await;
    assert!(more.contains("asks for more: nothing") && rest.trim() == ": nothing", "{more} {rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_the_command_line_is_accepted() {
    let host = Setup::guest("todo").start().await;
    let finished = HostProcess::run(&["token", "--user", "alice"], &[]).await;
    expect(&finished, 0, &[]);
    let list = host.get("/api/alice/tasks").bearer_auth(finished.stdout.trim()).send().await.expect("an answer");
    assert_eq!(list.status(), 200);
    let own = host.get("/api/alice/tasks").by("alice").send().await.expect("an answer");
    assert_eq!(own.status(), 200);

    let finished = HostProcess::run(&["token", "--user", "alice"], &[("BETTER_AUTH_SECRET", "")]).await;
    expect(&finished, 1, &["no secret to sign with", "BETTER_AUTH_SECRET", "INNKEEPER_DEV=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn development_prints_a_token_and_lines_that_work() {
    let todo = todo();
    let vars = [("INNKEEPER_MODULE", &*todo), ("INNKEEPER_DEV", "1"), ("BETTER_AUTH_SECRET", "")];
    let host = HostProcess::serve(&vars).await;
    let printed = host.stdout();
    let line = |start: &str| {
        printed
            .lines()
            .map(str::trim)
            .find_map(|line| line.strip_prefix(start))
            .unwrap_or_else(|| panic!("no `{start}`: {printed}"))
    };
    let (token, curl) = (line("TOKEN="), line("curl "));
    let url = host.url("/api/alice/tasks").replace("127.0.0.1", "localhost");
    assert!(curl.contains("Authorization: Bearer $TOKEN") && curl.matches(&url).count() == 2, "{curl}");

    let client = reqwest::Client::new();
    let body = curl.split("-d '").nth(1).and_then(|rest| rest.split('\'').next()).expect("a body");
    let add = client.post(host.url("/api/alice/tasks")).bearer_auth(token).header("content-type", "application/json");
    assert_eq!(add.body(body.to_owned()).send().await.expect("an answer").status(), 201);
    let list = client.get(host.url("/api/alice/tasks")).bearer_auth(token).send().await.expect("an answer");
    let list: serde_json::Value = list.json().await.expect("JSON");
    assert_eq!(list[0]["title"], "Buy milk");

    // The same machine's key signs the next token, too.
    let again =
        HostProcess::run(&["token", "--user", "alice"], &[("INNKEEPER_DEV", "1"), ("BETTER_AUTH_SECRET", "")]).await;
    let list =
        client.get(host.url("/api/alice/tasks")).bearer_auth(again.stdout.trim()).send().await.expect("an answer");
    assert_eq!(list.status(), 200);
    assert_eq!(host.stop().await.status.code(), Some(0));
}

/// Where users have groups of their own, new directories are the group's to
/// write to; the cache must not be.
#[tokio::test(flavor = "multi_thread")]
async fn a_generous_umask_does_not_open_the_cache() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", "umask 002 && exec \"$0\" token --user alice"]).arg(binary()).env_clear();
    shell.env("INNKEEPER_DEV", "1").env("XDG_CACHE_HOME", dir.path());
    let output = shell.output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = std::fs::metadata(dir.path().join("innkeeper")).expect("the cache");
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_by_its_exit_code_whether_the_host_beside_it_serves() {
    let host = Setup::guest("hello").start().await;
    let listen = host.address.to_string();
    for arguments in [&["health"][..], &["health", "--live"]] {
        expect(&HostProcess::run(arguments, &[("INNKEEPER_LISTEN", &listen)]).await, 0, &[]);
    }
    host.stop().await;
    let finished = HostProcess::run(&["health"], &[("INNKEEPER_LISTEN", &listen)]).await;
    expect(&finished, EX_UNAVAILABLE, &["no answer from", &listen]);
}
