//! Modules that come from a registry: a real one, filled by a tool of others, and
//! scripted ones that misbehave.

mod load;
mod offline;
mod places;
mod scripted;
mod signed;

use std::path::Path;

use serde_json::json;

use crate::harness::{Artifact, Doors, HostProcess, OciRegistry, Setup, TestHost, USER, WASM, guest};
use crate::swap::editions::{asked, change, edition, modules, swapped};

/// What the guest `edition` needs.
const GRANTS: &str = "grants = { toolbox = [] }";
const HEADER: &str = "[swap]\ngeneration_header = true\n";

/// A registry, where this machine has one.
async fn registry(doors: Doors) -> Option<OciRegistry> {
    Some(OciRegistry::start(OciRegistry::programs()?, doors).await)
}

fn artifact(number: u32) -> Artifact {
    Artifact::component(&edition(number, "plain"))
}

/// A host with a cache of its own.
fn setup(cache: &Path, toml: &str) -> Setup {
    Setup::modules(&[HEADER, toml].concat()).env("INNKEEPER_CACHE_DIR", &cache.display().to_string())
}

fn cache() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A command on one module that the environment names, to its end: its exit code and
/// what it said.
async fn run(command: &[&str], source: &str, cache: &Path, vars: &[(&str, &str)]) -> (i32, String) {
    let dir = cache.display().to_string();
    let own = [("INNKEEPER_MODULE", source), ("INNKEEPER_CACHE_DIR", &dir), ("INNKEEPER_DATA_DIR", &dir)];
    let vars = [&own, vars].concat();
    let finished = HostProcess::run(command, &vars).await;
    let code = finished.status.code().expect("it ended by itself");
    (code, format!("{}{}", finished.stdout, finished.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_comes_from_a_registry_in_every_form_that_tools_push() {
    let Some(registry) = registry(Doors::Open).await else { return };
    let cache = cache();
    let wasm = edition(1, "plain");
    let layer = |kind: &'static str| vec![(kind, wasm.clone(), [].into())];
    let forms = [
        ("wkg", "application/vnd.wasm.config.v0+json", WASM),
        ("oras", "application/vnd.oci.empty.v1+json", WASM),
        ("legacy", "application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
        ("image", "application/vnd.oci.image.config.v1+json", WASM),
    ];
    for (name, config_type, kind) in forms {
        let digest = registry.push(&format!("acme/{name}:v1"), &Artifact { config_type, layers: layer(kind) }).await;
        for pin in [":v1".to_owned(), format!("@{digest}"), format!(":v9@{digest}")] {
            let artifact = format!("acme/{name}{pin}");
            let host = setup(cache.path(), &registry.module("a", &artifact, GRANTS)).start().await;
            assert_eq!(asked(&host, "/a").await.1, "00000001", "{artifact}");
            let shown = modules(&host).await["modules"][0].clone();
            assert_eq!((&shown["source"], &shown["manifest"]), (&json!(registry.source(&artifact)), &json!(digest)));
        }
    }
    // What is not one component is refused, and says what it is.
    let two = [layer(WASM), layer(WASM)].concat();
    let others = [
        (Artifact { config_type: forms[0].1, layers: two }, "it has 2 layers"),
        (Artifact { config_type: forms[0].1, layers: layer("application/vnd.oci.image.layer.v1.tar") }, "v1.tar"),
        (Artifact::component(b"#!/bin/sh\n"), "it is not WebAssembly at all"),
    ];
    for (artifact, sentence) in others {
        registry.push("acme/other:v1", &artifact).await;
        let (code, said) = run(&["check"], &registry.source("acme/other:v1"), cache.path(), &[]).await;
        assert!(code == 78 && said.contains(sentence), "{code} {said}");
    }
    for missing in ["acme/wkg:v2", "nobody:v1"] {
        let (code, said) = run(&["serve"], &registry.source(missing), cache.path(), &[]).await;
        assert!(code == 78 && said.contains("its registry has no such tag; correct the name"), "{code} {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_show_what_a_tag_is() {
    let Some(registry) = registry(Doors::Open).await else { return };
    let cache = cache();
    let artifact = Artifact::component(&std::fs::read(guest("hello")).expect("built"));
    let digest = registry.push("acme/hello:v1", &artifact).await;
    let source = registry.source("acme/hello:v1");
    let (code, said) = run(&["inspect", &source], &source, cache.path(), &[]).await;
    assert!(code == 0 && said.contains(&format!("{source}\nmanifest {digest}\nsha256 ")), "{code} {said}");
    assert!(said.contains("wasi:http/incoming-handler"), "{said}");
    let (code, said) = run(&["check"], &source, cache.path(), &[]).await;
    // The module is named after the repository.
    assert!(code == 0 && said.contains(&format!("hello: {source} is {digest}\ncan be served: hello")), "{code} {said}");
    let (code, said) = run(&["inspect", "https://example.com/a.wasm"], &source, cache.path(), &[]).await;
    assert!(code == 1 && said.contains("do not come by `https://`; download it"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tool_of_an_artifact_is_called_from_a_shell() {
    let Some(registry) = registry(Doors::Open).await else { return };
    let cache = cache();
    let dates = Artifact::component(&std::fs::read(guest("dates")).expect("built"));
    registry.push("acme/dates:v1", &dates).await;
    let source = registry.source("acme/dates:v1");
    let day = r#"{"when":"next friday","relative_to":"2026-11-18"}"#;
    let (code, said) = run(&["call", &source, "resolve_date", day], &source, cache.path(), &[]).await;
    assert!(code == 0 && said.contains(r#""date":"2026-11-27""#), "{code} {said}");
    let (code, said) = run(&["call", "oci://localhost", "resolve_date"], &source, cache.path(), &[]).await;
    assert!(code == 1 && said.contains("there is no name in it; write it as oci://registry/name"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_what_it_was_until_somebody_asks_again() {
    let Some(registry) = registry(Doors::Open).await else { return };
    let cache = cache();
    registry.push("edition:v1", &artifact(1)).await;
    let host = setup(cache.path(), &registry.module("a", "edition:v1", GRANTS)).start().await;
    let second = registry.push("edition:v1", &artifact(2)).await;
    // Longer than files are left unwatched.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));
    assert_eq!(swapped(&host, "/modules/a").await, json!({"generation": 2, "changed": ["a"]}));
    assert_eq!(asked(&host, "/a").await, (2, "00000002".to_owned()));
    assert_eq!(modules(&host).await["modules"][0]["manifest"], json!(second));
    registry.push("edition:v1", &artifact(3)).await;
    assert_eq!(swapped(&host, "/modules").await, json!({"generation": 3, "changed": ["a"]}));
    assert_eq!(asked(&host, "/a").await, (3, "00000003".to_owned()));
    assert_eq!(swapped(&host, "/modules/a/rollback").await["generation"], 4);
    assert_eq!(asked(&host, "/a").await, (4, "00000002".to_owned()));
    // The same component in another artifact is the same module, by another name.
    let mut renamed = artifact(2);
    renamed.layers[0].2 = [("org.opencontainers.image.title".to_owned(), "edition.wasm".to_owned())].into();
    let renamed = registry.push("edition:v1", &renamed).await;
    assert_eq!(swapped(&host, "/modules/a").await, json!({"generation": 4, "changed": []}));
    assert_eq!(modules(&host).await["modules"][0]["manifest"], json!(renamed));
    // What cannot be served never takes its place.
    registry.push("edition:v1", &Artifact::component(b"nothing")).await;
    let (status, told) = change(&host, "/modules/a").await;
    assert!(status == 422 && told["detail"].as_str().expect("a reason").contains("not WebAssembly"), "{told}");
    assert_eq!(asked(&host, "/a").await, (4, "00000002".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_comes_from_the_environment_a_file_or_docker() {
    let Some(registry) = registry(Doors::Password).await else { return };
    let (cache, dir) = (cache(), tempfile::tempdir().expect("a directory"));
    registry.push("edition:v1", &artifact(1)).await;
    let source = registry.source("edition:v1");
    let file = dir.path().join("password");
    std::fs::write(&file, format!("{}\n", USER.1)).expect("written");
    let (file, folder) = (file.display().to_string(), dir.path().display().to_string());
    let docker = |config: serde_json::Value| {
        std::fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
        [("DOCKER_CONFIG", folder.as_str())]
    };
    let name = registry.address.to_string();
    let auth = "YWRhOmNvcnJlY3QgaG9yc2U="; // ada:correct horse
    let good: [&[(&str, &str)]; 2] = [
        &[("INNKEEPER_REGISTRY_USERNAME", USER.0), ("INNKEEPER_REGISTRY_PASSWORD", USER.1)],
        &[("INNKEEPER_REGISTRY_USERNAME", USER.0), ("INNKEEPER_REGISTRY_PASSWORD_FILE", &file)],
    ];
    for vars in good {
        let (code, said) = run(&["inspect", &source], "none.wasm", cache.path(), vars).await;
        assert!(code == 0, "{said}");
    }
    let vars = docker(json!({ "auths": { &name: { "auth": auth } } }));
    let (code, said) = run(&["inspect", &source], "none.wasm", cache.path(), &vars).await;
    assert!(code == 0, "{said}");

    let refused = async |vars: &[(&str, &str)], sentence: &str| {
        let (code, said) = run(&["check"], &source, cache.path(), vars).await;
        assert!(code == 78 && said.contains(sentence), "no `{sentence}` in {code} {said}");
        assert!(!said.contains("correct horse") && !said.contains("canary-7") && !said.contains(auth), "{said}");
    };
    refused(&[], "refuses who says no name (401); set INNKEEPER_REGISTRY_USERNAME").await;
    let wrong = [("INNKEEPER_REGISTRY_USERNAME", "ada"), ("INNKEEPER_REGISTRY_PASSWORD", "canary-7")];
    refused(&wrong, "refuses the user `ada` (401); correct the password").await;
    refused(&docker(json!({ "auths": { "other.example:1": { "auth": auth } } })), "who says no name").await;
    refused(&docker(json!({ "auths": { &name: {} }, "credsStore": "pass" })), "this host runs none").await;
    refused(&docker(json!({ "auths": [auth] })), "config.json is not what Docker writes").await;
}

async fn refused(host: &TestHost, path: &str, status: u16, sentence: &str) {
    let (answered, told) = change(host, path).await;
    let why = told["detail"].as_str().expect("a reason");
    assert!(answered == status && why.contains(sentence), "no `{sentence}` in {answered} {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_may_speak_tls_with_an_authority_of_its_own() {
    let Some(registry) = registry(Doors::Tls).await else { return };
    let cache = cache();
    let digest = registry.push("edition:v1", &artifact(1)).await;
    let source = registry.source("edition:v1");
    let (code, said) = run(&["check"], &source, cache.path(), &[]).await;
    assert!(code == 69 && said.contains("certificate"), "{code} {said}");

    let toml = format!(
        "[registry]\nca = \"{}\"\n{}",
        registry.ca().display(),
        registry.module("edition", "edition:v1", GRANTS)
    );
    let host = setup(cache.path(), &toml).start().await;
    assert_eq!(asked(&host, "/edition").await.1, "00000001");
    assert_eq!(modules(&host).await["modules"][0]["manifest"], *digest);
}
