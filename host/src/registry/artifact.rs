//! Compiled components, kept between starts.
//!
//! Loading native code runs it, so only what this host compiled is loaded: an
//! artefact is keyed by the component's digest and by everything that shapes
//! its code, authenticated with a key that only this user can read, and
//! replaced by renaming, never in place. Anything that does not fit is compiled
//! anew and overwritten.
//!
//! An image brings its modules compiled: `todo.cwasm` beside `todo.wasm`, made by
//! `innkeeper compile`. Such a file is trusted as the program itself is, when
//! whoever can write it could as well write that.

mod beside;

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compile::{Compiler, NotCompiled};
use super::source::Source;

pub use beside::compile;

/// Length of the code's MAC, which the file starts with.
const MAC_BYTES: usize = 32;
/// Artefacts that are kept; the oldest go first. Each is a few megabytes.
const KEEP: usize = 64;

/// The directory of compiled components, and what makes new ones.
pub struct Artifacts {
    compiler: Compiler,
    /// None where nothing can be written: then nothing is kept.
    kept: Option<Kept>,
}

struct Kept {
    dir: PathBuf,
    key: [u8; 32],
}

impl Artifacts {
    /// Opens the directory, or makes it. On a file system that is read-only there
    /// is none, and every start compiles what was not compiled before.
    ///
    /// # Errors
    /// When it cannot be made, or somebody else may write in it.
    pub fn open(dir: &Path, compiler: Compiler) -> io::Result<Self> {
        let opened = make(dir).and_then(|()| key(&dir.join("cache.key")).map_err(|error| unusable(dir, &error)));
        match opened {
            Ok(key) => Ok(Self { compiler, kept: Some(Kept { dir: dir.to_owned(), key }) }),
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(Self { compiler, kept: None }),
            Err(error) => Err(error),
        }
    }

    /// The compiled component: from the file beside its source, from the directory, or
    /// made now.
    ///
    /// # Errors
    /// When the bytes are not a component that the engine takes, or one that takes too
    /// much to compile.
    pub async fn component(self: &Arc<Self>, engine: &Engine, source: Source) -> Result<Component, NotCompiled> {
        let panicked = |error: tokio::task::JoinError| NotCompiled::Broken(error.to_string());
        let (artifacts, with) = (Arc::clone(self), engine.clone());
        // MACs and relocations of megabytes: not on the threads that serve.
        let looked = tokio::task::spawn_blocking(move || {
            let found = brought(&with, &source).or_else(|| artifacts.kept.as_ref()?.component(&with, &source.digest));
            (found, source)
        });
        let (found, Source { wasm, digest, .. }) = looked.await.map_err(panicked)?;
        if let Some(component) = found {
            return Ok(component);
        }
        let code = self.compiler.compile(&wasm).await?;
        let (artifacts, with) = (Arc::clone(self), engine.clone());
        let made = tokio::task::spawn_blocking(move || {
            if let Some(kept) = &artifacts.kept {
                kept.keep(&name(&with, &digest), &code);
            }
            deserialize(&with, &code).map_err(|error| NotCompiled::Broken(format!("{error:#}")))
        });
        made.await.map_err(panicked)?
    }
}

/// The component out of the file beside it, when there is one that can be trusted and
/// fits.
fn brought(engine: &Engine, source: &Source) -> Option<Component> {
    let component = deserialize(engine, &beside::read(source)?);
    component
        .inspect_err(|error| {
            tracing::warn!(
                module.source = source.name,
                "a compiled module is of another build, and is made anew: {error:#}"
            );
        })
        .ok()
}

impl Kept {
    fn component(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let name = name(engine, digest);
        deserialize(engine, &self.read(&self.path(&name), &name)?).ok()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.cwasm"))
    }

    fn keep(&self, name: &str, code: &[u8]) {
        let path = self.path(name);
        if let Err(error) = self.write(&path, name, code) {
            tracing::warn!(path = %path.display(), "a compiled module was not kept, so the next start compiles it again: {error}");
        }
    }

    /// The code in a file, if it is exactly what this host wrote there.
    fn read(&self, path: &Path, name: &str) -> Option<Vec<u8>> {
        let mut code = fs::read(path).ok()?;
        if code.len() < MAC_BYTES {
            return None;
        }
        let mac: Vec<u8> = code.drain(..MAC_BYTES).collect();
        self.mac(name, &code).verify_slice(&mac).ok()?;
        Some(code)
    }

    fn write(&self, path: &Path, name: &str, code: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&self.mac(name, code).finalize().into_bytes())?;
        file.write_all(code)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        self.prune()
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(name.as_bytes());
        mac.update(code);
        mac
    }

    fn prune(&self) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "cwasm") {
                kept.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        kept.sort();
        let surplus = kept.len().saturating_sub(KEEP);
        for (_, path) in kept.into_iter().take(surplus) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Everything that shapes the code: the component, the engine's settings and
/// target, and (through the engine's module version) this build.
fn name(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}", hasher.finish())
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come from `precompile_component` in a process that this one
    // started of its own program, through a pipe that nobody else has; from a file
    // whose MAC proves that this host wrote them; or from one that only who may
    // replace this program could have written.
    #[expect(unsafe_code, reason = "loading compiled code is what the cache is for")]
    unsafe {
        Component::deserialize(engine, code)
    }
}

/// Makes a directory that this user alone may write to.
///
/// # Errors
/// When it cannot be made, or somebody else may write in it.
pub(crate) fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| unusable(dir, &error))?;
    private(dir)
}

/// Says which directory it is, and what to do.
fn unusable(dir: &Path, error: &io::Error) -> io::Error {
    let hint = "let this user write there, or set INNKEEPER_CACHE_DIR or INNKEEPER_DATA_DIR";
    io::Error::new(error.kind(), format!("{}: {error}; {hint}", dir.display()))
}

/// Refuses a directory that another user could put code into.
fn private(dir: &Path) -> io::Result<()> {
    let metadata = fs::metadata(dir)?;
    let ours = metadata.uid() == fs::metadata("/proc/self")?.uid();
    if ours && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    let message =
        format!("{} may be written by other users; run chmod 700 on it, or set INNKEEPER_CACHE_DIR", dir.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// A secret of this machine and user: read from its file, or made with it.
pub(crate) fn key(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    match fs::File::open(path).and_then(|mut file| file.read_exact(&mut key)) {
        Ok(()) => return Ok(key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Cut short by a crash: as good as none.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => fs::remove_file(path)?,
        Err(error) => return Err(error),
    }
    fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    // It gets its name when it is whole: nobody ever reads a part of it.
    let made = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&made)?;
    let named = file.write_all(&key).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&made, path));
    fs::remove_file(&made)?;
    match named {
        Ok(()) => Ok(key),
        // Another process was faster: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::File::open(path)?.read_exact(&mut key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
