//! A JSON Web Token before it is believed: its shape, its head, and what it may
//! be verified by (RFC 7515, 7519, 8725).
//!
//! The library verifies signatures and the registered claims. What it would let
//! pass, or would find out too late, is refused here, before a key is looked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::Rejected;
use super::claims::Claims;

/// Clocks of issuer and host may differ by so much.
const LEEWAY_SECONDS: u64 = 30;
/// A token is a few hundred bytes. Longer ones are refused unread.
const TOKEN_BYTES: usize = 8 << 10;
/// The name of a key is a UUID or a digest.
const KID_BYTES: usize = 128;
/// Better Auth's session cache, signed with a public key, names its type and
/// its audience (Better Auth 1.7, `cookies/jwt`).
const SESSION_CACHE_TYPE: &str = "better-auth.session-cache+jwt";
const SESSION_CACHE_AUDIENCE: &str = "better-auth:session-cache";

/// What a token says it was signed with. Each has a verifier of its own type,
/// so that no token can have itself checked with the wrong kind of key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// The shared secret.
    Secret,
    /// The public key of this name.
    Key { algorithm: Algorithm, kid: String },
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To sign in with, here.
    Access,
    /// Better Auth's cache of a session.
    SessionCache,
}

/// A token of the right shape.
pub(super) struct Unverified<'a> {
    text: &'a str,
    pub(super) signer: Signer,
    pub(super) purpose: Purpose,
}

/// The head of a token. Where a key is to be found is configured, so `jku`,
/// `x5u`, `jwk` and `x5c` are not even read.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood, and none is. With it `b64` and `zip`.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
}

/// Whether a field is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'a> Unverified<'a> {
    /// Everything that can be said without a key.
    pub(super) fn read(text: &'a str) -> Result<Self, Rejected> {
        if text.len() > TOKEN_BYTES {
            return Err(Rejected::Invalid);
        }
        let mut parts = text.split('.');
        let (Some(head), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Rejected::Invalid);
        };
        let (head, claims, signature) = (decode(head)?, decode(claims)?, decode(signature)?);
        let head: Head = serde_json::from_slice(&head).map_err(|_| Rejected::Invalid)?;
        let (signer, purpose) = head.judge()?;
        if !signer.fits(signature.len()) {
            return Err(Rejected::Invalid);
        }
        if signer != Signer::Secret {
            // Read once before, so that a token which can only fail asks for no key.
            serde_json::from_slice::<Claims>(&claims).map_err(|_| Rejected::Invalid)?;
        }
        Ok(Self { text, signer, purpose })
    }

    /// The claims, once the signature and the registered claims are good.
    pub(super) fn verify(&self, key: &DecodingKey, validation: &Validation) -> Result<Claims, Rejected> {
        jsonwebtoken::decode(self.text, key, validation).map(|data| data.claims).map_err(rejected)
    }
}

/// Without padding, in the URL's alphabet, and with no bit left over: one token
/// has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Rejected> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejected::Invalid)
}

impl Head {
    fn judge(self) -> Result<(Signer, Purpose), Rejected> {
        let Self { alg, kid, typ, crit, b64, zip, enc } = self;
        if crit || b64 || zip || enc {
            return Err(Rejected::Invalid);
        }
        let signer = match alg.as_str() {
            "HS256" => Signer::Secret,
            "EdDSA" => Signer::key(Algorithm::EdDSA, kid)?,
            "ES256" => Signer::key(Algorithm::ES256, kid)?,
            "RS256" => Signer::key(Algorithm::RS256, kid)?,
            _ => return Err(Rejected::Invalid),
        };
        let purpose = match (typ.as_deref(), &signer) {
            (None, _) => Purpose::Access,
            // A media type ignores case (RFC 7515 section 4.1.9).
            (Some(typ), _) if ["jwt", "at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known)) => Purpose::Access,
            (Some(SESSION_CACHE_TYPE), Signer::Key { .. }) => Purpose::SessionCache,
            // A token made for something else.
            (Some(_), _) => return Err(Rejected::Invalid),
        };
        Ok((signer, purpose))
    }
}

impl Signer {
    fn key(algorithm: Algorithm, kid: Option<String>) -> Result<Self, Rejected> {
        // It is compared with names that are known, and used for nothing else.
        let kid = kid.filter(|kid| (1..=KID_BYTES).contains(&kid.len())).ok_or(Rejected::Invalid)?;
        Ok(Self::Key { algorithm, kid })
    }

    fn fits(&self, signature: usize) -> bool {
        match self {
            Self::Secret => signature == 32,
            // RSA keys have 2048 to 4096 bits.
            Self::Key { algorithm: Algorithm::RS256, .. } => (256..=512).contains(&signature),
            Self::Key { .. } => signature == 64,
        }
    }
}

/// What is asked of every token, as the configuration says.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) issuers: Vec<String>,
    pub(super) audience: Option<String>,
}

impl Rules {
    /// The same for one algorithm: there is nothing to confuse it with.
    pub(super) fn validation(&self, algorithm: Algorithm, purpose: Purpose) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp"]);
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        let audience = match purpose {
            Purpose::Access => self.audience.as_deref(),
            Purpose::SessionCache => Some(SESSION_CACHE_AUDIENCE),
        };
        validation.validate_aud = audience.is_some();
        if let Some(audience) = audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        validation
    }
}

fn rejected(error: jsonwebtoken::errors::Error) -> Rejected {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => Rejected::Expired,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => Rejected::Audience,
        // Everything else is a token that no issuer of ours made.
        _ => Rejected::Invalid,
    }
}
