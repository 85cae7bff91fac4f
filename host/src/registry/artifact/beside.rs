//! The compiled module that an image brings: `todo.cwasm` beside `todo.wasm`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::registry::Source;

/// The file beside a component with its code, which starts with the digest of the
/// component.
const COMPILED: &str = "cwasm";
const DIGEST_BYTES: usize = 32;

/// Compiles a component for every machine of this architecture, into the file that
/// belongs beside it. Returns which.
///
/// # Errors
/// When it is no component, or the file cannot be written.
pub fn compile(source: &Path) -> wasmtime::Result<PathBuf> {
    let wasm = fs::read(source)?;
    let code = crate::engine::portable()?.precompile_component(&wasm)?;
    let path = path(source);
    let mut file = tempfile::NamedTempFile::new_in(folder(&path))?;
    file.write_all(&Sha256::digest(&wasm))?;
    file.write_all(&code)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(&path)?;
    Ok(path)
}

/// The code beside a component, if it was made of its bytes and can be trusted.
pub(super) fn read(source: &Source) -> Option<Vec<u8>> {
    let path = path(source.file.as_ref()?);
    let mut code = fs::read(&path).ok()?;
    if super::hex(code.get(..DIGEST_BYTES)?) != source.digest {
        return None;
    }
    if !is_trusted(&path).unwrap_or(false) {
        tracing::warn!(path = %path.display(), "a compiled module is not used: others than the owner of this program may write it");
        return None;
    }
    code.drain(..DIGEST_BYTES);
    Some(code)
}

/// Whether only who may replace this program may replace a file: it, and the
/// folder it is in, have the program's owner, and nobody else may write there.
fn is_trusted(path: &Path) -> io::Result<bool> {
    let owner = fs::metadata("/proc/self/exe")?.uid();
    for place in [path, folder(path)] {
        let metadata = fs::metadata(place)?;
        if metadata.uid() != owner || metadata.mode() & 0o022 != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The file that belongs beside a component.
pub(super) fn path(source: &Path) -> PathBuf {
    source.with_extension(COMPILED)
}

/// A file that is named without one is in the working directory.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}
