//! From which names and pages this endpoint may be called. A page of a stranger's
//! can make a browser send requests here, under a name of the stranger's that
//! leads here, too; the browser says so in `Host` and `Origin`. Pure.

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, header};
use url::Url;

/// This machine, by its own names.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Names and pages that are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// What was not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// The name that the request was sent to.
    Host,
    /// The page that it came from.
    Origin,
}

impl Allowed {
    /// Beside this machine: these names, the public address, and these pages.
    pub(super) fn new(hosts: &[String], public: Option<&Url>, origins: &[HeaderValue]) -> Self {
        let public_host = public.and_then(|url| Some(url.host_str()?.to_owned()));
        let public_origin = public.map(|url| url.origin().ascii_serialization());
        let origins = origins.iter().filter_map(|origin| origin.to_str().ok().map(str::to_owned));
        Self {
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).chain(public_host).collect(),
            origins: origins.chain(public_origin).collect(),
        }
    }

    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Stranger> {
        // HTTP/2 has the name in its target.
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let host = host.and_then(|text| text.parse::<Authority>().ok()).or_else(|| uri.authority().cloned());
        let host = host.as_ref().map(|authority| authority.host().to_ascii_lowercase()).unwrap_or_default();
        if !LOOPBACK.contains(&host.as_str()) && !self.hosts.contains(&host) {
            return Err(Stranger::Host);
        }
        headers.get_all(header::ORIGIN).iter().try_for_each(|origin| match origin.to_str() {
            Ok(origin) if self.knows(origin) => Ok(()),
            _ => Err(Stranger::Origin),
        })
    }

    fn knows(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin)) || is_loopback(origin)
    }
}

/// A page that this machine serves, at any port.
fn is_loopback(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let plain = uri.path().trim_end_matches('/').is_empty() && uri.query().is_none();
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    plain && scheme && !user && uri.host().is_some_and(|host| LOOPBACK.contains(&host.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, origin: Option<&str>, expected: Result<(), Stranger>) {
        let public = Url::parse("https://todo.example.com:8443/app").expect("a URL");
        let allowed =
            Allowed::new(&["innkeeper".into()], Some(&public), &[HeaderValue::from_static("https://app.example.com")]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a value"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().expect("a value"));
        }
        assert_eq!(allowed.check(&Uri::from_static("/mcp"), &headers), expected, "{host} {origin:?}");
    }

    #[test]
    fn names_that_lead_here() {
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "todo.example.com", "innkeeper:8000"] {
            check(host, None, Ok(()));
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.2",
            "10.0.0.1:8000",
            "todo.example.com.evil.example",
            "",
        ] {
            check(host, None, Err(Stranger::Host));
        }
    }

    #[test]
    fn pages_that_may_call() {
        for origin in [
            "https://app.example.com",
            "https://todo.example.com:8443",
            "http://localhost:6274",
            "http://[::1]:3000",
            "https://127.0.0.1",
        ] {
            check("localhost", Some(origin), Ok(()));
        }
        for origin in [
            "null",
            "https://app.example.com.evil.example",
            "http://app.example.com",
            "https://todo.example.com",
            "http://localhost@evil.example",
            "http://localhost.evil.example",
            "https://app.example.com:444",
            "localhost",
        ] {
            check("localhost", Some(origin), Err(Stranger::Origin));
        }
    }
}
