//! Asks a module for its lists, in a store without a caller.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi_config::WasiConfigVariables;

use super::{Manifest, vet_prompts, vet_resources, vet_tools};
use crate::bindings::offers::innkeeper::backend::types::Error;
use crate::call::{Call, Deadline, Notices, Toolbox, trace::Trace};
use crate::instance::{self, Exports, Profile, State};

/// Reads and vets what a module offers. `settings` are the operator's: what a
/// guest offers may depend on them, and on nothing else.
///
/// # Errors
/// The first thing that is not allowed.
pub(in crate::registry) async fn read(
    pre: &InstancePre<State>,
    exports: &Exports,
    module: &str,
    settings: WasiConfigVariables,
) -> Result<Manifest, String> {
    let Exports { tools, resources, prompts, completions, .. } = exports;
    if tools.is_none() && resources.is_none() && prompts.is_none() {
        return Ok(Manifest::default());
    }
    let limits = instance::declare_limits();
    let limit = limits.wall;
    let call = Call {
        id: "list".into(),
        caller: None,
        client: None,
        deadline: Deadline::after(limit),
        trace: Trace::default(),
        notices: Notices::default(),
        toolbox: Toolbox::default(),
    };
    let profile = Profile::new(module, limits, settings, None);
    let mut store = instance::store(pre.engine(), &Arc::new(profile), &Arc::new(call));
    let turn = store.data().turn.clone();
    let asked = tokio::time::timeout(limit, turn.run(ask(pre, exports, &mut store))).await;
    let (tools, resources, prompts) =
        asked.map_err(|_| "it took too long".to_owned())?.map_err(|error| format!("it trapped: {error:#}"))?;
    Ok(Manifest {
        tools: tools.transpose().map_err(|error| said(&error))?.map(vet_tools).transpose()?,
        resources: resources.transpose().map_err(|error| said(&error))?.map(vet_resources).transpose()?,
        prompts: prompts.transpose().map_err(|error| said(&error))?.map(vet_prompts).transpose()?,
        completions: completions.is_some(),
    })
}

type Asked<T> = Option<Result<T, Error>>;

async fn ask(
    pre: &InstancePre<State>,
    exports: &Exports,
    store: &mut Store<State>,
) -> wasmtime::Result<(
    Asked<Vec<crate::bindings::offers::exports::innkeeper::backend::tools::Tool>>,
    Asked<crate::bindings::offers::exports::innkeeper::backend::resources::Declaration>,
    Asked<Vec<crate::bindings::offers::exports::innkeeper::backend::prompts::Prompt>>,
)> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let tools = match &exports.tools {
        Some(tools) => Some(tools.load(&mut *store, &instance)?.call_list(&mut *store).await?),
        None => None,
    };
    let resources = match &exports.resources {
        Some(resources) => Some(resources.load(&mut *store, &instance)?.call_declare(&mut *store).await?),
        None => None,
    };
    let prompts = match &exports.prompts {
        Some(prompts) => Some(prompts.load(&mut *store, &instance)?.call_list(&mut *store).await?),
        None => None,
    };
    Ok((tools, resources, prompts))
}

/// A guest's error, in one line.
fn said(error: &Error) -> String {
    let text = match error {
        Error::NotFound(text) | Error::InvalidParams(text) | Error::Internal(text) => text.as_str(),
        Error::MissingCapability(_) => "it wants something of a client",
    };
    format!("it answered an error: {}", super::printable(text))
}
