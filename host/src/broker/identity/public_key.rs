//! A public key: from its JSON form (RFC 7517, 7518, 8037) to something that
//! verifies with one algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Rejected;
use super::claims::Names;
use super::jwt::{Rules, Unverified};
use crate::call::Caller;

/// Bits of an RSA modulus. Fewer can be factored; more only cost time.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// A key as it is published.
#[derive(Deserialize)]
pub(super) struct Jwk {
    pub(super) kid: Option<String>,
    alg: Option<String>,
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    /// The private part.
    d: Option<IgnoredAny>,
}

/// Why a published key is not used. The others beside it are.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it has no kid")]
    NoName,
    #[error("it is not for signatures")]
    Usage,
    #[error("it is no Ed25519, P-256 or RSA key for EdDSA, ES256 or RS256")]
    Kind,
    #[error("its numbers are not those of a sound key")]
    Numbers,
    #[error("its RSA modulus has {0} bits, and 2048 to 4096 are accepted")]
    RsaSize(usize),
    #[error("its private part is published with it")]
    Private,
}

/// Verifies with one key and its one algorithm.
pub(super) struct PublicKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl PublicKey {
    pub(super) fn new(jwk: &Jwk) -> Result<Self, Unusable> {
        if jwk.d.is_some() {
            return Err(Unusable::Private);
        }
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(Unusable::Usage);
        }
        let (algorithm, key) = match (jwk.kty.as_str(), jwk.crv.as_deref(), jwk.alg.as_deref()) {
            ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => (Algorithm::EdDSA, jwk.ed25519()?),
            ("EC", Some("P-256"), None | Some("ES256")) => (Algorithm::ES256, jwk.p256()?),
            ("RSA", None, None | Some("RS256")) => (Algorithm::RS256, jwk.rsa()?),
            _ => return Err(Unusable::Kind),
        };
        Ok(Self { algorithm, key })
    }

    /// # Errors
    /// Also when the token names another algorithm than this key's own.
    pub(super) fn verify(&self, token: &Unverified<'_>, named: Algorithm, rules: &Rules) -> Result<Caller, Rejected> {
        if named != self.algorithm {
            return Err(Rejected::Invalid);
        }
        let validation = rules.validation(self.algorithm, token.purpose);
        token.verify(&self.key, &validation)?.into_caller(Names::Subject)
    }
}

impl Jwk {
    /// In a table the name is the row's own, and so is the algorithm, if the
    /// version of Better Auth has that column.
    pub(super) fn of_row(self, id: String, alg: Option<String>) -> Self {
        Self { kid: Some(id), alg: alg.or(self.alg), ..self }
    }

    fn ed25519(&self) -> Result<DecodingKey, Unusable> {
        let x = <[u8; 32]>::try_from(number(self.x.as_ref())?).map_err(|_| Unusable::Numbers)?;
        let key = VerifyingKey::from_bytes(&x).map_err(|_| Unusable::Numbers)?;
        // With a key of small order one signature fits every message.
        if key.is_weak() { Err(Unusable::Numbers) } else { Ok(DecodingKey::from_ed_der(&x)) }
    }

    fn p256(&self) -> Result<DecodingKey, Unusable> {
        let (x, y) = (number(self.x.as_ref())?, number(self.y.as_ref())?);
        if (x.len(), y.len()) != (32, 32) {
            return Err(Unusable::Numbers);
        }
        let point = [&[4], &x[..], &y[..]].concat();
        // On the curve, and not at infinity.
        p256::PublicKey::from_sec1_bytes(&point).map_err(|_| Unusable::Numbers)?;
        Ok(DecodingKey::from_ec_der(&point))
    }

    fn rsa(&self) -> Result<DecodingKey, Unusable> {
        let (n, e) = (number(self.n.as_ref())?, number(self.e.as_ref())?);
        let significant = n.iter().skip_while(|byte| **byte == 0);
        let bits =
            significant.clone().next().map_or(0, |first| significant.count() * 8 - first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(Unusable::RsaSize(bits));
        }
        // 3 and 65537 are in use; with 1 every message is its own signature.
        let sound = matches!(e[..], [3] | [1, 0, 1]) && n.last().is_some_and(|last| last % 2 == 1);
        if sound { Ok(DecodingKey::from_rsa_raw_components(&n, &e)) } else { Err(Unusable::Numbers) }
    }
}

fn number(text: Option<&String>) -> Result<Vec<u8>, Unusable> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(Unusable::Numbers)
}
