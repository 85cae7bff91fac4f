//! Which tools a module may call, and by which names.

use reqwest::Method;
use serde_json::json;

use super::{of, unavailable};
use crate::harness::{Database, Setup, TestDatabase, TestHost, module};

async fn refused(modules: &[String]) -> String {
    let database = TestDatabase::create(Database::Sqlite).await;
    Setup::modules(&modules.concat()).start_with(database).await.err().expect("a refusal").to_string()
}

fn relay(toolbox: &str) -> String {
    module("relay", "relay", &format!("grants = {{ toolbox = {toolbox} }}"))
}

fn probe(name: &str) -> String {
    module(name, "probe", &format!("config = {{ prefix = \"{name}://\" }}"))
}

async fn listed(host: &TestHost) -> Vec<String> {
    let answer = host.request(Method::GET, "/relay/tools").send().await.expect("an answer");
    answer.json().await.expect("names")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_import_needs_the_grant_and_the_grant_names_what_there_is() {
    let told = refused(&[module("relay", "relay", "")]).await;
    for part in ["module `relay`", "innkeeper:backend/toolbox", "add `grants = { toolbox = [\"*\"] }` to the module"] {
        assert!(told.contains(part), "{told}");
    }
    for (grant, why) in [
        ("[\"dates\"]", "there is no module `dates`"),
        ("[\"probe.nothing\"]", "module `probe` has no tool `nothing`"),
        ("[\"relay\"]", "`relay` is its own"),
        ("[\"relay.chain\"]", "`relay.chain` is its own"),
        ("[\"hello\"]", "module `hello` has no tools"),
    ] {
        let told = refused(&[relay(grant), probe("probe"), module("hello", "hello", "")]).await;
        assert!(told.contains("module `relay`: its grant `toolbox` is refused") && told.contains(why), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_calls_what_it_was_granted_and_nothing_else() {
    let start = async |grant: &str| Setup::modules(&[relay(grant), probe("probe")].concat()).start().await;
    let host = start("[]").await;
    assert_eq!(listed(&host).await, [""; 0]);
    assert_eq!(of(&host, "whoami").await, json!({"notFound": "whoami"}));
    let host = start("[\"probe.whoami\", \"probe.trap\"]").await;
    assert_eq!(listed(&host).await, ["trap", "whoami"]);
    assert_eq!(of(&host, "whoami").await["text"], "nobody");
    assert_eq!(of(&host, "trap").await, unavailable("trap", "it failed"));
    assert_eq!(of(&host, "context").await, json!({"notFound": "context"}));
    let host = start("[\"*\"]").await;
    assert!(listed(&host).await.contains(&"context".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_clash_are_qualified_for_guests_as_for_everybody() {
    let both = [relay("[\"first\", \"second.whoami\"]"), probe("first"), probe("second")].concat();
    let host = Setup::modules(&both).start().await;
    let names = listed(&host).await;
    assert!(names.contains(&"first.whoami".to_owned()) && names.contains(&"first.trap".to_owned()), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("second.")).collect::<Vec<_>>(), ["second.whoami"]);
    assert_eq!(of(&host, "second.whoami").await["text"], "nobody");
    assert_eq!(of(&host, "whoami").await, json!({"notFound": "whoami"}), "whose?");
    assert_eq!(of(&host, "second.context").await, json!({"notFound": "second.context"}));
}
