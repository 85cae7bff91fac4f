//! What a component exports, interface by interface, looked up once.

use wasmtime::component::InstancePre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use super::State;
use crate::bindings::offers::exports::innkeeper::backend::{completions, prompts, resources, tools};

/// What the host can call. At least one of them is there.
pub struct Exports {
    /// An HTTP handler.
    pub http: Option<ProxyPre<State>>,
    /// Tools.
    pub tools: Option<tools::GuestIndices>,
    /// Resources.
    pub resources: Option<resources::GuestIndices>,
    /// Prompts.
    pub prompts: Option<prompts::GuestIndices>,
    /// Completions of arguments.
    pub completions: Option<completions::GuestIndices>,
}

impl Exports {
    /// Looks for them; none when there is nothing to call.
    ///
    /// # Errors
    /// An interface is there, and not the one of this host.
    pub fn find(pre: &InstancePre<State>) -> wasmtime::Result<Option<Self>> {
        let ty = pre.component().component_type();
        let names: Vec<String> = ty.exports(pre.engine()).map(|(name, _)| name.to_owned()).collect();
        let has = |interface: &str| names.iter().any(|name| name.split('@').next() == Some(interface));
        let exports = Self {
            http: has("wasi:http/incoming-handler").then(|| ProxyPre::new(pre.clone())).transpose()?,
            tools: has("innkeeper:backend/tools").then(|| tools::GuestIndices::new(pre)).transpose()?,
            resources: has("innkeeper:backend/resources").then(|| resources::GuestIndices::new(pre)).transpose()?,
            prompts: has("innkeeper:backend/prompts").then(|| prompts::GuestIndices::new(pre)).transpose()?,
            completions: has("innkeeper:backend/completions")
                .then(|| completions::GuestIndices::new(pre))
                .transpose()?,
        };
        let Self { http, tools, resources, prompts, .. } = &exports;
        let some = http.is_some() || tools.is_some() || resources.is_some() || prompts.is_some();
        Ok(some.then_some(exports))
    }
}
