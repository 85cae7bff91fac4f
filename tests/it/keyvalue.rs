//! Keys and values of modules, on both databases: whose they are, how many, and that
//! they stay.

use serde_json::{Value, json};

use crate::harness::{Database, Setup, TestHost, guest, module, token};

fn modules() -> String {
    let grant = "grants = { keyvalue = true }\nsmoke = \"off\"";
    module("one", "cupboard", grant) + &module("two", "cupboard", grant)
}

async fn steps(host: &TestHost, path: &str, user: Option<&str>, steps: &Value) -> Vec<Value> {
    let request = host.post(path, steps);
    let request = match user {
        Some(user) => request.bearer_auth(token(user)),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("text");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"))
}

async fn step(host: &TestHost, path: &str, user: Option<&str>, one: Value) -> Value {
    steps(host, path, user, &json!([one])).await.remove(0)
}

fn get(key: &str) -> Value {
    json!({ "do": "get", "key": key })
}

fn set(key: &str, value: impl Into<Value>) -> Value {
    json!({ "do": "set", "key": key, "value": value.into() })
}

/// Characters that mean something to SQL, to shells and to people.
const AWKWARD: [&str; 8] =
    ["a'; DROP TABLE innkeeper.keyvalue; --", "\\x27", "ключ", "🗝", "a b", "%_", "{\"a\":1}", "\u{202e}x"];

async fn keeps(database: Database) {
    let host = Setup::modules(&modules()).on(database).start().await;
    let ada = async |one: Value| step(&host, "/one", Some("ada"), one).await;
    assert_eq!(ada(get("k")).await, Value::Null);
    assert_eq!(ada(set("k", "first")).await, "set");
    assert_eq!(ada(set("k", "second")).await, "set");
    assert_eq!(ada(get("k")).await, "second");
    assert_eq!(ada(json!({ "do": "exists", "key": "k" })).await, true);
    assert_eq!(ada(set("empty", "")).await, "set");
    assert_eq!(ada(get("empty")).await, "");
    for key in AWKWARD {
        assert_eq!(ada(set(key, key)).await, "set", "{key}");
        assert_eq!(ada(get(key)).await, key);
    }
    assert_eq!(ada(json!({ "do": "delete", "key": "k" })).await, "deleted");
    assert_eq!(ada(json!({ "do": "delete", "key": "k" })).await, "deleted");
    assert_eq!(ada(json!({ "do": "exists", "key": "k" })).await, false);
    let listed = ada(json!({ "do": "keys" })).await;
    let expected: Vec<&str> = std::iter::once("empty").chain(AWKWARD).collect();
    assert_eq!(listed, json!({ "keys": expected, "cursor": null }));

    // The same names are other keys for others, and in another module.
    for (path, user) in [("/one", Some("bob")), ("/two", Some("ada")), ("/two", Some("bob"))] {
        assert_eq!(step(&host, path, user, get("empty")).await, Value::Null, "{path} {user:?}");
        let listed = step(&host, path, user, json!({ "do": "keys" })).await;
        assert_eq!(listed, json!({ "keys": [], "cursor": null }), "{path} {user:?}");
        assert_eq!(step(&host, path, user, json!({ "do": "delete", "key": "empty" })).await, "deleted");
    }
    assert_eq!(ada(get("empty")).await, "", "another's delete met it");
    // What a module shares, its callers share, and nobody else.
    let shared = |mut one: Value| {
        one["bucket"] = "module".into();
        one
    };
    assert_eq!(ada(shared(set("empty", "shared"))).await, "set");
    assert_eq!(step(&host, "/one", None, shared(get("empty"))).await, "shared");
    assert_eq!(step(&host, "/two", Some("ada"), shared(get("empty"))).await, Value::Null);
    assert_eq!(ada(get("empty")).await, "");
    // Nobody has no keys of his own.
    assert_eq!(step(&host, "/one", None, get("empty")).await["error"], "access-denied");
    for name in ["other", "bob", "Default", "one", "module "] {
        let mut one = get("empty");
        one["bucket"] = name.into();
        assert_eq!(ada(one).await["error"], "no-such-store", "{name}");
    }

    // A restart changes nothing.
    let (_, database) = host.stop().await;
    let again = Setup::modules(&modules()).start_with(database).await.expect("it starts");
    assert_eq!(step(&again, "/one", Some("ada"), get("🗝")).await, "🗝");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_keeps_is_his_on_sqlite() {
    keeps(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_keeps_is_his_on_postgres() {
    keeps(Database::Postgres).await;
}

async fn is_bounded(database: Database) {
    let host = Setup::modules(&modules()).on(database).start().await;
    let ada = async |one: Value| step(&host, "/one", Some("ada"), one).await;
    for (key, why) in [("", "1 to 512"), ("a\u{0}b", "NUL")] {
        assert!(ada(set(key, "v")).await["error"].as_str().is_some_and(|told| told.contains(why)), "{key:?}");
        assert!(ada(get(key)).await["error"].is_string(), "{key:?}");
    }
    assert_eq!(ada(set(&"k".repeat(512), "v")).await, "set");
    assert!(ada(set(&"k".repeat(513), "v")).await["error"].is_string());
    assert!(ada(set("large", 262_145)).await["error"].is_string());
    // 16 MiB are 64 of the largest, less the one byte that is there already.
    for number in 0..63 {
        assert_eq!(ada(set(&number.to_string(), 262_144)).await, "set", "{number}");
    }
    assert!(ada(set("63", 262_144)).await["error"].as_str().is_some_and(|told| told.contains("as much as it may")));
    assert_eq!(ada(set("62", 262_144)).await, "set", "what is there may be set again");
    assert_eq!(ada(json!({ "do": "delete", "key": "0" })).await, "deleted");
    assert_eq!(ada(set("63", 262_144)).await, "set");
    assert_eq!(
        step(&host, "/one", Some("bob"), set("his", 262_144)).await,
        "set",
        "one caller's room is not another's"
    );
    // Keys come in pages.
    let many: Vec<Value> = (0..1_500).map(|number| set(&format!("{number:04}"), "")).collect();
    for some in many.chunks(500) {
        steps(&host, "/two", Some("ada"), &json!(some)).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = step(&host, "/two", Some("ada"), json!({ "do": "keys", "cursor": cursor })).await;
        seen.extend(page["keys"].as_array().expect("keys").iter().map(|key| key.as_str().expect("text").to_owned()));
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, (0..1_500).map(|number| format!("{number:04}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_values_have_bounds_on_sqlite() {
    is_bounded(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_values_have_bounds_on_postgres() {
    is_bounded(Database::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_a_module_is_refused_and_told_what_to_write() {
    let refused = Setup::modules(&module("one", "cupboard", "smoke = \"off\""));
    let database = crate::harness::TestDatabase::create(Database::Sqlite).await;
    let why = refused.start_with(database).await.err().expect("a refusal").to_string();
    assert!(why.contains("wasi:keyvalue/store") && why.contains("keyvalue = true"), "{why}");
    // The default module has it.
    let host = Setup::module(&guest("cupboard")).start().await;
    assert_eq!(step(&host, "/x", Some("ada"), set("k", "v")).await, "set");
}
