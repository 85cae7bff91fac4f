//! What `wkg` pushes is served, and what is served by digest is what it pulls.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::{Doors, OciRegistry, Setup, guest, sha256};

/// Runs it against the registry, which speaks plain HTTP.
async fn wkg(registry: &OciRegistry, args: &[&str]) -> Output {
    let program = std::env::var_os("INNKEEPER_TEST_WKG").expect("`cargo xtask interop` names it");
    let mut command = Command::new(program);
    command.args(["oci", args[0], "--insecure", &registry.address.to_string()]).args(&args[1..]);
    let output = command.kill_on_drop(true).output().await.expect("it runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

async fn served(source: &str, cache: &Path) -> (String, Value) {
    let file = format!("[[module]]\nname = \"hello\"\nsource = \"{source}\"\nroute = \"/\"\n");
    let host = Setup::modules(&file).env("INNKEEPER_CACHE_DIR", &cache.display().to_string()).start().await;
    let said = host.get("/").send().await.expect("an answer").text().await.expect("text");
    let modules = host.client.get(format!("http://{}/modules", host.admin)).send().await.expect("an answer");
    (said, modules.json::<Value>().await.expect("JSON")["modules"][0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_pushes_is_served_and_what_it_pulls_is_the_same() {
    let programs = OciRegistry::programs().expect("`cargo xtask interop` names them");
    let registry = OciRegistry::start(programs, Doors::Open).await;
    let (folder, component) = (tempfile::tempdir().expect("a directory"), guest("hello"));
    let tag = format!("{}/authors/hello:v1", registry.address);
    let pushed = wkg(&registry, &["push", &tag, &component.display().to_string()]).await;
    let pushed = String::from_utf8(pushed.stdout).expect("text");
    let digest = pushed.split_whitespace().find(|word| word.starts_with("sha256:")).expect("it tells the digest");

    let (said, shown) = served(&registry.source("authors/hello:v1"), &folder.path().join("tag")).await;
    let wasm = std::fs::read(component).expect("built");
    assert_eq!(shown["manifest"], digest, "{shown}");
    assert_eq!(format!("sha256:{}", shown["sha256"].as_str().expect("text")), sha256(&wasm));
    let pinned = registry.source(&format!("authors/hello@{digest}"));
    assert_eq!(served(&pinned, &folder.path().join("digest")).await.0, said);

    let pulled = folder.path().join("pulled.wasm");
    wkg(&registry, &["pull", &tag, "--output", &pulled.display().to_string()]).await;
    assert!(std::fs::read(pulled).expect("written") == wasm, "it pulls something else");
}
