//! Where a module comes from: its bytes, and what they are known by.

use std::path::{Path, PathBuf};

use super::artifact::digest;
use super::load::Why;

/// Guests with an interpreter inside are 10 to 20 MB.
pub(super) const COMPONENT_BYTES: u64 = 64 << 20;

/// A component as it was read. Nothing is known of it but its digest.
pub struct Source {
    /// SHA-256 in hexadecimal.
    pub digest: String,
    pub(super) wasm: Vec<u8>,
    pub(super) path: PathBuf,
}

impl Source {
    /// These bytes, as if they came from this file.
    pub fn new(path: impl Into<PathBuf>, wasm: Vec<u8>) -> Self {
        Self { digest: digest(&wasm), wasm, path: path.into() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is not there, or larger than any component should be.
    pub async fn read(path: &Path) -> Result<Self, Why> {
        let path = path.to_owned();
        // A disk may take its time, and a digest a tenth of a second.
        let read = tokio::task::spawn_blocking(move || {
            let wasm = read(&path)?;
            Ok(Self::new(path, wasm))
        });
        read.await.unwrap_or_else(|panic| Err(Why::Declare(format!("reading it panicked: {panic}"))))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Why> {
    let unreadable = |source| Why::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > COMPONENT_BYTES {
        return Err(Why::TooLarge { path: path.to_owned() });
    }
    std::fs::read(path).map_err(unreadable)
}
