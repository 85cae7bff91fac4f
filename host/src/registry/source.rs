//! Where a module comes from: its bytes, what they are known by, and who vouches for
//! them.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::artifact::digest;
use super::load::Loader;
use super::oci;
use super::refused::{Refused, Why};
use super::signature::{self, Unsigned};
use crate::config::{Location, ModuleConfig, PublicKey, Registries};

/// Guests with an interpreter inside are 10 to 20 MB.
pub(super) const COMPONENT_BYTES: u64 = 64 << 20;
/// Entries of a directory that are looked at, twice a second, for the one that counts.
const ENTRIES: usize = 1_000;

/// A component as it was read. Nothing is known of it but its digest.
pub struct Source {
    /// SHA-256 in hexadecimal.
    pub digest: String,
    /// What it is in its registry: the digest of its manifest, with `sha256:`.
    pub manifest: Option<String>,
    pub(super) wasm: Vec<u8>,
    /// How it is told from others in messages.
    pub(super) name: String,
    /// The file, where it is one.
    pub(super) file: Option<PathBuf>,
}

impl Source {
    /// These bytes, as if they came from this file.
    pub fn new(file: impl Into<PathBuf>, wasm: Vec<u8>) -> Self {
        let file = file.into();
        Self { digest: digest(&wasm), manifest: None, wasm, name: file.display().to_string(), file: Some(file) }
    }
}

/// Reads modules from wherever they come.
pub struct Sources {
    registries: Registries,
    /// Where is kept what was pulled.
    kept: PathBuf,
}

impl Sources {
    /// Reads and connects to nothing yet.
    pub fn new(registries: Registries, cache_dir: &Path) -> Self {
        Self { registries, kept: cache_dir.join("modules") }
    }

    /// Reads a module. With keys, one of them has to vouch for it.
    ///
    /// # Errors
    /// It is not to be had, larger than any component should be, or nobody vouches for
    /// it.
    pub async fn read(&self, location: &Location, keys: &[PublicKey]) -> Result<Source, Why> {
        match location {
            Location::Path(path) => {
                let (path, keys) = (path.clone(), keys.to_vec());
                // A disk may take its time, and a digest a tenth of a second.
                let read = tokio::task::spawn_blocking(move || read(&path, &keys)).await;
                read.unwrap_or_else(|panic| Err(Why::Declare(format!("reading it panicked: {panic}"))))
            }
            Location::Oci(reference) => {
                let pulled = oci::pull(&self.registries, &self.kept, reference, keys).await.map_err(Why::Registry)?;
                let oci::Pulled { wasm, digest, manifest } = pulled;
                Ok(Source { digest, manifest: Some(manifest), wasm, name: reference.to_string(), file: None })
            }
        }
    }
}

impl Loader {
    /// Reads one module, and sees who vouches for it.
    ///
    /// # Errors
    /// See [`Why`].
    pub async fn read(&self, config: &ModuleConfig) -> Result<Source, Refused> {
        let read = self.sources.read(&config.source, &config.keys).await;
        read.map_err(|why| Refused { module: config.name.clone(), why })
    }
}

fn read(path: &Path, keys: &[PublicKey]) -> Result<Source, Why> {
    let unreadable = |source| Why::Unreadable { path: path.to_owned(), source };
    let file = locate(path).map_err(unreadable)?;
    if std::fs::metadata(&file).map_err(unreadable)?.len() > COMPONENT_BYTES {
        return Err(Why::TooLarge { path: file });
    }
    let wasm = std::fs::read(&file).map_err(unreadable)?;
    if !keys.is_empty() {
        let beside = signature_of(&file);
        let refused = |why: Unsigned| Why::Unsigned { name: beside.display().to_string(), why };
        let signature = signature::read(&beside).map_err(refused)?;
        signature::verify(keys, &wasm, &signature).map_err(refused)?;
    }
    Ok(Source::new(file, wasm))
}

/// The file itself, or the only component of a directory.
///
/// # Errors
/// It is not there, or there is not exactly one.
pub fn locate(path: &Path) -> io::Result<PathBuf> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(path.to_owned());
    }
    let mut found = Vec::new();
    for (count, entry) in std::fs::read_dir(path)?.enumerate() {
        let file = entry?.path();
        if count == ENTRIES {
            return Err(io::Error::other("it is a directory of too many files to look for one in"));
        }
        if file.extension().is_some_and(|extension| extension == "wasm") {
            found.push(file);
        }
    }
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(io::Error::other("it is a directory without a .wasm file")),
        many => Err(io::Error::other(format!("it is a directory with {many} .wasm files, and one is served"))),
    }
}

/// The signature that belongs to a file: `todo.wasm.sig`.
pub fn signature_of(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".sig");
    name.into()
}
