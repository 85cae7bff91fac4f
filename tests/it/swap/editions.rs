//! Editions of one guest, and a file that one takes the place of another in.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{Setup, TestHost, guest};

/// The guest `edition` with this number and in this mode; see there.
pub fn edition(number: u32, mode: &str) -> Vec<u8> {
    let mut wasm = std::fs::read(guest("edition")).expect("built");
    write(&mut wasm, b"EDITION:00000000", format!("EDITION:{number:08}").as_bytes());
    write(&mut wasm, b"MODE....:plain..", format!("MODE....:{mode:.<7}").as_bytes());
    wasm
}

fn write(wasm: &mut [u8], mark: &[u8; 16], with: &[u8]) {
    let at: Vec<usize> = (0..wasm.len() - 16).filter(|at| wasm[*at..*at + 16] == *mark).collect();
    assert_eq!((at.len(), with.len()), (1, 16), "the mark is there once, and is as long as before");
    wasm[at[0]..at[0] + 16].copy_from_slice(with);
}

/// The same component under another digest: it says something more in a section that
/// means nothing.
pub fn another(mut wasm: Vec<u8>, number: u8) -> Vec<u8> {
    wasm.extend([0, 5, 3, b'e', b'd', b'n', number]);
    wasm
}

/// Where modules are, for a test that swaps them.
pub struct Shelf(tempfile::TempDir);

impl Shelf {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.wasm"))
    }

    /// As `mv` does: nobody meets half a file.
    pub fn put(&self, name: &str, wasm: &[u8]) {
        let whole = self.0.path().join("next");
        std::fs::write(&whole, wasm).expect("written");
        std::fs::rename(whole, self.path(name)).expect("moved");
    }

    /// A module of the configuration file, at `/name`.
    pub fn module(&self, name: &str, rest: &str) -> String {
        let source = self.path(name).display().to_string();
        format!("[[module]]\nname = \"{name}\"\nsource = \"{source}\"\nroute = \"/{name}\"\n{rest}\n")
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }
}

/// Two modules, of which `a` calls tools of `b`.
pub fn file(shelf: &Shelf) -> String {
    [
        "[swap]\ngeneration_header = true\n",
        &shelf.module("a", "grants = { toolbox = [\"b\"] }"),
        &shelf.module("b", "grants = { toolbox = [] }"),
    ]
    .concat()
}

/// A host that serves edition 1 of `a` and `b`, and looks at no files by itself.
pub async fn host(shelf: &Shelf) -> TestHost {
    setup(shelf).env("INNKEEPER_WATCH", "0").start().await
}

pub fn setup(shelf: &Shelf) -> Setup {
    shelf.put("a", &edition(1, "plain"));
    shelf.put("b", &edition(1, "plain"));
    Setup::modules(&file(shelf))
}

/// What the operator's port says to a change.
pub async fn change(host: &TestHost, path: &str) -> (StatusCode, Value) {
    let answer = host.client.post(format!("http://{}{path}", host.admin)).send().await.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

pub async fn swapped(host: &TestHost, path: &str) -> Value {
    let (status, done) = change(host, path).await;
    assert_eq!(status, 200, "{done}");
    done
}

/// What the operator's port says of the modules.
pub async fn modules(host: &TestHost) -> Value {
    let answer = host.client.get(format!("http://{}/modules", host.admin)).send().await.expect("an answer");
    answer.json().await.expect("JSON")
}

/// Waits until of all that was replaced one version is left, which is what the module
/// at `place` can be taken back to.
pub async fn until_one_is_kept(host: &TestHost, place: usize, within: Duration) {
    let until = Instant::now() + within;
    loop {
        let shown = modules(host).await;
        if shown["retired"].as_array().expect("a list").len() == 1 {
            assert_eq!(shown["retired"][0]["sha256"], shown["modules"][place]["previous"]);
            return;
        }
        assert!(Instant::now() < until, "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Generation and text of an answer.
pub async fn asked(host: &TestHost, path: &str) -> (u64, String) {
    let answer = host.get(path).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{path}");
    let generation = answer.headers()["x-innkeeper-generation"].to_str().expect("a number").parse().expect("a number");
    (generation, answer.text().await.expect("a text"))
}
