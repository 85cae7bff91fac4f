//! `innkeeper:backend/toolbox`: passes on.

use wasmtime::component::{HasSelf, Linker};

use crate::bindings::imports::innkeeper::backend::toolbox as wit;
use crate::bindings::offers::innkeeper::backend::types::{Success, Tool};
use crate::call::toolbox::ToolError;
use crate::instance::State;

/// Gives a guest the interface.
///
/// # Errors
/// When it was given before.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl wit::Host for State {
    async fn list(&mut self) -> wasmtime::Result<Result<Vec<Tool>, wit::Error>> {
        self.host_call()?;
        // None: a call of the host's own, such as for what the module offers.
        Ok(Ok(self.call.toolbox.tools().map(|tools| tools.list(&self.call)).unwrap_or_default()))
    }

    async fn call(&mut self, name: String, arguments: String) -> wasmtime::Result<Result<Success, wit::Error>> {
        self.host_call()?;
        let Some(tools) = self.call.toolbox.tools() else { return Ok(Err(wit::Error::NotFound(name))) };
        // The other guest's work is counted as its own.
        self.turn.pause();
        let called = tools.call(&self.call, &name, &arguments).await;
        self.turn.resume();
        Ok(called.map_err(wit::Error::from))
    }
}

impl From<ToolError> for wit::Error {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::NotFound(name) => Self::NotFound(name),
            ToolError::Arguments(why) => Self::InvalidArguments(why),
            ToolError::Scopes(scopes) => Self::MissingScopes(scopes),
            ToolError::InputRequired => Self::InputRequired,
            ToolError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}
