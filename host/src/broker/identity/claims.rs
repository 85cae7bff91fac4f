//! From the claims of a verified token to a caller, in the spellings that are
//! in the field (RFC 7519; claims as Better Auth and FastAPI write them).

use std::sync::Arc;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Rejected;
use crate::call::Caller;

/// Bytes of a user's id (OpenID Connect Core section 2 allows as many).
const SUBJECT_BYTES: usize = 255;
/// The last second of the year 9999. What ends later was not meant to end.
const LAST_SECOND: u64 = 253_402_300_799;

/// Which claims may name the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// `sub` alone, as an issuer with keys of its own sets it.
    Subject,
    /// Whatever frontends and backends put there that share a secret.
    InTheField,
}

#[derive(Deserialize)]
pub(super) struct Claims {
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
    /// Only tokens of this host's own have it ([`super::hs256`]).
    innkeeper_session: Option<String>,
}

/// The session cache of Better Auth nests the user, and the session beside it.
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
    #[serde(rename = "expiresAt")]
    expires_at: Option<Moment>,
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

/// A date as JavaScript writes it: ISO 8601, or milliseconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(String),
    Millis(i64),
}

impl Claims {
    /// # Errors
    /// Nobody is named, or the session that is named has ended.
    pub(super) fn into_caller(self, names: Names) -> Result<Caller, Rejected> {
        let Self { exp, sub, user, session, user_id, id, user_id_camel, name, email, iss, scope, innkeeper_session } =
            self;
        let (nested_id, nested_name, nested_email) =
            user.map_or((None, None, None), |user| (user.id, user.name, user.email));
        let (session_user, session_end) = session.map_or((None, None), |session| (session.user_id, session.expires_at));
        let others = match names {
            Names::Subject => [None, None, None, None, None],
            Names::InTheField => [nested_id, session_user, user_id, id, user_id_camel],
        };
        let mut subjects = std::iter::once(sub).chain(others).flatten().map(Id::into_text);
        let subject = subjects.find(|id| !id.is_empty()).filter(|id| is_sane(id));
        Ok(Caller {
            subject: subject.ok_or(Rejected::NoSubject)?,
            name: name.or(nested_name),
            email: email.or(nested_email),
            scopes: scope.map(|scope| scope.split_whitespace().map(str::to_owned).collect()).unwrap_or_default(),
            issuer: iss,
            expires_at: ends_at(&exp, session_end)?,
            // Another issuer does not get to name a session of ours.
            session: innkeeper_session.filter(|_| names == Names::InTheField).map(Arc::from),
        })
    }
}

/// An id that a database and a log can hold as it is.
fn is_sane(id: &str) -> bool {
    id.len() <= SUBJECT_BYTES && !id.chars().any(char::is_control)
}

/// When the token ends, or the session in it does: the earlier of the two.
fn ends_at(exp: &Number, session: Option<Moment>) -> Result<u64, Rejected> {
    let exp = exp.seconds();
    if exp > LAST_SECOND {
        return Err(Rejected::Invalid);
    }
    let Some(session) = session else { return Ok(exp) };
    let session = session.seconds().ok_or(Rejected::Invalid)?;
    if session <= OffsetDateTime::now_utc().unix_timestamp() {
        return Err(Rejected::Expired);
    }
    Ok(u64::try_from(session).map_or(exp, |session| exp.min(session)))
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

impl Moment {
    fn seconds(&self) -> Option<i64> {
        match self {
            Self::Text(text) => OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp),
            Self::Millis(millis) => Some(millis.div_euclid(1_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whoever_has_the_secret_names_a_session() {
        let session = |names| {
            let claims = r#"{"sub":"ada","exp":4000000000,"innkeeper_session":"one"}"#;
            let claims: Claims = serde_json::from_str(claims).expect("claims");
            claims.into_caller(names).expect("a caller").session
        };
        assert_eq!(session(Names::InTheField).as_deref(), Some("one"));
        assert_eq!(session(Names::Subject), None);
    }
}
