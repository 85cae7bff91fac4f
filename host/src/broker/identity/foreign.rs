//! Schemas that modules write to: no table in them is Better Auth's, whatever its
//! name. There may be more of them when modules are added while the host serves.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// The names. They are never forgotten: what a module wrote stays when it goes.
#[derive(Clone, Debug, Default)]
pub struct Foreign(Arc<RwLock<BTreeSet<String>>>);

impl Foreign {
    /// One more. To be said before a module can write anything.
    pub fn add(&self, schema: String) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(schema);
    }

    pub(super) fn contains(&self, schema: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(schema)
    }
}
