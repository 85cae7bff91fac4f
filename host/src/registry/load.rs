//! From a file to a guest that can be called. Any failure refuses the module,
//! with a sentence that names it and says what to do.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use super::artifact::Artifacts;
use super::asks::Asks;
use super::catalogue::Offer;
use super::compile::NotCompiled;
use super::declaration::{Declaration, vet_all};
use super::link::link;
use super::manifest;
use super::refused::{Refused, Why};
use super::source::{Source, Sources};
use crate::bindings::schema::SchemaExportsPre;
use crate::broker::http::Servers;
use crate::broker::identity::Identity;
use crate::broker::keyvalue;
use crate::broker::llm::{self, Llm};
use crate::broker::sql;
use crate::broker::sql::backend::{self, Caps};
use crate::call::{Call, Deadline, Notices, Toolbox, trace::Trace};
use crate::config::{AccountsGrant, Database, ModuleConfig};
use crate::instance::{self, Guest, Profile, State};

/// What modules that will be called share.
pub struct Brokers {
    /// Local accounts, where they are on.
    pub identity: Arc<Identity>,
    /// Language models, where there are any.
    pub llm: Arc<Llm>,
    /// Keys and values.
    pub keyvalue: Arc<keyvalue::Store>,
}

/// Loads modules.
pub struct Loader {
    /// What reads them.
    pub sources: Sources,
    /// What compiles them.
    pub engine: Engine,
    /// What was compiled before.
    pub artifacts: Arc<Artifacts>,
    /// What they store things in.
    pub database: Database,
    /// For modules that will be called.
    pub brokers: Option<Brokers>,
}

impl Loader {
    /// Loads one module: everything but the database itself, which may be away.
    ///
    /// # Errors
    /// See [`Why`].
    pub async fn load(&self, config: &ModuleConfig, source: Source) -> Result<Offer, Refused> {
        self.try_load(config, source).await.map_err(|why| Refused { module: config.name.clone(), why })
    }

    async fn try_load(&self, config: &ModuleConfig, source: Source) -> Result<Offer, Why> {
        let digest = source.digest.clone();
        let component = compile(&self.engine, &self.artifacts, source).await?;
        let pre = link(&self.engine, &component, &config.grants)?;
        let declaration = declare(&self.engine, &component, &pre, &self.database, &config.name).await?;
        let imports = component.component_type();
        let imports = imports.imports(&self.engine).map(|(name, _)| name.to_owned());
        let asks = Asks::new(imports, declaration.as_ref());
        let sql = match declaration {
            Some(declaration) if config.grants.sql.is_some() => Some(open(config, &self.database, declaration)?),
            Some(declaration) if !declaration.statements.is_empty() => return Err(Why::NoGrant),
            _ => None,
        };
        let settings = || config.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut profile = Profile::new(&config.name, config.limits.clone(), settings(), sql.map(Arc::new));
        profile.toolbox.clone_from(&config.grants.toolbox);
        profile.http = Arc::new(Servers::new(&config.name, &config.grants.http, &config.limits).map_err(Why::Http)?);
        if let Some(Brokers { identity, llm, keyvalue }) = &self.brokers {
            let granted = config.grants.accounts == AccountsGrant::Granted;
            profile.identity = granted.then(|| Arc::clone(identity));
            profile.keyvalue = config.grants.keyvalue.then(|| Arc::clone(keyvalue));
            profile.llm = config.grants.llm.as_ref().map(|aliases| llm::Access::new(llm, &config.name, aliases));
        }
        let guest = Guest::new(profile, pre, digest).map_err(|error| Why::Exports(error.into()))?;
        let guest = guest.ok_or(Why::NothingToServe)?;
        let manifest =
            manifest::read(&guest.pre, &guest.exports, &config.name, settings()).await.map_err(Why::Offer)?;
        let asks = Arc::new(asks.and_offers(&manifest));
        Ok(Offer { guest: Arc::new(guest), manifest: Arc::new(manifest), asks })
    }
}

pub(super) async fn compile(engine: &Engine, artifacts: &Arc<Artifacts>, source: Source) -> Result<Component, Why> {
    let name = source.name.clone();
    let reason = match &source.wasm[..] {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Some("it is a core module"),
        [b'\0', b'a', b's', b'm', ..] => None,
        _ => Some("it is not WebAssembly at all"),
    };
    if let Some(reason) = reason {
        return Err(Why::NotAComponent { name, reason: reason.to_owned() });
    }
    artifacts.component(engine, source).await.map_err(|not| match not {
        NotCompiled::Invalid(reason) => Why::NotAComponent { name, reason },
        other => Why::Compile(other),
    })
}

/// Asks a module what it stores, in a store without a caller and without a
/// database. None when it exports no schema.
pub(super) async fn declare(
    engine: &Engine,
    component: &Component,
    pre: &InstancePre<State>,
    database: &Database,
    module: &str,
) -> Result<Option<Declaration>, Why> {
    let exports = component.component_type();
    let mut names = exports.exports(engine).map(|(name, _)| name.to_owned());
    if !names.any(|name| name.starts_with("innkeeper:backend/schema")) {
        return Ok(None);
    }
    let failed = |error: wasmtime::Error| Why::Declare(format!("{error:#}"));
    let pre = SchemaExportsPre::new(pre.clone()).map_err(failed)?;
    let limits = instance::declare_limits();
    let call = Call {
        id: "declare".into(),
        caller: None,
        client: None,
        deadline: Deadline::after(limits.wall),
        trace: Trace::default(),
        notices: Notices::default(),
        toolbox: Toolbox::default(),
    };
    let profile = Profile::new(module, limits, WasiConfigVariables::new(), None);
    let mut store = instance::store(engine, &Arc::new(profile), &Arc::new(call));
    let (limit, turn) = (store.data().profile.limits.wall, store.data().turn.clone());
    let ask = async {
        let guest = pre.instantiate_async(&mut store).await?;
        guest.innkeeper_backend_schema().call_declare(&mut store).await
    };
    let declared = tokio::time::timeout(limit, turn.run(ask)).await;
    let declared = declared.map_err(|_| Why::Declare("it took too long".to_owned()))?.map_err(failed)?;
    let vetted = vet_all(declared, backend::dialect(database), &backend::schema_name(module));
    vetted.map(Some).map_err(Why::Declaration)
}

fn open(config: &ModuleConfig, database: &Database, declaration: Declaration) -> Result<sql::Store, Why> {
    let caps = Caps::of(&config.limits);
    let backend = backend::open(database, &config.name, &caps).map_err(|error| Why::Database(error.to_string()))?;
    Ok(sql::Store::new(backend, declaration.statements, declaration.schema, caps))
}
