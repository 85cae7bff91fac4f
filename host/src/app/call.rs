//! A host for one call, from a shell: no port, one caller, one tool.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{App, StartError};
use crate::call::trace::Trace;
use crate::fault::{Blame, Code, Fault};
use crate::mcp::Asked;

/// A tool, and what it is given.
#[derive(Debug)]
pub struct Wanted {
    /// The module that has it.
    pub module: String,
    /// The tool.
    pub tool: String,
    /// An object that fits its schema.
    pub arguments: Map<String, Value>,
}

impl App {
    /// Loads the modules and calls one tool, as the caller of this token. What it
    /// answered is as every client of plain HTTP gets it. None when `shutdown` resolves
    /// before.
    ///
    /// # Errors
    /// A module cannot be served, or the token is not valid. A call that failed is no
    /// such error: the fault says whose it is.
    pub async fn call(
        self,
        wanted: Wanted,
        token: Option<String>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Option<Result<Value, Fault>>, StartError> {
        let called = async {
            self.load().await?;
            let caller = self.caller(token).await.map_err(StartError::Call)?;
            let Some(generation) = self.front.registry.current() else { return Ok(Err(nothing())) };
            let Some(tool) = generation.catalogue.tool(&format!("{}.{}", wanted.module, wanted.tool)) else {
                let of_it = generation.catalogue.tools().filter(|tool| *tool.guest.profile.name == *wanted.module);
                let known: Vec<&str> = of_it.map(|tool| &*tool.item.descriptor.name).collect();
                return Ok(Err(no_such_tool(&wanted, &known)));
            };
            let asked = Asked {
                id: uuid::Uuid::new_v4().simple().to_string().into(),
                caller,
                client: None,
                trace: Trace::default(),
                generation: Arc::clone(&generation),
            };
            Ok(self.front.mcp.call_tool(tool, wanted.arguments, &asked).await)
        };
        let called = tokio::select! {
            called = called => called.map(Some),
            () = shutdown => Ok(None),
        };
        self.end().await;
        called
    }
}

fn nothing() -> Fault {
    Fault::new(Blame::Host, Code::NotServing, "no module is served")
}

fn no_such_tool(wanted: &Wanted, known: &[&str]) -> Fault {
    let Wanted { module, tool, .. } = wanted;
    let known = if known.is_empty() { "no tools".to_owned() } else { known.join(", ") };
    Fault::new(Blame::Caller, Code::NotFound, format!("module `{module}` has no tool `{tool}`; it has {known}"))
}
