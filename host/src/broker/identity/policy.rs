//! Which header counts as a credential, and which headers a guest never sees.

use http::{HeaderMap, HeaderName, header};

use super::Rejected;

/// The Bearer token of a request. The scheme is case-insensitive (RFC 9110
/// section 11.1), and an empty credential is a missing one.
///
/// # Errors
/// Another scheme, or more than one `Authorization` header.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Rejected> {
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
