//! HS256 tokens, by a shared secret: what the frontends of the replaced
//! backends send (RFC 7519; claims as Better Auth and FastAPI write them).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::Rejected;
use crate::call::Caller;

/// Clocks of issuer and host may differ by so much.
const LEEWAY: Duration = Duration::from_secs(30);
/// A token is a few hundred bytes. Longer ones are refused unread.
const TOKEN_BYTES: usize = 8 << 10;

pub(super) struct Hs256 {
    key: DecodingKey,
    validation: Validation,
}

impl Hs256 {
    /// The secret's bytes are used as they are, as Better Auth does; they are
    /// never base64-decoded.
    pub(super) fn new(secret: &[u8], issuer: Option<&str>, audience: Option<&str>) -> Self {
        // One algorithm and one kind of key: there is nothing to confuse.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp"]);
        validation.validate_aud = audience.is_some();
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        if let Some(audience) = audience {
            validation.set_audience(&[audience]);
            validation.required_spec_claims.insert("aud".to_owned());
        }
        Self { key: DecodingKey::from_secret(secret), validation }
    }

    pub(super) fn verify(&self, token: &str) -> Result<Caller, Rejected> {
        if token.len() > TOKEN_BYTES {
            return Err(Rejected::Invalid);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).map_err(rejected)?;
        decoded.claims.into_caller()
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

/// The claims that say who a user is, in the spellings that are in the field.
#[derive(Deserialize)]
struct Claims {
    exp: Number,
    sub: Option<Id>,
    user: Option<User>,
    session: Option<Session>,
    user_id: Option<Id>,
    id: Option<Id>,
    #[serde(rename = "userId")]
    user_id_camel: Option<Id>,
    name: Option<String>,
    email: Option<String>,
    iss: Option<String>,
    scope: Option<String>,
}

/// The cookie-cache form of Better Auth nests the user.
#[derive(Deserialize)]
struct User {
    id: Option<Id>,
    name: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
struct Session {
    #[serde(rename = "userId")]
    user_id: Option<Id>,
}

/// Some backends put a number where RFC 7519 wants a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

/// A NumericDate may have a fraction (RFC 7519 section 2).
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Fraction(f64),
}

impl Claims {
    fn into_caller(self) -> Result<Caller, Rejected> {
        let Self { exp, sub, user, session, user_id, id, user_id_camel, name, email, iss, scope } = self;
        let (nested_id, nested_name, nested_email) =
            user.map_or((None, None, None), |user| (user.id, user.name, user.email));
        let candidates = [sub, nested_id, session.and_then(|session| session.user_id), user_id, id, user_id_camel];
        let subject = candidates.into_iter().flatten().map(Id::into_text).find(|id| !id.is_empty());
        Ok(Caller {
            subject: subject.ok_or(Rejected::NoSubject)?,
            name: name.or(nested_name),
            email: email.or(nested_email),
            scopes: scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect()).unwrap_or_default(),
            issuer: iss,
            expires_at: exp.seconds(),
        })
    }
}

impl Id {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Number {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    fn seconds(&self) -> u64 {
        match self {
            Self::Whole(seconds) => *seconds,
            Self::Fraction(seconds) => *seconds as u64,
        }
    }
}

/// A token to be made, for development and for operators' scripts.
pub struct NewToken<'a> {
    /// `sub`
    pub subject: &'a str,
    /// `name`
    pub name: Option<&'a str>,
    /// `email`
    pub email: Option<&'a str>,
    /// `iss`
    pub issuer: Option<&'a str>,
    /// `aud`
    pub audience: Option<&'a str>,
    /// How long it is valid.
    pub lifetime: Duration,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    iat: u64,
    exp: u64,
}

/// Signs a token with the shared secret.
///
/// # Errors
/// When the claims cannot be encoded.
pub fn mint(secret: &[u8], token: &NewToken<'_>) -> Result<String, jsonwebtoken::errors::Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = NewClaims {
        sub: token.subject,
        name: token.name,
        email: token.email,
        iss: token.issuer,
        aud: token.audience,
        iat: now,
        exp: now + token.lifetime.as_secs(),
    };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret))
}
