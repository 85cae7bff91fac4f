//! Who vouches for a component: detached signatures, by keys that the operator names.
//!
//! A file is signed as it is. An artifact of a registry is signed by the digest of its
//! manifest, in the words that cosign uses for images.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::{Deserialize, Serialize};

use crate::config::PublicKey;
use crate::config::signature::Algorithm;

/// Bytes of a signature, however it is written. Ed25519 has 64, and P-256 up to 72.
const SIGNATURE_BYTES: u64 = 1 << 10;
/// What cosign says that it signs.
const KIND: &str = "cosign container image signature";

/// Why nobody vouches for it.
#[derive(Debug, thiserror::Error)]
pub enum Unsigned {
    /// There is no signature.
    #[error("there is none ({0}), and `signature` asks for one; sign the module")]
    Missing(String),
    /// There is something else in its place.
    #[error("it is not a signature: {0}")]
    Malformed(&'static str),
    /// By somebody else, or of something else.
    #[error("it is of other bytes, or by a key that is none of {0}; sign it again, or correct `signature`")]
    Wrong(String),
}

/// A signature of an artifact, and what was signed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Signed {
    /// The text that was signed.
    pub(super) payload: String,
    /// In base64.
    pub(super) signature: String,
}

/// The signature in a file: as it is, or in base64.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Unsigned> {
    let missing = |error: std::io::Error| Unsigned::Missing(error.to_string());
    if std::fs::metadata(file).map_err(missing)?.len() > SIGNATURE_BYTES {
        return Err(Unsigned::Malformed("the file is too large for one"));
    }
    let bytes = std::fs::read(file).map_err(missing)?;
    let text = std::str::from_utf8(&bytes).ok();
    Ok(text.and_then(|text| STANDARD.decode(text.trim()).ok()).unwrap_or(bytes))
}

/// Whether one of the keys has signed these bytes.
pub(super) fn verify(keys: &[PublicKey], message: &[u8], signature: &[u8]) -> Result<(), Unsigned> {
    let is_by = |key: &PublicKey| {
        let algorithm: &'static dyn VerificationAlgorithm = match key.algorithm {
            Algorithm::Ed25519 => &ED25519,
            Algorithm::P256 => &ECDSA_P256_SHA256_ASN1,
        };
        UnparsedPublicKey::new(algorithm, &key.bytes).verify(message, signature).is_ok()
    };
    if keys.iter().any(is_by) { Ok(()) } else { Err(Unsigned::Wrong(named(keys))) }
}

/// Whether one of these says, by one of the keys, that it is of this manifest.
pub(super) fn verify_any(keys: &[PublicKey], manifest: &str, all: &[Signed]) -> Result<(), Unsigned> {
    if all.iter().any(|signed| is_of(keys, manifest, signed)) { Ok(()) } else { Err(Unsigned::Wrong(named(keys))) }
}

fn is_of(keys: &[PublicKey], manifest: &str, Signed { payload, signature }: &Signed) -> bool {
    #[derive(Deserialize)]
    struct Payload {
        critical: Critical,
    }
    #[derive(Deserialize)]
    struct Critical {
        image: Image,
        r#type: String,
    }
    #[derive(Deserialize)]
    struct Image {
        #[serde(rename = "docker-manifest-digest")]
        digest: String,
    }
    let Ok(signature) = STANDARD.decode(signature.trim()) else { return false };
    // The key first: what somebody else wrote is not read.
    verify(keys, payload.as_bytes(), &signature).is_ok()
        && serde_json::from_str::<Payload>(payload)
            .is_ok_and(|Payload { critical }| critical.r#type == KIND && critical.image.digest == manifest)
}

fn named(keys: &[PublicKey]) -> String {
    keys.iter().map(|key| key.file.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

    fn key(algorithm: Algorithm, bytes: &[u8]) -> PublicKey {
        PublicKey { file: "key.pem".into(), algorithm, bytes: bytes.to_vec() }
    }

    fn ed25519() -> (Ed25519KeyPair, PublicKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let public = key(Algorithm::Ed25519, pair.public_key().as_ref());
        (pair, public)
    }

    #[test]
    fn signatures_of_both_kinds_count_and_of_other_bytes_do_not() {
        let (pair, public) = ed25519();
        let signature = pair.sign(b"wasm");
        verify(std::slice::from_ref(&public), b"wasm", signature.as_ref()).expect("signed");
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
        let other = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random);
        let other = other.expect("a key");
        let second = key(Algorithm::P256, other.public_key().as_ref());
        let by_other = other.sign(&random, b"wasm").expect("signed");
        verify(std::slice::from_ref(&second), b"wasm", by_other.as_ref()).expect("signed");
        verify(&[public.clone(), second.clone()], b"wasm", by_other.as_ref()).expect("one of two");

        for (keys, message, signature) in [
            (std::slice::from_ref(&public), &b"wasn"[..], signature.as_ref()),
            (std::slice::from_ref(&public), b"wasm", by_other.as_ref()),
            (&[second], b"wasm", signature.as_ref()),
            (std::slice::from_ref(&public), b"wasm", &[][..]),
            (&[], b"wasm", signature.as_ref()),
        ] {
            assert!(matches!(verify(keys, message, signature), Err(Unsigned::Wrong(_))));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_component_or_signature_is_noticed() {
        let (pair, public) = ed25519();
        let message: Vec<u8> = (0..=255).collect();
        let good = pair.sign(&message);
        let keys = [public];
        for bit in 0..message.len() * 8 {
            let mut bad = message.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&keys, &bad, good.as_ref()).is_err(), "bit {bit}");
        }
        for bit in 0..64 * 8 {
            let mut bad = good.as_ref().to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&keys, &message, &bad).is_err(), "bit {bit} of the signature");
        }
    }

    #[test]
    fn a_signed_text_counts_for_the_manifest_that_it_names_and_no_other() {
        let (pair, public) = ed25519();
        let keys = [public];
        let text = |kind: &str, digest: &str| {
            let image = serde_json::json!({ "docker-manifest-digest": digest });
            let identity = serde_json::json!({ "docker-reference": "example.com/todo" });
            let critical = serde_json::json!({ "identity": identity, "image": image, "type": kind });
            serde_json::json!({ "critical": critical, "optional": null }).to_string()
        };
        let sign = |payload: String| {
            let signature = STANDARD.encode(pair.sign(payload.as_bytes()).as_ref());
            Signed { payload, signature }
        };
        let good = sign(text(KIND, "sha256:a"));
        verify_any(&keys, "sha256:a", std::slice::from_ref(&good)).expect("signed");
        let tampered = Signed { payload: text(KIND, "sha256:b"), ..good.clone() };
        for (digest, signed) in [
            ("sha256:b", good.clone()),
            ("sha256:b", tampered),
            ("sha256:a", sign(text("something else", "sha256:a"))),
            ("sha256:a", sign("not JSON".to_owned())),
            ("sha256:a", Signed { signature: "not base64".to_owned(), ..good.clone() }),
        ] {
            assert!(verify_any(&keys, digest, std::slice::from_ref(&signed)).is_err(), "{digest} {signed:?}");
            verify_any(&keys, "sha256:a", &[signed, good.clone()]).expect("one of two");
        }
        assert!(verify_any(&keys, "sha256:a", &[]).is_err());
    }
}
