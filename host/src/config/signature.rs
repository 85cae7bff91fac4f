//! Whose signature a module needs.

use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;
use p256::elliptic_curve::sec1::ToEncodedPoint;

/// Bytes of a file with a key; one has 200.
const FILE: u64 = 16 << 10;

/// Somebody who signs modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Where it was read from.
    pub file: PathBuf,
    /// What signatures by it are made with.
    pub algorithm: Algorithm,
    /// The key: 32 bytes, or an uncompressed point.
    pub bytes: Vec<u8>,
}

/// What signatures are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 of the message itself.
    Ed25519,
    /// ECDSA on P-256 of the message's SHA-256, in DER: what cosign makes.
    P256,
}

impl PublicKey {
    /// Reads a key from a PEM file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(file: &Path) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
        if std::fs::metadata(file).map_err(told)?.len() > FILE {
            return Err(format!("{} is too large for a key", file.display()));
        }
        let text = std::fs::read_to_string(file).map_err(told)?;
        let (algorithm, bytes) = decode(&text).map_err(|why| format!("{} {why}", file.display()))?;
        Ok(Self { file: file.to_owned(), algorithm, bytes })
    }
}

fn decode(text: &str) -> Result<(Algorithm, Vec<u8>), &'static str> {
    if text.contains("PRIVATE KEY-----") {
        return Err("holds a private key, which stays with who signs");
    }
    if let Ok(key) = VerifyingKey::from_public_key_pem(text) {
        // Anybody can make signatures that such a key verifies.
        let weak = key.is_weak();
        return if weak { Err("holds a weak key") } else { Ok((Algorithm::Ed25519, key.to_bytes().into())) };
    }
    match p256::PublicKey::from_public_key_pem(text) {
        Ok(key) => Ok((Algorithm::P256, key.to_encoded_point(false).as_bytes().to_vec())),
        Err(_) => Err("holds no public key of Ed25519 or P-256 in PEM"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAeYH3wlAAZFZmFaXQvOAO1mceNq+LzoePjktu76+7msM=\n-----END PUBLIC KEY-----\n";
    const P256: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEx/7yn+sPSFI5dC9BucBR2plHvAT1\n\
        UGBa+a3lOakLUubQ8Vt3i3GXp+ZuZQXLrxs3kvRz/JofU6IZjW0NAj91tQ==\n-----END PUBLIC KEY-----\n";

    #[test]
    fn keys_of_both_kinds_are_read_and_others_refused() {
        let (algorithm, bytes) = decode(ED25519).expect("a key");
        assert_eq!((algorithm, bytes.len()), (Algorithm::Ed25519, 32));
        let (algorithm, bytes) = decode(P256).expect("a key");
        assert_eq!((algorithm, bytes.len()), (Algorithm::P256, 65));
        let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(decode(private).expect_err("refused").contains("private key"));
        assert!(decode("hello").expect_err("refused").contains("no public key"));
        // The identity: a signature of zeros is one of everything.
        let weak = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
        assert!(decode(weak).expect_err("refused").contains("weak"));
    }
}
