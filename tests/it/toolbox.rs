//! Tools of other modules, called by guests: whose limits hold, who is calling, and
//! what becomes of the one who asked when the other one does not do well.

mod grants;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{As, Setup, TestHost, module, scoped, token};

/// A module that passes on, and one that misbehaves.
async fn pair(relay: &str, probe: &str) -> TestHost {
    let grants = "grants = { toolbox = [\"probe\"] }\n";
    let modules = [module("relay", "relay", &format!("{grants}{relay}")), module("probe", "probe", probe)];
    Setup::modules(&modules.concat()).start().await
}

/// Asks over HTTP, and gives what the guest was told.
async fn ask(host: &TestHost, user: Option<String>, what: Value) -> Value {
    let mut request = host.post("/relay/call", &what);
    if let Some(token) = user {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{what}");
    answer.json().await.expect("JSON")
}

async fn of(host: &TestHost, tool: &str) -> Value {
    ask(host, None, json!({"tool": tool})).await
}

fn unavailable(tool: &str, why: &str) -> Value {
    json!({"unavailable": format!("The tool `{tool}` is not available: {why}.")})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_another_module_is_called_for_the_same_caller() {
    let host = pair("", "").await;
    assert_eq!(of(&host, "whoami").await, json!({"text": "nobody", "structured": null, "isError": false}));
    assert_eq!(ask(&host, Some(token("alice")), json!({"tool": "whoami"})).await["text"], "alice []");
    assert_eq!(ask(&host, Some(token("bob")), json!({"tool": "probe.whoami"})).await["text"], "bob []");
    // From a tool, too: the caller of the protocol's request.
    let through =
        host.post("/api/tools/relay", &json!({"tool": "whoami"})).by("carol").send().await.expect("an answer");
    let told: Value = through.json().await.expect("JSON");
    assert!(told["content"][0]["text"].as_str().is_some_and(|text| text.contains("carol []")), "{told}");
    // And what it gives is held to its schema on the way.
    assert_eq!(of(&host, "structured").await["structured"], "{\"n\":7}");
    for broken in ["structured_wrong", "structured_missing", "structured_no_json", "bad_mime", "secret_error", "huge"] {
        assert_eq!(of(&host, broken).await, unavailable(broken, "it failed"), "{broken}");
    }
    // Its face: what a guest may know of how it is called.
    let context = of(&host, "context").await;
    assert!(context["text"].as_str().is_some_and(|text| text.contains("\"version\":\"toolbox\"")), "{context}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_right_is_told_to_who_sent_it() {
    let host = pair("", "").await;
    let with = async |arguments: Value| ask(&host, None, json!({"tool": "strict", "arguments": arguments})).await;
    assert_eq!(with(json!({"n": 1})).await["text"], "{\"n\":1}");
    for (bad, at) in [(json!({"n": 0}), "/n"), (json!({}), "n"), (json!("[]"), "object"), (json!("{"), "object")] {
        let told = with(bad.clone()).await;
        assert!(told["invalidArguments"].as_str().is_some_and(|why| why.contains(at)), "{bad}: {told}");
    }
    assert_eq!(of(&host, "refuse").await, json!({"invalidArguments": "not these"}));
    for nobody in ["nothing", "", "relay", "relay.relay", "probe.", "deny"] {
        assert_eq!(of(&host, nobody).await, json!({"notFound": nobody}));
    }
    assert_eq!(of(&host, "ask").await, json!("inputRequired"), "nobody is there to be asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_the_callers() {
    let host = pair("", "").await;
    let scope = "probe:write";
    assert_eq!(of(&host, "scoped").await, json!({"missingScopes": [scope]}));
    assert_eq!(ask(&host, Some(token("ada")), json!({"tool": "scoped"})).await, json!({"missingScopes": [scope]}));
    let told = ask(&host, Some(scoped(scope, None)), json!({"tool": "scoped"})).await;
    assert_eq!(told["text"], "ada [\"probe:write\"]");
    let listed = async |token: String| {
        let request = host.request(Method::GET, "/relay/tools").bearer_auth(token);
        request.send().await.expect("an answer").json::<Vec<String>>().await.expect("names")
    };
    assert!(!listed(token("ada")).await.contains(&"scoped".to_owned()));
    let all = listed(scoped(scope, None)).await;
    assert!(all.contains(&"scoped".to_owned()) && all.contains(&"whoami".to_owned()));
    assert!(!all.iter().any(|name| name == "relay"), "its own are not among them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_traps_stalls_or_eats_is_an_error_to_read_and_not_the_end() {
    let host = pair("limits = { wall = \"2s\" }", "limits = { cpu = \"200ms\", memory = \"8MiB\" }").await;
    assert_eq!(of(&host, "trap").await, unavailable("trap", "it failed"));
    assert_eq!(of(&host, "eat").await, unavailable("eat", "it failed"), "its own memory");
    assert_eq!(of(&host, "spin").await, unavailable("spin", "it took too long"), "its own CPU time");
    // It would sleep for a minute, and its own ten seconds are more than the caller has.
    let started = Instant::now();
    assert_eq!(of(&host, "sleep").await, unavailable("sleep", "it took too long"));
    assert!((Duration::from_millis(1_300)..Duration::from_millis(1_950)).contains(&started.elapsed()));
    assert_eq!(of(&host, "whoami").await["text"], "nobody");
    assert_eq!(host.running().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_tool_uses_no_cpu_time() {
    // Thirty waits of ten milliseconds; each would count as a tick of five.
    let host = pair("limits = { cpu = \"100ms\" }", "").await;
    let told = ask(&host, None, json!({"tool": "sleep", "arguments": {"ms": 10}, "times": 60})).await;
    assert_eq!(told["text"], "slept");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_ends_all_of_it() {
    let host = pair("", "").await;
    let request = host.post("/relay/call", &json!({"tool": "sleep"}));
    let call = tokio::spawn(async move { request.send().await });
    let until = Instant::now() + Duration::from_secs(10);
    while host.running().await < 2 {
        assert!(Instant::now() < until, "they never ran");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    call.abort();
    while host.running().await > 0 {
        assert!(Instant::now() < until, "they run on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_its_own_module_allows_run_at_once() {
    let host = pair("", "limits = { concurrency = 1 }").await;
    let sleep = json!({"tool": "sleep", "arguments": {"ms": 400}});
    let (one, other) = tokio::join!(ask(&host, None, sleep.clone()), ask(&host, None, sleep));
    let busy = unavailable("sleep", "it has too much to do, try again later");
    let slept = |told: &Value| told["text"] == "slept";
    assert!((slept(&one) && other == busy) || (slept(&other) && one == busy), "{one} {other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_runs_so_many_calls_inside_of_calls_and_keeps_its_places_for_requests() {
    // 64 requests at once, and 16 calls inside of them.
    let host = pair("", "").await;
    let sleep = json!({"tool": "sleep", "arguments": {"ms": 1_500}});
    let all = futures_util::future::join_all((0..40).map(|_| ask(&host, None, sleep.clone())));
    let other = async {
        while host.running().await < 32 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // No call inside of another, so nothing that there is too little of.
        host.post("/api/tools/whoami", &json!({})).send().await.expect("an answer").status().as_u16()
    };
    let (all, other) = tokio::join!(all, other);
    let busy = unavailable("sleep", "it has too much to do, try again later");
    let slept = all.iter().filter(|told| told["text"] == "slept").count();
    let refused = all.iter().filter(|told| **told == busy).count();
    // A slow machine sends the last of them when the first have slept.
    assert!(slept >= 16 && refused > 0 && slept + refused == 40 && other == 200, "{slept} {refused} {other}");
}

/// Modules that call each other: `a` the tool of `b`, `b` that of `c`, and so on.
fn row(names: &[&str], last: &str) -> String {
    let next = |at: usize| names.get(at + 1).map_or(last.to_owned(), |next| format!("{next}.chain"));
    let modules = names.iter().enumerate().map(|(at, name)| {
        let settings = format!("grants = {{ toolbox = [\"*\"] }}\nconfig = {{ next = \"{}\" }}", next(at));
        module(name, "relay", &settings)
    });
    modules.collect()
}

async fn chain(host: &TestHost, first: &str) -> String {
    let answer = host.post(&format!("/api/tools/{first}.chain"), &json!({})).send().await.expect("an answer");
    let told: Value = answer.json().await.expect("JSON");
    told["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_inside_of_each_other_have_an_end() {
    let host = Setup::modules(&row(&["a", "b", "c", "d", "e", "f"], "")).start().await;
    assert_eq!(chain(&host, "b").await, "c.chain > d.chain > e.chain > f.chain > the end", "four are allowed");
    let told = chain(&host, "a").await;
    assert!(told.starts_with("b.chain > c.chain > d.chain > e.chain > f.chain > "), "{told}");
    assert!(told.contains("call each other too deep") && !told.contains("the end"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_of_modules_takes_nobodys_place() {
    let host = Setup::modules(&row(&["a", "b"], "a.chain")).start().await;
    let told = chain(&host, "a").await;
    assert!(told.starts_with("b.chain > a.chain > ") && told.contains("in a circle"), "{told}");
    // More at once than there are places for calls inside of calls: each is answered,
    // some with the word that there is too much to do, and nothing stays taken.
    let all = futures_util::future::join_all((0..60).map(|_| chain(&host, "a"))).await;
    for told in &all {
        assert!(told.contains("in a circle") || told.contains("too much to do"), "{told}");
    }
    assert_eq!(host.running().await, 0);
    assert!(chain(&host, "b").await.contains("in a circle"));
}
