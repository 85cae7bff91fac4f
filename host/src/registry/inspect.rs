//! A component, looked into without being served.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime_wasi_config::WasiConfigVariables;

use super::artifact::Artifacts;
use super::asks::Asks;
use super::declaration::Declaration;
use super::link::{link, needed};
use super::load::{compile, declare};
use super::manifest::{self, Manifest};
use super::refused::{Refused, Why};
use super::source::Sources;
use crate::broker::sql::backend;
use crate::config::{AccountsGrant, Database, Grants, Location, SqlGrant};
use crate::instance::Exports;

/// What `innkeeper inspect` shows of a component.
pub struct Inspection {
    /// SHA-256 of the component.
    pub digest: String,
    /// What it is in its registry: the digest of its manifest.
    pub manifest_digest: Option<String>,
    /// What it asks of the host.
    pub imports: Vec<String>,
    /// What the host can call.
    pub exports: Vec<String>,
    /// What it stores and runs, when it stores anything.
    pub declaration: Option<Declaration>,
    /// What it offers beside HTTP.
    pub manifest: Manifest,
    /// All of it, to compare it with other versions.
    pub asks: Asks,
    /// What to write, so that it can be served: the value of `grants`.
    pub grants: String,
}

/// Looks into a component without serving it.
///
/// # Errors
/// See [`Why`].
pub async fn inspect(
    engine: &Engine,
    artifacts: &Arc<Artifacts>,
    sources: &Sources,
    source: &Location,
    database: &Database,
) -> Result<Inspection, Refused> {
    let module = Some(source.stem()).filter(|stem| !stem.is_empty()).unwrap_or("module").to_owned();
    let refused = |why| Refused { module: module.clone(), why };
    // Who vouches for it is `check`'s to see: this is for whoever has still to decide.
    let source = sources.read(source, &[]).await.map_err(refused)?;
    let (digest, manifest_digest) = (source.digest.clone(), source.manifest.clone());
    let component = compile(engine, artifacts, source).await.map_err(refused)?;
    let ty = component.component_type();
    let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let callable =
        |item: &ComponentItem| matches!(item, ComponentItem::ComponentInstance(_) | ComponentItem::ComponentFunc(_));
    let exports = ty.exports(engine).filter(|(_, item)| callable(&item.ty)).map(|(name, _)| name.to_owned()).collect();
    let all = Grants {
        sql: Some(SqlGrant { free: true }),
        accounts: AccountsGrant::Granted,
        llm: Some(Vec::new()),
        keyvalue: true,
        http: Vec::new(),
        toolbox: Some(Vec::new()),
    };
    let pre = link(engine, &component, &all).map_err(|unmet| refused(unmet.into()))?;
    let declaration =
        declare(engine, &component, &pre, database, &backend::schema_name(&module)).await.map_err(refused)?;
    let callable = Exports::find(&pre).map_err(|error| refused(Why::Exports(error.into())))?;
    let manifest = match callable {
        Some(callable) => manifest::read(&pre, &callable, &module, WasiConfigVariables::new()).await,
        None => Ok(Manifest::default()),
    };
    let manifest = manifest.map_err(|why| refused(Why::Offer(why)))?;
    let asks = Asks::new(imports.iter().cloned(), declaration.as_ref()).and_offers(&manifest);
    let grants = needed(imports.iter().map(String::as_str)).map_err(|unmet| refused(unmet.into()))?;
    Ok(Inspection { digest, manifest_digest, imports, exports, declaration, manifest, asks, grants })
}
