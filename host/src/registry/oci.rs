//! Components in registries of OCI artifacts.
//!
//! An artifact is known by the digest of its manifest, which names the digest of its
//! component: whatever a registry answers is held against these two. A tag is looked up
//! when the module is read, and what it was then goes on being served; where the registry
//! does not answer, it is what it was last. What was pulled is kept, and a digest that is
//! kept is not asked for again.

mod auth;
mod cache;
mod client;
mod credentials;
mod manifest;
mod trouble;

use std::path::Path;

pub use trouble::{NotPulled, Trouble};

use self::cache::Cache;
use self::client::{Client, checked};
use self::credentials::Credentials;
use super::artifact::digest;
use super::signature::{self, Signed, Unsigned};
use crate::config::{Pin, PublicKey, Reference, Registries};

/// A component as its registry has it.
pub(super) struct Pulled {
    pub(super) wasm: Vec<u8>,
    /// Its SHA-256 in hexadecimal, which it was held against.
    pub(super) digest: String,
    /// The digest of its manifest.
    pub(super) manifest: String,
}

/// A manifest, and its digest.
struct Found {
    digest: String,
    bytes: Vec<u8>,
}

struct Puller<'a> {
    client: Client<'a>,
    cache: Cache,
    reference: &'a Reference,
}

/// Pulls a component, or takes it from what was kept.
///
/// # Errors
/// See [`Trouble`].
pub(super) async fn pull(
    registries: &Registries,
    kept: &Path,
    reference: &Reference,
    keys: &[PublicKey],
) -> Result<Pulled, NotPulled> {
    let pulled = async {
        let (all, dir, registry) = (registries.clone(), kept.to_owned(), reference.registry.clone());
        let (cache, credentials) = apart(move || (Cache::open(&dir), Credentials::find(&all, &registry))).await?;
        let client = Client::new(registries, reference, credentials?)?;
        Puller { client, cache, reference }.pull(keys).await
    };
    pulled.await.map_err(|trouble| NotPulled { reference: reference.to_string(), trouble })
}

impl Puller<'_> {
    async fn pull(mut self, keys: &[PublicKey]) -> Result<Pulled, Trouble> {
        let found = match &self.reference.pin {
            Pin::Digest(digest) => self.manifest(digest).await?,
            Pin::Tag(tag) => self.resolve(tag).await?,
        };
        let component = manifest::component(&found.bytes)?;
        // Before all the bytes that it would spare.
        if !keys.is_empty() {
            self.vouched(&found.digest, keys).await?;
        }
        let wasm = match self.kept(&component.digest).await? {
            Some(wasm) => wasm,
            None => {
                let wasm = self.client.blob(&component, "component").await?;
                self.keep(&component.digest, wasm).await?
            }
        };
        if matches!(self.reference.pin, Pin::Tag(_)) {
            let (cache, reference, digest) = (self.cache.clone(), self.reference.clone(), found.digest.clone());
            apart(move || cache.keep_tag(&reference, &digest)).await?;
        }
        let digest = component.digest.trim_start_matches("sha256:").to_owned();
        Ok(Pulled { wasm, digest, manifest: found.digest })
    }

    /// The manifest of a digest: kept, or pulled.
    async fn manifest(&mut self, digest: &str) -> Result<Found, Trouble> {
        let bytes = match self.kept(digest).await? {
            Some(bytes) => bytes,
            None => {
                let bytes = self.client.manifest(digest, "manifest").await?;
                let bytes = checked(bytes, digest, "manifest").await?;
                self.keep(digest, bytes).await?
            }
        };
        Ok(Found { digest: digest.to_owned(), bytes })
    }

    /// What a tag is now; where the registry does not answer, what it was last.
    async fn resolve(&mut self, tag: &str) -> Result<Found, Trouble> {
        let trouble = match self.client.manifest(tag, "tag").await {
            Ok(bytes) => {
                let digest = format!("sha256:{}", digest(&bytes));
                let bytes = self.keep(&digest, bytes).await?;
                return Ok(Found { digest, bytes });
            }
            Err(trouble) if trouble.may_pass() => trouble,
            Err(trouble) => return Err(trouble),
        };
        let (cache, reference) = (self.cache.clone(), self.reference.clone());
        let last =
            apart(move || cache.tag(&reference).and_then(|digest| Some((cache.bytes(&digest)?, digest)))).await?;
        let Some((bytes, digest)) = last else { return Err(trouble) };
        tracing::warn!(
            module.source = %self.reference,
            module.manifest = digest,
            "`{}` is taken for what it was last, {digest}: {trouble}",
            self.reference
        );
        Ok(Found { digest, bytes })
    }

    /// Whether somebody vouches for a manifest, by what was kept or by what the registry
    /// has now.
    async fn vouched(&mut self, digest: &str, keys: &[PublicKey]) -> Result<(), Trouble> {
        let (cache, named) = (self.cache.clone(), digest.to_owned());
        let kept = apart(move || cache.signatures(&named)).await?;
        if signature::verify_any(keys, digest, &kept).is_ok() {
            return Ok(());
        }
        let tag = format!("{}.sig", digest.replace(':', "-"));
        let refused = |why| Trouble::Unsigned { name: tag.clone(), why };
        let signed = match self.signatures(&tag).await {
            Err(Trouble::NotThere(_)) => {
                return Err(refused(Unsigned::Missing("the registry has no such tag".to_owned())));
            }
            other => other?,
        };
        signature::verify_any(keys, digest, &signed).map_err(refused)?;
        let (cache, named) = (self.cache.clone(), digest.to_owned());
        apart(move || cache.keep_signatures(&named, &signed)).await
    }

    /// Signatures as cosign puts them: layers of another artifact, by a tag that is made
    /// of the digest.
    async fn signatures(&mut self, tag: &str) -> Result<Vec<Signed>, Trouble> {
        let bytes = self.client.manifest(tag, "signature").await?;
        let mut all = Vec::new();
        for (layer, signature) in manifest::signatures(&bytes)? {
            let payload = self.client.blob(&layer, "signature").await?;
            // What is no text was not signed for this.
            if let Ok(payload) = String::from_utf8(payload) {
                all.push(Signed { payload, signature });
            }
        }
        Ok(all)
    }

    async fn kept(&self, digest: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let (cache, digest) = (self.cache.clone(), digest.to_owned());
        apart(move || cache.bytes(&digest)).await
    }

    async fn keep(&self, digest: &str, bytes: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        let (cache, digest) = (self.cache.clone(), digest.to_owned());
        apart(move || {
            cache.keep(&digest, &bytes);
            bytes
        })
        .await
    }
}

/// A disk may take its time: not on the threads that serve.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| Trouble::Client(panic.to_string()))
}
