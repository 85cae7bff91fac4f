//! Which header counts as a credential, from where it may come, and which
//! headers a guest never sees. Pure.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::Rejected;

/// Better Auth's session cookie: under HTTPS, then without.
const COOKIES: [&str; 2] = ["__Secure-better-auth.session_token", "better-auth.session_token"];

/// What a request is presented with, by its shape alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// Three parts: a JSON Web Token.
    Jwt(&'a str),
    /// Two parts: a session token with its signature.
    Signed(&'a str),
    /// One part: a session token alone.
    Raw(&'a str),
    /// A session token with its signature, which the browser sends by itself.
    Cookie(&'a str),
}

/// The credential of a request. The `Authorization` header is asked first: a
/// page that sets it means it, while cookies come along.
///
/// # Errors
/// What is there is not one credential.
pub(super) fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, Rejected> {
    let Some(token) = bearer(headers)? else { return Ok(cookie(headers)?.map(Credential::Cookie)) };
    match token.bytes().filter(|byte| *byte == b'.').count() {
        0 => Ok(Some(Credential::Raw(token))),
        1 => Ok(Some(Credential::Signed(token))),
        2 => Ok(Some(Credential::Jwt(token))),
        _ => Err(Rejected::Invalid),
    }
}

/// The Bearer token of a request. The scheme is case-insensitive (RFC 9110
/// section 11.1), and an empty credential is a missing one.
///
/// # Errors
/// Another scheme, or more than one `Authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Rejected> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Rejected::Scheme);
    }
    let text = value.to_str().map_err(|_| Rejected::Scheme)?.trim();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Rejected::Scheme);
    }
    Ok(Some(token.trim()).filter(|token| !token.is_empty()))
}

/// The value of the session cookie.
///
/// # Errors
/// There are two of one name: whoever could add the other one does not get to
/// choose which of them counts.
fn cookie(headers: &HeaderMap) -> Result<Option<&str>, Rejected> {
    for name in COOKIES {
        // Several `Cookie` fields are one list (RFC 9113 section 8.2.3).
        let fields = headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|b| *b == b';'));
        let mut values = fields.filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            (pair[..at].trim_ascii() == name.as_bytes()).then(|| pair[at + 1..].trim_ascii())
        });
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(Rejected::Invalid);
        }
        return std::str::from_utf8(value).map(Some).map_err(|_| Rejected::Invalid);
    }
    Ok(None)
}

/// Whether a request that a cookie vouches for was meant by its user. A browser
/// adds the cookie to what any page sends, and says in `Origin` which page it
/// was; a request that changes nothing needs no such word.
///
/// # Errors
/// The page is not one of ours, or unknown.
pub(super) fn check_origin(method: &Method, headers: &HeaderMap, allowed: &[HeaderValue]) -> Result<(), Rejected> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if allowed.contains(origin) => Ok(()),
        _ => Err(Rejected::Origin),
    }
}

/// Headers by which proxies tell an application who the user is. A guest that
/// believed one would believe every client.
const POSING: [&str; 12] = [
    "remote-user",
    "x-remote-",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-auth-",
    "x-authenticated-",
    "x-user",
    "x-webauth-",
    "x-innkeeper-",
];

/// Takes credentials, and whatever could pose as one, out of a request.
pub fn strip(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::COOKIE);
    let posing: Vec<HeaderName> = headers.keys().filter(|name| poses(name.as_str())).cloned().collect();
    for name in posing {
        headers.remove(name);
    }
}

fn poses(name: &str) -> bool {
    // Nearly every header name is let through by its first letter.
    matches!(name.as_bytes().first(), Some(b'x' | b'r')) && POSING.iter().any(|prefix| name.starts_with(prefix))
}
