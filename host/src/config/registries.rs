//! How registries are asked for modules.

use std::net::IpAddr;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use secrecy::SecretString;

/// How registries are asked for modules.
#[derive(Clone, Debug, Default)]
pub struct Registries {
    /// Those that are asked without TLS, as references name them. Those of this machine
    /// are anyway.
    pub insecure: Vec<String>,
    /// Authorities that are trusted beside those that browsers trust.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Who to be, by the environment.
    pub login: Option<Login>,
    /// Docker's configuration, for the others.
    pub docker: Option<PathBuf>,
}

/// Who to be at a registry.
#[derive(Clone, Debug)]
pub struct Login {
    /// The only registry that hears of it. None: no module names one, so that it is
    /// whichever is named first.
    pub registry: Option<String>,
    /// The user.
    pub username: String,
    /// The password, or a token in its place.
    pub password: SecretString,
}

impl Registries {
    /// Whether a registry is asked without TLS.
    pub fn is_plain(&self, registry: &str) -> bool {
        self.insecure.iter().any(|insecure| insecure == registry) || is_loopback(registry)
    }
}

fn is_loopback(registry: &str) -> bool {
    let Ok(authority) = registry.parse::<http::uri::Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_what_is_listed_is_asked_without_tls() {
        let registries = Registries { insecure: vec!["registry.lan:5000".to_owned()], ..Registries::default() };
        for plain in ["127.0.0.1:5000", "127.8.8.8", "localhost", "localhost:5000", "[::1]:5000", "registry.lan:5000"] {
            assert!(registries.is_plain(plain), "{plain}");
        }
        for other in ["registry.lan", "registry.lan:5001", "localhost.example.com", "10.0.0.1:5000", "ghcr.io"] {
            assert!(!registries.is_plain(other), "{other}");
        }
    }
}
