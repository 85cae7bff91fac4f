//! What a manifest of a registry says, as far as it counts here.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::trouble::Trouble;
use crate::config::source::is_digest;
use crate::registry::source::COMPONENT_BYTES;

/// Bytes of a manifest. One of a component has a thousand.
pub(super) const MANIFEST_BYTES: u64 = 1 << 20;
/// What is asked for; an index is refused with better words than "not found".
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
/// A component, by today's and by yesterday's name.
const COMPONENT: [&str; 2] = ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"];
/// A text that cosign has signed.
const SIGNED: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Signatures of one artifact that are looked at: somebody may have added others.
const SIGNATURES: usize = 16;
/// Bytes of a text that was signed; one has 300.
const SIGNED_BYTES: u64 = 16 << 10;
/// Entries of an index that are told of.
const TOLD: usize = 4;

/// A part of an artifact.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layer {
    #[serde(default)]
    media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    layers: Option<Vec<Layer>>,
    /// Of an index.
    manifests: Option<Vec<Layer>>,
}

/// The only layer of an artifact, which is its component.
pub(super) fn component(manifest: &[u8]) -> Result<Layer, Trouble> {
    let layers = layers(manifest)?;
    let [layer] = &layers[..] else {
        let count = layers.len();
        return Err(Trouble::Artifact(format!("it has {count} layers, and a component is one")));
    };
    if !COMPONENT.contains(&&*layer.media_type) {
        let kind = told(&layer.media_type);
        return Err(Trouble::Artifact(format!("its layer is of the type `{kind}`, and not application/wasm")));
    }
    check(layer, "component", COMPONENT_BYTES)?;
    Ok(layer.clone())
}

/// The texts that were signed, each with its signature.
pub(super) fn signatures(manifest: &[u8]) -> Result<Vec<(Layer, String)>, Trouble> {
    let mut found = Vec::new();
    for mut layer in layers(manifest)?.into_iter().filter(|layer| layer.media_type == SIGNED).take(SIGNATURES) {
        check(&layer, "signature", SIGNED_BYTES)?;
        if let Some(signature) = layer.annotations.remove(SIGNATURE) {
            found.push((layer, signature));
        }
    }
    Ok(found)
}

fn layers(manifest: &[u8]) -> Result<Vec<Layer>, Trouble> {
    let read: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| Trouble::Artifact(format!("its manifest cannot be read: {error}")))?;
    if read.schema_version != 2 {
        return Err(Trouble::Artifact(format!("its manifest is of version {}, and not 2", read.schema_version)));
    }
    if let Some(manifests) = read.manifests {
        // Which one it is to be depends on nothing that this host knows.
        let digests = manifests.iter().take(TOLD).map(|entry| told(&entry.digest)).collect::<Vec<_>>().join(", ");
        return Err(Trouble::Artifact(format!("it is an index of several; name one by its digest: {digests}")));
    }
    read.layers.ok_or_else(|| Trouble::Artifact("its manifest has no layers".to_owned()))
}

fn check(layer: &Layer, what: &'static str, most: u64) -> Result<(), Trouble> {
    if !is_digest(&layer.digest) {
        return Err(Trouble::Artifact(format!(
            "the digest of its {what} is `{}`, and not a sha256",
            told(&layer.digest)
        )));
    }
    if layer.size > most { Err(Trouble::TooLarge { what, most }) } else { Ok(()) }
}

/// What somebody else wrote, for a message.
fn told(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn layer(kind: &str, size: u64) -> Value {
        json!({ "mediaType": kind, "digest": DIGEST, "size": size })
    }

    fn manifest(layers: &[Value]) -> Vec<u8> {
        let config = json!({ "mediaType": "application/vnd.wasm.config.v0+json", "digest": DIGEST, "size": 2 });
        json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string().into_bytes()
    }

    #[track_caller]
    fn refused(manifest: &[u8], part: &str) {
        let trouble = component(manifest).expect_err("refused").to_string();
        assert!(trouble.contains(part), "{trouble}");
    }

    #[test]
    fn a_component_is_the_only_layer_of_either_type() {
        for kind in COMPONENT {
            assert_eq!(component(&manifest(&[layer(kind, 7)])).expect("a layer").size, 7);
        }
    }

    #[test]
    fn what_is_no_component_is_refused_with_what_it_is() {
        let wasm = layer("application/wasm", 7);
        refused(&manifest(&[]), "it has 0 layers");
        refused(&manifest(&[wasm.clone(), wasm]), "it has 2 layers");
        refused(&manifest(&[layer("application/vnd.oci.image.layer.v1.tar+gzip", 7)]), "v1.tar+gzip");
        refused(&manifest(&[layer("application/wasm", (64 << 20) + 1)]), "larger than 64 MiB");
        let other = json!({ "mediaType": "application/wasm", "digest": "sha512:00", "size": 7 });
        refused(&manifest(&[other]), "not a sha256");
        refused(b"{}", "cannot be read");
        refused(br#"{"schemaVersion":1,"layers":[]}"#, "of version 1");
        refused(br#"{"schemaVersion":2}"#, "no layers");
        let index =
            json!({ "schemaVersion": 2, "manifests": [layer("application/vnd.oci.image.manifest.v1+json", 7)] });
        refused(index.to_string().as_bytes(), DIGEST);
    }
}
