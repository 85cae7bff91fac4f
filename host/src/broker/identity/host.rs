//! `innkeeper:backend/identity`: reads the call, decides nothing.

pub mod accounts;

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::imports::innkeeper::backend::identity;
use crate::instance::State;

/// Gives a guest the interface.
///
/// # Errors
/// When it was given before.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    identity::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl identity::Host for State {
    fn current(&mut self) -> wasmtime::Result<Option<identity::Caller>> {
        self.host_call()?;
        Ok(self.call.caller.as_ref().map(|caller| identity::Caller {
            subject: caller.subject.clone(),
            name: caller.name.clone(),
            email: caller.email.clone(),
            scopes: caller.scopes.clone(),
            issuer: caller.issuer.clone(),
            expires_at: caller.expires_at,
        }))
    }
}
