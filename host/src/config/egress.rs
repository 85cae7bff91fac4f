//! Which servers a module may ask by HTTP, and what the host adds to such requests.
//!
//! An entry names one scheme, host and port, to the letter: there are no patterns,
//! for a pattern also lets in what nobody thought of.

mod build;
mod reach;

use std::fmt;

use http::{HeaderName, HeaderValue, Method};
use rustls::pki_types::CertificateDer;

pub(super) use build::build;
pub use reach::Reach;

/// One server.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// By TLS, which is the default.
    pub is_https: bool,
    /// A name in lower case, or an address as it is written in a URL (`[::1]`).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The methods that may be used; none: all that are served.
    pub methods: Vec<Method>,
    /// What the host adds, in place of what the guest has there.
    pub headers: Vec<HttpSecret>,
    /// It may have an address that is not of the public internet.
    pub private: bool,
    /// Certificates to trust beside those of the public authorities.
    pub roots: Vec<CertificateDer<'static>>,
}

/// A header that the guest never sees.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpSecret {
    /// Its name.
    pub name: HeaderName,
    /// Its value, marked as not to be shown.
    pub value: HeaderValue,
    /// Where the secret begins in it: what is before was written in the open.
    pub secret_at: usize,
}

impl HttpSecret {
    /// The secret itself.
    pub fn secret(&self) -> &[u8] {
        self.value.as_bytes().get(self.secret_at..).unwrap_or_default()
    }
}

impl HttpGrant {
    /// Whether this is what a request is addressed to: as a whole, with or without a port
    /// that goes without saying.
    pub fn is(&self, is_https: bool, authority: &str) -> bool {
        let with_port = || format!("{}:{}", self.host, self.port);
        is_https == self.is_https && (authority == self.authority() || authority == with_port())
    }

    /// `scheme://host:port`, for people and for the URI that is connected to.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.is_https { "https" } else { "http" }, self.authority())
    }

    /// `host:port`, without a port that goes without saying.
    pub fn authority(&self) -> String {
        match (self.is_https, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// Whether the host is this machine by name.
    pub fn is_localhost(&self) -> bool {
        self.host == "localhost" || self.host.ends_with(".localhost")
    }

    /// Whether a connection may go to an address that this grant's name has.
    pub fn may_reach(&self, reach: Reach) -> bool {
        match reach {
            Reach::Public => true,
            Reach::Private => self.private,
            // Another name that leads to this machine is a trick, or a mistake.
            Reach::Loopback => self.private && (self.is_localhost() || self.address().is_some()),
            Reach::Never => false,
        }
    }

    /// The host, where it is an address and no name.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

impl fmt::Debug for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}
