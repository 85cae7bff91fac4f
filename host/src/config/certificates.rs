//! Files of certificates.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Problems;

/// All certificates of a PEM file.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn read(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err("there is no certificate in it".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}

/// The same for a setting; without any of them, a problem.
pub(super) fn read_for(key: &str, path: &str, problems: &mut Problems) -> Vec<CertificateDer<'static>> {
    read(path).unwrap_or_else(|why| {
        problems.push(key, format!("cannot read {path}: {why}"), "name a file of PEM certificates");
        Vec::new()
    })
}
