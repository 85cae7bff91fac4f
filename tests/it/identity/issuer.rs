//! An issuer with a key of every kind, and the means to sign what no library
//! would: any head, any claims, by any key.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as B64};
use ed25519_dalek::Signer as _;
use hmac::{Hmac, Mac};
use p256::ecdsa::Signature;
use rand::SeedableRng;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::EncodePublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::SECRET;

/// Which key signs.
#[derive(Clone, Copy)]
pub enum By<'a> {
    Secret(&'a [u8]),
    Ed,
    Ec,
    Rsa,
    /// An Ed25519 key that is published nowhere.
    Stranger,
}

pub const OURS: By<'static> = By::Secret(SECRET.as_bytes());

pub fn ed() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

pub fn stranger() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[13; 32])
}

pub fn ec() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[9; 32]).expect("a scalar")
}

/// Made once: that takes a second.
pub fn rsa_key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| RsaPrivateKey::new(&mut rand::rngs::StdRng::seed_from_u64(1), 2048).expect("a key"))
}

pub fn ed_jwk(key: &ed25519_dalek::SigningKey, kid: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": B64.encode(key.verifying_key().as_bytes())})
}

pub fn ec_jwk() -> Value {
    let point = ec().verifying_key().to_encoded_point(false);
    let (x, y) = (B64.encode(point.x().expect("a point")), B64.encode(point.y().expect("a point")));
    json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "ec", "x": x, "y": y})
}

pub fn rsa_jwk() -> Value {
    let (n, e) = (B64.encode(rsa_key().n().to_bytes_be()), B64.encode(rsa_key().e().to_bytes_be()));
    json!({"kty": "RSA", "alg": "RS256", "kid": "rsa", "n": n, "e": e})
}

pub fn jwks() -> Value {
    json!({"keys": [ed_jwk(&ed(), "ed"), ec_jwk(), rsa_jwk()]})
}

/// Everything that could be taken for the bytes of a public key.
pub fn public_forms() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let ed_raw = ed().verifying_key().to_bytes().to_vec();
    let ed_der = [&hex("302a300506032b6570032100")[..], &ed_raw].concat();
    let point = ec().verifying_key().to_encoded_point(false).as_bytes().to_vec();
    let ec_der = [&hex("3059301306072a8648ce3d020106082a8648ce3d030107034200")[..], &point].concat();
    let rsa = rsa_key().to_public_key();
    let rsa_pkcs1 = rsa.to_pkcs1_der().expect("DER").as_bytes().to_vec();
    let rsa_spki = rsa.to_public_key_der().expect("DER").as_bytes().to_vec();
    let text = |value: Value| value.to_string().into_bytes();
    let base64 = |bytes: &[u8]| B64.encode(bytes).into_bytes();
    vec![
        ("ed", "raw", ed_raw.clone()),
        ("ed", "base64url", base64(&ed_raw)),
        ("ed", "DER", ed_der.clone()),
        ("ed", "PEM", pem("PUBLIC KEY", &ed_der)),
        ("ed", "JWK", text(ed_jwk(&ed(), "ed"))),
        ("ed", "JWKS", text(jwks())),
        ("ec", "point", point.clone()),
        ("ec", "DER", ec_der.clone()),
        ("ec", "PEM", pem("PUBLIC KEY", &ec_der)),
        ("ec", "JWK", text(ec_jwk())),
        ("rsa", "modulus", rsa.n().to_bytes_be()),
        ("rsa", "PKCS#1 DER", rsa_pkcs1.clone()),
        ("rsa", "PKCS#1 PEM", pem("RSA PUBLIC KEY", &rsa_pkcs1)),
        ("rsa", "SPKI DER", rsa_spki.clone()),
        ("rsa", "SPKI PEM", pem("PUBLIC KEY", &rsa_spki)),
        ("rsa", "SPKI PEM without its last line break", pem("PUBLIC KEY", &rsa_spki).trim_ascii_end().to_vec()),
        ("rsa", "JWK", text(rsa_jwk())),
    ]
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

pub fn signature(by: By<'_>, message: &[u8]) -> Vec<u8> {
    match by {
        By::Secret(secret) => hmac(secret, message),
        By::Ed => ed().sign(message).to_bytes().to_vec(),
        By::Stranger => stranger().sign(message).to_bytes().to_vec(),
        By::Ec => {
            let signature: Signature = p256::ecdsa::signature::Signer::sign(&ec(), message);
            signature.to_bytes().to_vec()
        }
        By::Rsa => rsa_key().sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)).expect("signed"),
    }
}

pub fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any key length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// A token with exactly this head and these claims.
pub fn jws(head: &str, claims: impl AsRef<[u8]>, by: By<'_>) -> String {
    let message = format!("{}.{}", B64.encode(head), B64.encode(claims));
    let signature = B64.encode(signature(by, message.as_bytes()));
    format!("{message}.{signature}")
}

/// A token with an honest head.
pub fn honest(claims: &Value, by: By<'_>) -> String {
    let (alg, kid) = match by {
        By::Secret(_) => return jws(r#"{"alg":"HS256"}"#, claims.to_string(), by),
        By::Ed | By::Stranger => ("EdDSA", "ed"),
        By::Ec => ("ES256", "ec"),
        By::Rsa => ("RS256", "rsa"),
    };
    jws(&json!({"alg": alg, "kid": kid}).to_string(), claims.to_string(), by)
}

/// Better Auth's signed form of a session token.
pub fn signed_session(token: &str, secret: &[u8]) -> String {
    format!("{token}.{}", STANDARD.encode(hmac(secret, token.as_bytes())))
}

/// The same as a cookie's value.
pub fn cookie_value(signed: &str) -> String {
    signed.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

pub fn seconds(from_now: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("small") + from_now
}
