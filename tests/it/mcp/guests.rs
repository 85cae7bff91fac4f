//! What guests may offer and answer, and what becomes of one that does otherwise.

use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{call, text, tool};
use super::{conformance, probe};
use crate::harness::{Database, Setup, TestDatabase, module};

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_vetted_when_a_module_is_loaded() {
    for (how, expected) in [
        ("no-json", "tool `whoami`: its input schema is not JSON"),
        ("no-object", "has another type than \"object\""),
        ("unknown-type", "text"),
        ("away", "may refer to its own parts alone"),
        ("itself", "refers to itself"),
        ("header", "x-mcp-header `A` stands beside another type"),
        ("output", "its output schema is not an object"),
        ("name", "tool `two words`: a name is"),
        ("long", "its description is longer than 4096 bytes"),
        ("scope", "its scopes"),
        ("twice", "tool `trap` is there twice"),
        ("many", "more than 256 tools"),
        ("trap", "it trapped"),
        ("error", "it answered an error: no list today"),
        ("prefix", "declares the prefix `Probe`"),
        ("template", "starts with none of its prefixes"),
    ] {
        let file = module("probe", "probe", &format!("config = {{ offer = \"{how}\" }}"));
        let database = TestDatabase::create(Database::Sqlite).await;
        let refused = Setup::modules(&file).start_with(database).await.err().expect("a refusal").to_string();
        assert!(refused.contains("module `probe`") && refused.contains(expected), "{how}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_clash_are_qualified_and_addresses_may_not_clash() {
    let second = |prefix: &str| module("second", "probe", &format!("config = {{ prefix = \"{prefix}\" }}"));
    let both = [module("first", "probe", ""), second("other://")].concat();
    let host = Setup::modules(&both).start().await;
    let listed = call(&host, "tools/list", json!({})).await.1;
    let names: Vec<_> = listed["result"]["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| tool["name"].as_str().expect("a name"))
        .collect();
    assert!(
        names.contains(&"first.whoami") && names.contains(&"second.whoami") && !names.contains(&"whoami"),
        "{names:?}"
    );
    assert!(names.is_sorted());
    assert_eq!(text(&tool(&host, "first.whoami", json!({})).await.1), "nobody");
    assert_eq!(tool(&host, "whoami", json!({})).await.1["error"]["code"], -32602);
    // Pages of one module after those of the other, until all are there.
    let (mut cursor, mut uris) = (json!(null), Vec::new());
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        let page = call(&host, "resources/list", params).await.1["result"].clone();
        uris.extend(
            page["resources"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(|entry| entry["uri"].clone()),
        );
        cursor = page["nextCursor"].clone();
        // The second module lists addresses that are not its own.
        if cursor.is_null() || uris.len() >= 2 {
            break;
        }
    }
    assert_eq!(uris, [json!("probe://nobody/1"), json!("probe://nobody/2")]);
    let database = TestDatabase::create(Database::Sqlite).await;
    let clash = [module("first", "probe", ""), second("probe://x")].concat();
    let refused = Setup::modules(&clash).start_with(database).await.err().expect("a refusal").to_string();
    assert!(refused.contains("cannot be told apart"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_in_a_description_is_not_passed_on() {
    let host = probe().await;
    let listed = call(&host, "tools/list", json!({})).await.1;
    let trap = listed["result"]["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .find(|tool| tool["name"] == "trap")
        .expect("it")
        .clone();
    assert_eq!(trap["description"], "Does what its name says: trap");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_checked_before_and_answers_after() {
    let host = probe().await;
    for bad in [json!({}), json!({"n": 0}), json!({"n": "1"}), json!({"n": 1, "other": 2})] {
        let (status, told) = tool(&host, "strict", bad.clone()).await;
        assert_eq!((status, &told["result"]["isError"]), (200, &json!(true)), "{bad}");
        assert!(text(&told).starts_with("Invalid arguments: "), "{told}");
    }
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!([deep]);
    }
    let (_, told) = tool(&host, "strict", json!({"n": 1, "deep": deep})).await;
    assert!(text(&told).contains("nested deeper"), "{told}");
    let wide: Vec<u32> = (0..150_000).collect();
    assert_eq!(tool(&host, "strict", json!({"n": 1, "deep": wide})).await.0, 200, "large, and no harm in it");
    let (_, told) = tool(&host, "structured", json!({})).await;
    assert_eq!(told["result"]["structuredContent"], json!({"n": 7}));
    for name in [
        "structured_wrong",
        "structured_missing",
        "structured_no_json",
        "huge",
        "bad_mime",
        "bad_link",
        "ask_nothing",
        "ask_nested",
        "ask_http",
        "secret_error",
    ] {
        let (status, told) = tool(&host, name, json!({})).await;
        assert_eq!((status, &told["error"]["code"]), (200, &json!(-32603)), "{name}: {told}");
        assert!(
            !told.to_string().contains("hunter2")
                && told["error"]["message"].as_str().expect("text").contains("its id is"),
            "{told}"
        );
    }
    for name in ["refuse", "deny"] {
        let told = tool(&host, name, json!({})).await.1;
        assert!(told["error"]["code"] == -32602 || told["result"]["isError"] == true, "{name}: {told}");
    }
    for (uri, expected) in [
        ("probe://shared", None),
        ("probe://empty", Some(-32603)),
        ("probe://trap", Some(-32603)),
        ("probe://ada/1", Some(-32602)),
    ] {
        let told = call(&host, "resources/read", json!({"uri": uri})).await.1;
        assert_eq!(told["error"]["code"].as_i64(), expected, "{uri} {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_traps_or_stalls_is_an_error_and_leaves_nothing_behind() {
    let limits = "limits = { cpu = \"300ms\", wall = \"1s\", concurrency = 2, memory = \"16MiB\" }";
    let host = Setup::modules(&module("probe", "probe", limits)).start().await;
    for (name, within) in [("trap", 1_000), ("eat", 1_500), ("spin", 1_500), ("sleep", 2_500)] {
        for _ in 0..3 {
            let began = Instant::now();
            let (status, told) = tool(&host, name, json!({})).await;
            assert_eq!((status, &told["error"]["code"]), (200, &json!(-32603)), "{name}: {told}");
            assert!(began.elapsed() < Duration::from_millis(within), "{name} took {:?}", began.elapsed());
        }
    }
    assert_eq!(host.running().await, 0);
    assert_eq!(text(&tool(&host, "whoami", json!({})).await.1), "nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_told_of_the_client_what_it_says_itself() {
    let host = probe().await;
    let mut meta = super::client::meta();
    meta["example.com/tenant"] = "seven".into();
    meta["progressToken"] = 1.into();
    let (_, told) = call(&host, "tools/call", json!({"name": "context", "_meta": meta})).await;
    let context: serde_json::Value = serde_json::from_str(text(&told)).expect("JSON");
    assert_eq!(context, json!({"version": "2026-07-28", "client": "test", "meta": {"example.com/tenant": "seven"}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_offered_is_found_and_answered() {
    let host = conformance().await;
    let discovered = call(&host, "server/discover", json!({})).await.1["result"].clone();
    assert_eq!(discovered["supportedVersions"], json!(["2025-06-18", "2025-11-25", "2026-07-28"]));
    assert_eq!(discovered["capabilities"]["tools"], json!({"listChanged": true}));
    assert_eq!(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "innkeeper");
    for (method, list, count) in [
        ("tools/list", "tools", 27),
        ("prompts/list", "prompts", 5),
        ("resources/list", "resources", 3),
        ("resources/templates/list", "resourceTemplates", 1),
    ] {
        let result = call(&host, method, json!({})).await.1["result"].clone();
        assert_eq!(result[list].as_array().map(Vec::len), Some(count), "{method}");
        assert_eq!(result["resultType"], "complete", "{method}");
        assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), "{method} {result}");
    }
    let read = call(&host, "resources/read", json!({"uri": "test://template/123/data"})).await.1;
    assert_eq!(read["result"]["contents"][0]["mimeType"], "application/json");
    let params = json!({"ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"}, "argument": {"name": "arg1", "value": "par"}});
    let completed = call(&host, "completion/complete", params).await.1;
    assert_eq!(
        completed["result"]["completion"],
        json!({"values": ["paris", "park", "party"], "total": 3, "hasMore": false})
    );
}
