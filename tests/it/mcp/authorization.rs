//! Who may, and what a client is told who may not.

use std::time::Duration;

use innkeeper::broker::identity::{NewToken, mint};
use serde_json::{Value, json};

use super::client::{answer, message, post, text, tool};
use super::probe;
use crate::harness::{As, SECRET, Setup, TestHost, module, scoped};

const PUBLIC: &str = "https://todo.example.com";
const DOCUMENT: &str = "https://todo.example.com/.well-known/oauth-protected-resource/mcp";

async fn public() -> TestHost {
    let setup = Setup::modules(&module("probe", "probe", "")).env("INNKEEPER_PUBLIC_URL", PUBLIC);
    setup.env("AUTH_ISSUER", "https://auth.example.com").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_needs_a_scope_is_for_those_who_have_it() {
    let host = probe().await;
    let call = message("tools/call", json!({"name": "scoped"}));
    let challenge =
        |answer: &reqwest::Response| answer.headers()["www-authenticate"].to_str().expect("ASCII").to_owned();
    let anonymous = post(&host, &call).send().await.expect("an answer");
    assert_eq!(
        (anonymous.status().as_u16(), &*challenge(&anonymous)),
        (401, "Bearer error=\"insufficient_scope\", scope=\"probe:write\"")
    );
    for lacking in ["", "probe:read", "probe:writer probe"] {
        let refused = post(&host, &call).bearer_auth(scoped(lacking, None)).send().await.expect("an answer");
        assert_eq!(
            (refused.status().as_u16(), &*challenge(&refused)),
            (403, "Bearer error=\"insufficient_scope\", scope=\"probe:write\"")
        );
    }
    let told = answer(post(&host, &call).bearer_auth(scoped("probe:read probe:write", None))).await;
    assert_eq!(text(&told.1), "ada [\"probe:read\", \"probe:write\"]");
    // By its other name, too.
    let other = message("tools/call", json!({"name": "probe.scoped"}));
    assert_eq!(post(&host, &other).send().await.expect("an answer").status(), 401);
    assert_eq!(text(&tool(&host, "whoami", json!({})).await.1), "nobody");
    assert_eq!(
        text(&answer(post(&host, &message("tools/call", json!({"name": "whoami"}))).by("bob")).await.1),
        "bob []"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_where_tokens_are() {
    let host = public().await;
    for path in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
        let answer = host.get(path).header("origin", "https://anywhere.example").send().await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["access-control-allow-origin"]),
            (200, &"*".parse().unwrap())
        );
        let document: Value = answer.json().await.expect("JSON");
        assert_eq!(
            document,
            json!({
                "resource": "https://todo.example.com/mcp",
                "authorization_servers": ["https://auth.example.com"],
                "scopes_supported": ["probe:write"],
                "bearer_methods_supported": ["header"],
            })
        );
    }
    let list = message("tools/list", json!({}));
    let refused = post(&host, &list).bearer_auth("garbage.garbage.garbage").send().await.expect("an answer");
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().expect("ASCII");
    assert_eq!(challenge, format!("Bearer error=\"invalid_token\", resource_metadata=\"{DOCUMENT}\""));
    for (name, expected) in [("todo.example.com", 200), ("todo.example.com:8443", 200), ("innkeeper", 403)] {
        assert_eq!(answer(post(&host, &list).header("host", name)).await.0, expected, "{name}");
    }
    assert_eq!(answer(post(&host, &list).header("origin", PUBLIC)).await.0, 200);
    // Another audience, another issuer: not for this host.
    for issuer in [None, Some("https://evil.example")] {
        let request = post(&host, &list).bearer_auth(scoped("probe:write", issuer));
        assert_eq!(answer(request).await.0, 401, "{issuer:?}");
    }
    let request = post(&host, &list).bearer_auth(scoped("probe:write", Some("https://auth.example.com")));
    assert_eq!(answer(request).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everybody_must_say_who_he_is_nobody_is_let_in_without() {
    let setup = Setup::modules(&module("probe", "probe", "")).env("INNKEEPER_MCP_REQUIRE_AUTH", "1");
    let host =
        setup.env("INNKEEPER_PUBLIC_URL", PUBLIC).env("AUTH_AUDIENCE", "https://todo.example.com/mcp").start().await;
    let list = message("tools/list", json!({}));
    let refused = post(&host, &list).send().await.expect("an answer");
    assert_eq!(refused.status(), 401);
    assert_eq!(
        refused.headers()["www-authenticate"].to_str().expect("ASCII"),
        format!("Bearer resource_metadata=\"{DOCUMENT}\"")
    );
    assert_eq!(answer(post(&host, &list).by("ada")).await.0, 401, "a token for nobody in particular");
    let token = NewToken {
        subject: "ada",
        name: None,
        email: None,
        issuer: None,
        audience: Some("https://todo.example.com/mcp"),
        lifetime: Duration::from_secs(60),
        session: None,
    };
    let token = mint(SECRET.as_bytes(), &token).expect("signed");
    assert_eq!(answer(post(&host, &list).bearer_auth(&token)).await.0, 200);
    // Not in the query: there it would be in logs.
    let query =
        host.client.post(host.url(&format!("/mcp?access_token={token}"))).header("accept", super::client::ACCEPT);
    assert_eq!(
        query.header("content-type", "application/json").body("{}").send().await.expect("an answer").status(),
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_reaches_a_guest() {
    let host = probe().await;
    let mut meta = super::client::meta();
    meta["example.com/echo"] = "seen".into();
    let call = message("tools/call", json!({"name": "context", "_meta": meta}));
    let token = scoped("probe:write", None);
    let told = answer(post(&host, &call).bearer_auth(&token).header("cookie", "better-auth.session_data=x")).await.1;
    assert!(text(&told).contains("seen") && !text(&told).contains(&token), "{told}");
}
