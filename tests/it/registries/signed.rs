//! Modules that somebody has to vouch for.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::EncodePublicKey as _;

use super::{GRANTS, artifact, cache, refused, registry, run, setup};
use crate::harness::{Artifact, Doors, Setup, Signing, payload};
use crate::swap::editions::{Shelf, asked, change, edition, modules, swapped};

/// A module's table with the key of this file.
fn needs(key: &Path) -> String {
    format!("{GRANTS}\nsignature = {{ keys = [\"{}\"] }}", key.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_in_a_registry_is_served_and_nothing_else() {
    let Some(mut registry) = registry(Doors::Open).await else { return };
    let (cache, signer, stranger) = (cache(), Signing::new(), Signing::new());
    let key = cache.path().join("key.pem");
    signer.publish(&key);
    let toml = registry.module("a", "edition:v1", &needs(&key));
    registry.push_signed("edition", "v1", &artifact(1), &signer).await;
    let host = setup(cache.path(), &toml).start().await;
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));

    // Not signed; signed by somebody else; signed for another; another text.
    let second = registry.push("edition:v1", &artifact(2)).await;
    refused(&host, "/modules/a", 422, "there is none (the registry has no such tag)").await;
    let by_stranger = stranger.sign(payload(&second).as_bytes());
    registry.push_signature("edition", &second, &payload(&second), &by_stranger).await;
    refused(&host, "/modules/a", 422, "by a key that is none of").await;
    let other = payload(&artifact(1).digest());
    registry.push_signature("edition", &second, &other, &signer.sign(other.as_bytes())).await;
    refused(&host, "/modules/a", 422, "it is of other bytes").await;
    registry.push_signature("edition", &second, &payload(&second), &signer.sign(other.as_bytes())).await;
    refused(&host, "/modules/a", 422, "it is of other bytes").await;
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));
    assert!(modules(&host).await["modules"][0]["refused"]["why"].as_str().expect("a reason").contains("signature"));
    // As it should be.
    registry.push_signature("edition", &second, &payload(&second), &signer.sign(payload(&second).as_bytes())).await;
    swapped(&host, "/modules/a").await;
    assert_eq!(asked(&host, "/a").await, (2, "00000002".to_owned()));

    // The signature was kept, too: and held against the keys of the moment.
    registry.down().await;
    let pinned = registry.module("a", &format!("edition@{second}"), &needs(&key));
    let host = setup(cache.path(), &pinned).start().await;
    assert_eq!(asked(&host, "/a").await.1, "00000002");
    stranger.publish(&key);
    let source = registry.source(&format!("edition@{second}"));
    let vars = [("INNKEEPER_SIGNATURE_KEYS", key.to_str().expect("text"))];
    let (code, said) = run(&["check"], &source, cache.path(), &vars).await;
    assert!(code == 69 && said.contains("its registry does not answer"), "{code} {said}");
    registry.resume().await;
    let (code, said) = run(&["check"], &source, cache.path(), &vars).await;
    assert!(code == 78 && said.contains("by a key that is none of"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_nobody_signed_is_not_even_pulled() {
    let Some(registry) = registry(Doors::Open).await else { return };
    let cache = cache();
    let key = cache.path().join("key.pem");
    Signing::new().publish(&key);
    registry.push("edition:v1", &artifact(1)).await;
    let vars = [("INNKEEPER_SIGNATURE_KEYS", key.to_str().expect("text"))];
    let (code, said) = run(&["serve"], &registry.source("edition:v1"), cache.path(), &vars).await;
    assert!(code == 78 && said.contains("sign the module"), "{code} {said}");
    let kept = std::fs::read_dir(cache.path().join("modules")).expect("it is there");
    let sizes: Vec<u64> = kept.map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len()).collect();
    assert!(sizes.len() == 1 && sizes[0] < 2_000, "the manifest alone: {sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_signed_by_the_file_beside_it() {
    let (shelf, signer) = (Shelf::new(), Signing::new());
    let (key, second_key) = (shelf.folder().join("key.pem"), shelf.folder().join("second.pem"));
    signer.publish(&key);
    let ed25519 = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let pem = ed25519.verifying_key().to_public_key_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF);
    std::fs::write(&second_key, pem.expect("a key")).expect("written");
    let sig = shelf.folder().join("a.wasm.sig");
    let sign = |signature: Vec<u8>| {
        std::fs::write(shelf.folder().join("next.sig"), signature).expect("written");
        std::fs::rename(shelf.folder().join("next.sig"), &sig).expect("moved");
    };
    let (first, second, third) = (edition(1, "plain"), edition(2, "plain"), edition(3, "plain"));
    shelf.put("a", &first);
    sign(signer.sign(&first));
    let keys = format!("signature = {{ keys = [\"{}\", \"{}\"] }}", key.display(), second_key.display());
    let toml = ["[swap]\ngeneration_header = true\n", &shelf.module("a", &format!("{GRANTS}\n{keys}"))].concat();
    let host = Setup::modules(&toml).env("INNKEEPER_WATCH", "0").start().await;
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));

    shelf.put("a", &second);
    let bad = [
        ("it is of other bytes", Some(signer.sign(&first))),
        ("it is of other bytes", Some(Signing::new().sign(&second))),
        ("it is of other bytes", Some(Vec::new())),
        ("too large", Some(vec![b'A'; 4_000])),
        ("there is none", None),
    ];
    for (sentence, signature) in bad {
        match signature {
            Some(signature) => sign(signature),
            None => std::fs::remove_file(&sig).expect("removed"),
        }
        let (status, told) = change(&host, "/modules/a").await;
        assert!(status == 422 && told["detail"].as_str().expect("a reason").contains(sentence), "{status} {told}");
        assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()), "{sentence}");
    }
    // In base64 with a line end, as cosign writes it; and by the other key, as it is.
    sign(format!("{}\n", STANDARD.encode(signer.sign(&second))).into_bytes());
    swapped(&host, "/modules/a").await;
    shelf.put("a", &third);
    sign(ed25519.sign(&third).to_vec());
    swapped(&host, "/modules/a").await;
    assert_eq!(asked(&host, "/a").await, (3, "00000003".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_comes_after_its_file_is_noticed() {
    let (shelf, signer) = (Shelf::new(), Signing::new());
    let key = shelf.folder().join("key.pem");
    signer.publish(&key);
    let (first, second) = (edition(1, "plain"), edition(2, "plain"));
    let sig = shelf.folder().join("a.wasm.sig");
    shelf.put("a", &first);
    std::fs::write(&sig, signer.sign(&first)).expect("written");
    let toml = ["[swap]\ngeneration_header = true\n", &shelf.module("a", &needs(&key))].concat();
    let host = Setup::modules(&toml).start().await;
    let until = async |what: &str, is_so: &dyn Fn(&serde_json::Value) -> bool| {
        let since = Instant::now();
        while !is_so(&modules(&host).await) {
            assert!(since.elapsed() < Duration::from_secs(20), "not {what}: {}", modules(&host).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    shelf.put("a", &second);
    until("refused", &|shown| shown["modules"][0]["refused"]["cause"] == "file").await;
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));
    std::fs::write(&sig, signer.sign(&second)).expect("written");
    until("swapped", &|shown| shown["generation"] == 2).await;
    assert_eq!(asked(&host, "/a").await, (2, "00000002".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_of_an_artifact_or_of_its_signature_is_refused() {
    let Some(registry) = registry(Doors::Open).await else { return };
    let (cache, signer) = (cache(), Signing::new());
    let key = cache.path().join("key.pem");
    signer.publish(&key);
    let (good, wasm) = (artifact(1).digest(), edition(1, "plain"));
    let toml = registry.module("a", "edition:v1", &needs(&key));
    registry.push_signed("edition", "v1", &artifact(1), &signer).await;
    let host = setup(cache.path(), &toml).start().await;
    // The signature of the good one, for a component with one other bit.
    for bit in [0, wasm.len() * 4, wasm.len() * 8 - 1] {
        let mut bad = wasm.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let digest = registry.push("edition:v1", &Artifact::component(&bad)).await;
        let text = payload(&good);
        registry.push_signature("edition", &digest, &text, &signer.sign(text.as_bytes())).await;
        refused(&host, "/modules/a", 422, "it is of other bytes").await;
        let mut signature = signer.sign(payload(&digest).as_bytes());
        let last = signature.len() - 1;
        signature[last] ^= 1;
        registry.push_signature("edition", &digest, &payload(&digest), &signature).await;
        refused(&host, "/modules/a", 422, "it is of other bytes").await;
    }
    assert_eq!(asked(&host, "/a").await, (1, "00000001".to_owned()));
}
