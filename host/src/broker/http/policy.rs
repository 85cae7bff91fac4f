//! Which requests may be sent, and where to. Pure.

use http::uri::{PathAndQuery, Scheme};
use http::{Method, Uri};

use super::HttpError;
use crate::config::HttpGrant;

/// Bytes of a path with its query. Servers take about as much.
const TARGET_BYTES: usize = 8 << 10;

/// Whether a request is addressed to the server of a grant. The authority is compared
/// as a whole, so that credentials, other ports and other spellings are other servers.
pub(super) fn is_asked(grant: &HttpGrant, uri: &Uri) -> bool {
    let authority = uri.authority().map_or("", |authority| authority.as_str()).to_ascii_lowercase();
    grant.is(uri.scheme() == Some(&Scheme::HTTPS), &authority)
}

/// What to ask for: the grant's scheme and authority, and of the guest's words path and
/// query alone.
///
/// # Errors
/// The method is not granted, or the target is none.
pub(super) fn allow(grant: &HttpGrant, method: &Method, uri: &Uri) -> Result<Uri, HttpError> {
    // The one asks for a connection elsewhere, the other for what the host has added.
    let is_served = !matches!(*method, Method::CONNECT | Method::TRACE);
    if !is_served || !(grant.methods.is_empty() || grant.methods.contains(method)) {
        return Err(HttpError::Method);
    }
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if path.len() > TARGET_BYTES {
        return Err(HttpError::TargetTooLong);
    }
    // GHSA-5qpp-g3j2-8frx: what is in absolute form would be sent as it is.
    if !path.starts_with('/') {
        return Err(HttpError::Target);
    }
    let scheme = if grant.is_https { Scheme::HTTPS } else { Scheme::HTTP };
    let uri = Uri::builder().scheme(scheme).authority(grant.authority()).path_and_query(path);
    uri.build().map_err(|_| HttpError::Target)
}
