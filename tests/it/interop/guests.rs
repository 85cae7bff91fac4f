//! Guests in Python and JavaScript: tools like any other, and the todo API in three
//! languages, one in the place of another.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{call, text, tool};
use crate::harness::{As, Database, HostProcess, Setup, TestHost, guest, report};

/// A component that `cargo xtask interop` has made.
pub fn made(name: &str) -> PathBuf {
    let folder = std::env::var_os("INNKEEPER_TEST_INTEROP").expect("run the tests by `cargo xtask interop`");
    let file = PathBuf::from(folder).join("guests").join(name).with_extension("wasm");
    assert!(file.exists(), "{} is not there; run the tests by `cargo xtask interop`", file.display());
    file
}

fn module(name: &str, file: &str) -> String {
    let source = made(file);
    format!("[[module]]\nname = \"{name}\"\nsource = \"{}\"\nroute = \"/{name}\"\n", source.display())
        + "grants = { sql = \"main\" }\n"
}

async fn plugins(database: Database) -> TestHost {
    let modules = module("expenses", "python/expenses") + &module("memory", "javascript/memory");
    Setup::modules(&modules).on(database).start().await
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// A tool by plain HTTP: its structured answer, or the words of its refusal.
async fn rest(host: &TestHost, user: &str, name: &str, arguments: Value) -> Value {
    let (status, told) = answer(host.post(&format!("/api/tools/{name}"), &arguments).by(user)).await;
    assert_eq!(status, 200, "{name} {arguments}: {told}");
    if told["isError"] == true { told["content"][0]["text"].clone() } else { told["structuredContent"].clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_of_other_languages_are_tools_like_any_other() {
    for database in Database::BOTH {
        let host = plugins(database).await;
        let listed = call(&host, "tools/list", json!({})).await.1;
        let names: Vec<&str> = listed["result"]["tools"]
            .as_array()
            .expect("tools")
            .iter()
            .filter_map(|tool| tool["name"].as_str())
            .collect();
        assert_eq!(names, ["add_expense", "forget", "recall", "remember", "sum_expenses"]);

        // Whose it is, is the host's word, and each has their own.
        for (user, amount) in [("ada", "12.5"), ("ada", "0.55"), ("bob", "7")] {
            let noted = rest(&host, user, "add_expense", json!({"amount": amount, "category": " Food "})).await;
            assert_eq!(noted["category"], "food", "{noted}");
        }
        rest(&host, "ada", "add_expense", json!({"amount": "800", "category": "rent", "day": "2026-01-31"})).await;
        let sums = json!({"total": "813.05", "categories": [
            {"category": "rent", "total": "800.00"}, {"category": "food", "total": "13.05"}]});
        assert_eq!(rest(&host, "ada", "sum_expenses", json!({})).await, sums);
        let january = json!({"since": "2026-01-01", "until": "2026-01-31"});
        assert_eq!(rest(&host, "ada", "sum_expenses", january).await["total"], "800.00");
        assert_eq!(rest(&host, "bob", "sum_expenses", json!({})).await["total"], "7.00");

        let kept = rest(&host, "ada", "remember", json!({"fact": "Likes  green tea"})).await;
        rest(&host, "bob", "remember", json!({"fact": "likes 100% coffee"})).await;
        let tea = json!({"memories": [{"id": kept["id"], "fact": "Likes green tea"}]});
        assert_eq!(rest(&host, "ada", "recall", json!({"words": "GREEN tea"})).await, tea);
        assert_eq!(
            rest(&host, "bob", "recall", json!({"words": "0% c"})).await["memories"][0]["fact"],
            "likes 100% coffee"
        );
        assert_eq!(rest(&host, "ada", "recall", json!({"words": "tea green"})).await, json!({"memories": []}));
        let gone = format!("There is no memory {}.", kept["id"]);
        assert_eq!(rest(&host, "bob", "forget", json!({"id": kept["id"]})).await, gone);
        assert_eq!(
            rest(&host, "ada", "forget", json!({"id": kept["id"]})).await,
            json!({"forgotten": "Likes green tea"})
        );
        assert_eq!(rest(&host, "ada", "recall", json!({})).await, json!({"memories": []}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_by_whom_it_concerns() {
    let host = plugins(Database::Sqlite).await;
    // By the tool, in its own words; and by the host, before the tool runs.
    let words = rest(&host, "ada", "add_expense", json!({"amount": "1.005", "category": "food"})).await;
    assert!(words.as_str().is_some_and(|words| words.contains("two decimals")), "{words}");
    for (name, arguments) in [("add_expense", json!({"amount": "1"})), ("remember", json!({"fact": "x".repeat(501)}))] {
        let (status, told) = answer(host.post(&format!("/api/tools/{name}"), &arguments).by("ada")).await;
        assert_eq!(status, 422, "{told}");
    }
    // Nobody has no data.
    for (name, arguments) in [("sum_expenses", json!({})), ("recall", json!({}))] {
        let told = tool(&host, name, arguments).await.1;
        assert_eq!(
            (told["result"]["isError"].as_bool(), text(&told)),
            (Some(true), "This needs somebody who is signed in.")
        );
    }
}

const TODO: [(&str, fn() -> PathBuf); 3] =
    [("Rust", || guest("todo")), ("Python", || made("python/tasks")), ("JavaScript", || made("javascript/tasks"))];

/// What a frontend asks, and what no frontend should: method, path, and body. As `ada`
/// but for the paths that say another user after a `#`.
fn scenario() -> Vec<(Method, &'static str, Option<&'static str>)> {
    use Method as M;
    let all = "/api/ada/tasks";
    let mut steps = vec![
        (M::GET, all, None),
        (M::POST, all, Some(r#"{"title":"Buy milk"}"#)),
        (
            M::POST,
            all,
            Some(
                r#"{"title":"Tést ✓ \"quoted\"","description":"d","completed":"yes","priority":"high","due_date":"2030-01-02T03:04:05.5+02:00","tags":["b","a b","b"],"user_id":"eve","more":1}"#,
            ),
        ),
        (M::POST, all, Some(r#"{"title":"later","due_date":"2030-01-02","description":null,"tags":[]}"#)),
        (M::GET, all, None),
        (M::GET, "/api/ada/tasks?status=completed&unknown=1", None),
        (M::GET, "/api/ada/tasks?status=pending&limit=1", None),
        (M::GET, "/api/ada/tasks?limit=1&offset=1", None),
        (M::GET, "/api/ada/tasks/2", None),
        (M::PATCH, "/api/ada/tasks/1/complete", None),
        (M::PATCH, "/api/ada/tasks/1/complete", None),
        (M::PATCH, "/api/ada/tasks/1/complete", Some(r#"{"completed":true}"#)),
        (M::POST, "/api/ada/tasks/1/complete", Some(r#"{"completed":null}"#)),
        (M::DELETE, "/api/ada/tasks/2", None),
        (M::DELETE, "/api/ada/tasks/2", None),
        (M::GET, "/api/ada/tasks/2", None),
        (M::PATCH, "/api/ada/tasks/99/complete", None),
        (M::GET, all, None),
        // What is wrong, and in which order it is told.
        (M::POST, all, None),
        (M::POST, all, Some("[]")),
        (M::POST, all, Some("{}")),
        (
            M::POST,
            all,
            Some(
                r#"{"title":"","description":5,"completed":"maybe","priority":"urgent","due_date":"nope","tags":"x"}"#,
            ),
        ),
        (M::POST, all, Some(r#"{"title":"  ","completed":null,"priority":null,"due_date":true,"tags":["a",1,""]}"#)),
        (M::PATCH, "/api/ada/tasks/abc/complete", Some(r#"{"completed":[]}"#)),
        (M::DELETE, "/api/ada/tasks/1.5x", None),
        (M::GET, "/api/ada/tasks?status=done&limit=0&offset=-1", None),
        (M::GET, "/api/ada/tasks?limit=101", None),
        // Who may not.
        (M::GET, "/api/ada/tasks#bob", None),
        (M::POST, "/api/ada/tasks#bob", Some(r#"{"title":""}"#)),
        (M::DELETE, "/api/ada/tasks/1#bob", None),
        (M::GET, "/api/bob/tasks#bob", None),
        (M::PATCH, "/api/bob/tasks/1/complete#bob", None),
        (M::GET, "/api/ada/tasks#", None),
        (M::POST, "/api/ada/tasks#", Some("{}")),
        (M::PUT, all, Some("{}")),
        (M::GET, "/api/ada/tasks/1/complete", None),
        (M::GET, "/nowhere", None),
        (M::GET, "/api/ada/tasks/%zz", None),
    ];
    let long: &'static str = Box::leak(format!(r#"{{"title":"{}"}}"#, "é".repeat(201)).into_boxed_str());
    steps.push((M::POST, all, Some(long)));
    steps
}

/// An answer without what differs from one run to the next.
fn comparable(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| match name.as_str() {
                "created_at" | "updated_at" => {
                    let is_utc = value.as_str().is_some_and(|text| text.starts_with("20") && text.ends_with('Z'));
                    (name, json!(if is_utc { "<time>" } else { "<no time>" }))
                }
                _ => (name, comparable(value)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(comparable).collect(),
        other => other,
    }
}

async fn replay(host: &TestHost) -> Vec<String> {
    let mut answers = Vec::new();
    for (method, path, body) in scenario() {
        let (path, user) = path.split_once('#').unwrap_or((path, "ada"));
        let mut request = host.request(method.clone(), path);
        if !user.is_empty() {
            request = request.by(user);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.expect("an answer");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
        let (status, kind, challenge) = (answer.status(), header("content-type"), header("www-authenticate"));
        let told: Value = answer.json().await.unwrap_or(json!("<no JSON>"));
        answers.push(format!("{method} {path} {body:?}: {status} {kind:?} {challenge:?} {}", comparable(told)));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_cannot_tell_three_languages_apart() {
    for database in Database::BOTH {
        let mut expected = Vec::new();
        for (language, file) in TODO {
            let host = Setup::module(&file()).on(database).start().await;
            let answers = replay(&host).await;
            if expected.is_empty() {
                // The first is held against FastAPI's own answers by another test.
                assert!(answers[1].contains(": 201 Created") && answers[1].contains("Buy milk"), "{}", answers[1]);
                expected = answers;
                continue;
            }
            for (expected, got) in expected.iter().zip(&answers) {
                assert_eq!(expected, got, "{language} on {database:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_language_takes_the_place_of_another_on_the_same_data() {
    for database in Database::BOTH {
        let shelf = tempfile::tempdir().expect("a directory");
        let file = shelf.path().join("todo.wasm");
        let put = |from: PathBuf| std::fs::copy(from, &file).expect("copied");
        put(guest("todo"));
        let modules = format!(
            "[[module]]\nname = \"todo\"\nsource = \"{}\"\ngrants = {{ sql = \"main\", accounts = false, llm = [], toolbox = [] }}\n[swap]\nwatch = false\n",
            file.display()
        );
        let host = Setup::modules(&modules).on(database).start().await;
        let add = async |title: &str| answer(host.post("/api/ada/tasks", &json!({"title": title})).by("ada")).await;
        assert_eq!(add("of Rust").await.0, 201);
        for (language, file) in TODO.into_iter().cycle().skip(1).take(3) {
            put(file());
            let swapped =
                host.client.post(format!("http://{}/modules/todo", host.admin)).send().await.expect("an answer");
            let status = swapped.status();
            assert_eq!(status, 200, "{language} on {database:?}: {}", swapped.text().await.unwrap_or_default());
            let (status, told) = add(&format!("of {language}")).await;
            assert_eq!((status, &told["completed"]), (201, &json!(false)), "{language} on {database:?}: {told}");
        }
        let (_, list) = answer(host.get("/api/ada/tasks").by("ada")).await;
        let titles: Vec<&str> =
            list.as_array().expect("a list").iter().filter_map(|task| task["title"].as_str()).collect();
        assert_eq!(titles, ["of Rust", "of JavaScript", "of Python", "of Rust"], "{database:?}");
    }
}

/// A component of Python is fourteen core modules, where others are three or four.
#[tokio::test(flavor = "multi_thread")]
async fn as_many_calls_run_at_once_as_of_any_other_guest() {
    let host = Setup::module(&made("python/tasks")).start().await;
    // All places that the test host has.
    let calls = (0..64).map(|_| answer(host.get("/api/ada/tasks").by("ada")));
    for (status, told) in futures_util::future::join_all(calls).await {
        assert_eq!((status, &told), (200, &json!([])));
    }
}

/// Within the limits that every module has, on a cache that has nothing of it yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_interpreter_fits_into_the_default_limits() {
    for file in ["python/expenses", "python/tasks", "javascript/memory", "javascript/tasks"] {
        let (file, cache) = (made(file), tempfile::tempdir().expect("a directory"));
        let size = std::fs::metadata(&file).expect("a file").len() >> 20;
        let began = Instant::now();
        let path = file.display().to_string();
        let vars = [("INNKEEPER_CACHE_DIR", cache.path().to_str().expect("a path"))];
        let looked = HostProcess::run(&["inspect", &path], &vars).await;
        let took = began.elapsed();
        assert_eq!(looked.status.code(), Some(0), "{}", looked.stderr);
        report(&format!("{}: {size} MiB, compiled and read in {:.1} s", file.display(), took.as_secs_f64()));
    }
}

/// A rough figure, one call after the other.
#[tokio::test(flavor = "multi_thread")]
async fn how_many_calls_there_are_in_a_second() {
    let mut rust = 0.0;
    for (language, file) in TODO {
        let host = Setup::module(&file()).start().await;
        let one = async || host.get("/api/ada/tasks").by("ada").send().await.expect("an answer").status();
        let began = Instant::now();
        assert_eq!(one().await, 200);
        let first = began.elapsed();
        let (began, mut calls) = (Instant::now(), 0_u32);
        while began.elapsed() < Duration::from_secs(2) {
            assert_eq!(one().await, 200);
            calls += 1;
        }
        let rate = f64::from(calls) / began.elapsed().as_secs_f64();
        if language == "Rust" {
            rust = rate;
        }
        report(&format!(
            "{language}: first call {:.1} ms, then {rate:.0} calls/s, {:.2} of Rust's",
            first.as_secs_f64() * 1e3,
            rate / rust
        ));
    }
}
