//! TLS of the host's own clients: by ring, and with roots that are given. An image
//! without a system has none of its own, and nothing of a system's is believed.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, Error, RootCertStore};

/// Those that browsers trust.
pub fn usual_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// And these authorities.
///
/// # Errors
/// One is no certificate.
pub fn usual_roots_and(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, Error> {
    let mut roots = usual_roots();
    authorities.iter().try_for_each(|one| roots.add(one.clone()))?;
    Ok(roots)
}

/// For a client that trusts these, and says nothing of itself.
///
/// # Errors
/// When the provider has no cipher suite of a version that is safe.
pub fn client(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}
