//! `wasi:keyvalue/store`: converts, delegates, converts.

use wasmtime::component::{HasSelf, Linker, Resource};

use super::{Bucket, Keys, KeyvalueError};
use crate::bindings::imports::wasi::keyvalue::store as wit;
use crate::instance::State;

/// Gives a guest the interface.
///
/// # Errors
/// When it was given before.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

type Reply<T> = wasmtime::Result<Result<T, wit::Error>>;

impl wit::Host for State {
    async fn open(&mut self, name: String) -> Reply<Resource<wit::Bucket>> {
        self.host_call()?;
        let store = self.profile.keyvalue.as_ref();
        let store = store.ok_or_else(|| wasmtime::format_err!("`keyvalue` was linked without a store"))?;
        match Bucket::open(store, &self.profile.name, &name, &self.call) {
            Ok(bucket) => Ok(Ok(Resource::new_own(self.table.push(bucket)?.rep()))),
            Err(error) => Ok(Err(self.word(error))),
        }
    }
}

impl wit::HostBucket for State {
    async fn get(&mut self, bucket: Resource<wit::Bucket>, key: String) -> Reply<Option<Vec<u8>>> {
        self.host_call()?;
        let found = self.table.get(&held(&bucket))?.get(&key).await;
        Ok(found.map_err(|error| self.word(error)))
    }

    async fn set(&mut self, bucket: Resource<wit::Bucket>, key: String, value: Vec<u8>) -> Reply<()> {
        self.host_call()?;
        let set = self.table.get(&held(&bucket))?.set(&key, &value).await;
        Ok(set.map_err(|error| self.word(error)))
    }

    async fn delete(&mut self, bucket: Resource<wit::Bucket>, key: String) -> Reply<()> {
        self.host_call()?;
        let deleted = self.table.get(&held(&bucket))?.delete(&key).await;
        Ok(deleted.map_err(|error| self.word(error)))
    }

    async fn exists(&mut self, bucket: Resource<wit::Bucket>, key: String) -> Reply<bool> {
        self.host_call()?;
        let found = self.table.get(&held(&bucket))?.exists(&key).await;
        Ok(found.map_err(|error| self.word(error)))
    }

    async fn list_keys(&mut self, bucket: Resource<wit::Bucket>, cursor: Option<u64>) -> Reply<wit::KeyResponse> {
        self.host_call()?;
        let found = self.table.get(&held(&bucket))?.keys(cursor).await;
        let found = found.map(|Keys { keys, cursor }| wit::KeyResponse { keys, cursor });
        Ok(found.map_err(|error| self.word(error)))
    }

    async fn drop(&mut self, bucket: Resource<wit::Bucket>) -> wasmtime::Result<()> {
        self.table.delete(held(&bucket))?;
        Ok(())
    }
}

impl State {
    /// A guest answers its client in its own words; what the host knows of a database
    /// that is away is in the log.
    fn word(&self, error: KeyvalueError) -> wit::Error {
        if let KeyvalueError::Unavailable(_) = &error {
            let (module, reason) = (&self.profile.name, crate::fault::chain(&error));
            tracing::warn!(module.name = %module, request.id = %self.call.id, blame = "host",
                "keys and values of `{module}` cannot be had: {reason}");
        }
        match error {
            KeyvalueError::NoSuchBucket => wit::Error::NoSuchStore,
            KeyvalueError::Nobody => wit::Error::AccessDenied,
            KeyvalueError::Refused(_) | KeyvalueError::Unavailable(_) => wit::Error::Other(error.to_string()),
        }
    }
}

/// The bucket behind the guest's handle.
fn held(bucket: &Resource<wit::Bucket>) -> Resource<Bucket> {
    Resource::new_own(bucket.rep())
}
