//! A component, looked into without being served.

use wasmtime::component::types::ComponentItem;
use wasmtime_wasi_config::WasiConfigVariables;

use super::asks::Asks;
use super::declaration::Declaration;
use super::link::{link, needed};
use super::load::{Loader, compile, declare};
use super::manifest::{self, Manifest};
use super::refused::{Refused, Why};
use crate::broker::sql::backend;
use crate::config::{AccountsGrant, Grants, Location, SqlGrant};
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

impl Loader {
    /// Looks into a component without serving it.
    ///
    /// # Errors
    /// See [`Why`].
    pub async fn inspect(&self, source: &Location) -> Result<Inspection, Refused> {
        let module = Some(source.stem()).filter(|stem| !stem.is_empty()).unwrap_or("module").to_owned();
        self.try_inspect(source, &module).await.map_err(|why| Refused { module, why })
    }

    async fn try_inspect(&self, source: &Location, module: &str) -> Result<Inspection, Why> {
        let Self { sources, engine, artifacts, database, .. } = self;
        // Who vouches for it is `check`'s to see: this is for whoever has still to decide.
        let source = sources.read(source, &[]).await?;
        let (digest, manifest_digest) = (source.digest.clone(), source.manifest.clone());
        let component = compile(engine, artifacts, source).await?;
        let ty = component.component_type();
        let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
        let callable = |item: &ComponentItem| {
            matches!(item, ComponentItem::ComponentInstance(_) | ComponentItem::ComponentFunc(_))
        };
        let exports =
            ty.exports(engine).filter(|(_, item)| callable(&item.ty)).map(|(name, _)| name.to_owned()).collect();
        let all = Grants {
            sql: Some(SqlGrant { free: true }),
            accounts: AccountsGrant::Granted,
            llm: Some(Vec::new()),
            keyvalue: true,
            http: Vec::new(),
            toolbox: Some(Vec::new()),
        };
        let pre = link(engine, &component, &all)?;
        let declaration = declare(engine, &component, &pre, database, &backend::schema_name(module)).await?;
        let callable = Exports::find(&pre).map_err(|error| Why::Exports(error.into()))?;
        let manifest = match callable {
            Some(callable) => manifest::read(&pre, &callable, module, WasiConfigVariables::new()).await,
            None => Ok(Manifest::default()),
        };
        let manifest = manifest.map_err(Why::Offer)?;
        let asks = Asks::new(imports.iter().cloned(), declaration.as_ref()).and_offers(&manifest);
        let grants = needed(imports.iter().map(String::as_str))?;
        Ok(Inspection { digest, manifest_digest, imports, exports, declaration, manifest, asks, grants })
    }
}
