//! What was pulled, kept for starts without a registry.
//!
//! By digest, which is verified whenever it is read; a tag with what it was last; the
//! signatures of a manifest, which are verified again as well. Files are replaced by
//! renaming. Without a place to write, nothing is kept.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::Reference;
use crate::config::source::is_digest;
use crate::registry::artifact::{digest, make};
use crate::registry::signature::Signed;
use crate::registry::source::COMPONENT_BYTES;

/// Bytes of all files together: four of the largest components, or a hundred of the
/// usual ones. What was used longest ago goes first. Less: a host with several guests
/// that carry an interpreter pulls them at each start. More: a volume that is shared
/// with the database fills.
const KEPT_BYTES: u64 = 4 * COMPONENT_BYTES;

/// A directory of this user alone.
#[derive(Clone)]
pub(super) struct Cache {
    dir: Option<PathBuf>,
}

impl Cache {
    /// Makes the directory. Where that cannot be, nothing is kept.
    pub(super) fn open(dir: &Path) -> Self {
        match make(dir) {
            Ok(()) => Self { dir: Some(dir.to_owned()) },
            Err(error) => {
                tracing::warn!("what is pulled is not kept, so that every start needs its registry: {error}");
                Self { dir: None }
            }
        }
    }

    /// The bytes of this digest (`sha256:…`), if they are kept whole.
    pub(super) fn bytes(&self, sha256: &str) -> Option<Vec<u8>> {
        let path = self.blob(sha256)?;
        let bytes = read(&path)?;
        if sha256.strip_prefix("sha256:") == Some(&*digest(&bytes)) {
            return Some(bytes);
        }
        tracing::warn!(path = %path.display(), "what was kept of a registry is not what it was, and is pulled again");
        // What cannot be removed is not read either.
        let _ = fs::remove_file(path);
        None
    }

    /// Keeps bytes that have been found to have this digest.
    pub(super) fn keep(&self, sha256: &str, bytes: &[u8]) {
        self.write(self.blob(sha256), bytes);
    }

    /// What a tag was last.
    pub(super) fn tag(&self, reference: &Reference) -> Option<String> {
        let text = String::from_utf8(read(&self.named(reference)?)?).ok()?;
        is_digest(&text).then_some(text)
    }

    /// Keeps what a tag is now.
    pub(super) fn keep_tag(&self, reference: &Reference, sha256: &str) {
        self.write(self.named(reference), sha256.as_bytes());
    }

    /// Signatures of a manifest; whether they are good is seen when they are used.
    pub(super) fn signatures(&self, sha256: &str) -> Vec<Signed> {
        let kept = self.signed(sha256).and_then(|path| read(&path));
        kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps signatures of a manifest.
    pub(super) fn keep_signatures(&self, sha256: &str, all: &[Signed]) {
        if let Ok(bytes) = serde_json::to_vec(all) {
            self.write(self.signed(sha256), &bytes);
        }
    }

    fn blob(&self, sha256: &str) -> Option<PathBuf> {
        // A digest is hexadecimal, and so never a path.
        let hex = sha256.strip_prefix("sha256:").filter(|_| is_digest(sha256))?;
        Some(self.dir.as_ref()?.join(format!("blob-{hex}")))
    }

    fn signed(&self, sha256: &str) -> Option<PathBuf> {
        let hex = sha256.strip_prefix("sha256:").filter(|_| is_digest(sha256))?;
        Some(self.dir.as_ref()?.join(format!("signatures-{hex}")))
    }

    fn named(&self, reference: &Reference) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("tag-{}", digest(reference.to_string().as_bytes()))))
    }

    fn write(&self, path: Option<PathBuf>, bytes: &[u8]) {
        let (Some(dir), Some(path)) = (&self.dir, path) else { return };
        if let Err(error) = replace(dir, &path, bytes).and_then(|()| prune(dir, KEPT_BYTES)) {
            tracing::warn!(path = %path.display(), "what was pulled is not kept: {error}");
        }
    }
}

/// The file, marked as used.
fn read(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let mut bytes = Vec::new();
    (&file).take(COMPONENT_BYTES).read_to_end(&mut bytes).ok()?;
    // On a volume that is read-only it goes without.
    let _ = file.set_modified(SystemTime::now());
    Some(bytes)
}

fn replace(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Removes what was used longest ago, until the rest is not more than that.
fn prune(dir: &Path, most: u64) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        // Another process may have been faster.
        if let Ok(metadata) = fs::metadata(&path) {
            kept.push((metadata.modified()?, metadata.len(), path));
        }
    }
    kept.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
    let mut total = 0;
    for (_, bytes, path) in kept {
        total += bytes;
        if total > most && fs::remove_file(&path).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            tracing::warn!(path = %path.display(), "what was pulled long ago cannot be removed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Location;

    fn sha256(bytes: &[u8]) -> String {
        format!("sha256:{}", digest(bytes))
    }

    #[test]
    fn what_is_kept_is_read_again_and_never_otherwise_than_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(&dir.path().join("modules"));
        let name = sha256(b"wasm");
        assert_eq!(cache.bytes(&name), None);
        cache.keep(&name, b"wasm");
        assert_eq!(cache.bytes(&name).as_deref(), Some(&b"wasm"[..]));
        let path = cache.blob(&name).expect("a path");
        for tampered in [&b"wasn"[..], b"was", b""] {
            fs::write(&path, tampered).expect("written");
            assert_eq!(cache.bytes(&name), None);
            assert!(!path.exists(), "it is gone");
        }
        let Ok(Location::Oci(reference)) = Location::parse("oci://r.example/todo:1") else { panic!("a reference") };
        assert_eq!(cache.tag(&reference), None);
        cache.keep_tag(&reference, &name);
        assert_eq!(cache.tag(&reference), Some(name));
        fs::write(cache.named(&reference).expect("a path"), "sha256:../../etc/passwd").expect("written");
        assert_eq!(cache.tag(&reference), None);
        assert_eq!(cache.bytes("sha256:../../etc/passwd"), None);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, age: u64| {
            let path = dir.path().join(name);
            fs::write(&path, [0; 100]).expect("written");
            let used = SystemTime::now() - Duration::from_secs(age);
            File::open(&path).and_then(|file| file.set_modified(used)).expect("set");
            path
        };
        let (old, middle, new) = (put("old", 300), put("middle", 200), put("new", 100));
        read(&old).expect("it is used again");
        prune(dir.path(), 200).expect("pruned");
        assert!(old.exists() && new.exists() && !middle.exists());
    }

    #[test]
    fn without_a_place_to_write_nothing_is_kept_and_nothing_fails() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let cache = Cache::open(&file.path().join("modules"));
        let name = sha256(b"wasm");
        cache.keep(&name, b"wasm");
        assert_eq!(cache.bytes(&name), None);
    }
}
