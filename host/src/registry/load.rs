//! From a file to a guest that can be called. Any failure refuses the module,
//! with a sentence that names it and says what to do.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use super::artifact::Artifacts;
use super::asks::Asks;
use super::catalogue::Offer;
use super::compile::NotCompiled;
use super::declaration::{Declaration, vet_all};
use super::link::{Unmet, link};
use super::manifest;
use super::oci::NotPulled;
use super::signature::Unsigned;
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

/// Why a module is not loaded.
#[derive(Debug, thiserror::Error)]
#[error("module `{module}`: {why}")]
pub struct Refused {
    /// Its name.
    pub module: String,
    /// The reason.
    pub why: Why,
}

/// The reason.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// The file is not there, or cannot be read.
    #[error(
        "cannot read {}: {source}; set INNKEEPER_MODULE or the module's `source` to a .wasm file, a directory with one, or oci://registry/name@sha256:…",
        path.display()
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Larger than any component should be.
    #[error("{} is larger than 64 MiB", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// It does not come from its registry.
    #[error(transparent)]
    Registry(NotPulled),
    /// Nobody vouches for the file.
    #[error("the signature {name} is refused: {why}")]
    Unsigned {
        /// The signature's file.
        name: String,
        /// Why.
        why: Unsigned,
    },
    /// Other bytes than a component's.
    #[error("{name} is not a WebAssembly component ({reason}); build it for the target wasm32-wasip2")]
    NotAComponent {
        /// Which file or artifact.
        name: String,
        /// What it is instead.
        reason: String,
    },
    /// There is no code of it.
    #[error(transparent)]
    Compile(NotCompiled),
    /// Its imports are not what it was granted.
    #[error("{}", crate::fault::chain(.0))]
    Unmet(#[from] Unmet),
    /// There is nothing to call.
    #[error(
        "exports nothing that can be served; export wasi:http/incoming-handler (0.2), or tools, resources or prompts"
    )]
    NothingToServe,
    /// It exports an interface of ours in another form.
    #[error("exports something that is not what this host calls")]
    Exports(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another module answers there.
    #[error("its route `{prefix}` is that of `{owner}` too; give one of them another `route`")]
    Route {
        /// The prefix of both.
        prefix: String,
        /// Who was first.
        owner: String,
    },
    /// It was granted tools that there are not.
    #[error("its grant `toolbox` is refused: {0}; correct the grant, or the modules")]
    Toolbox(String),
    /// What it offers beside HTTP is not allowed.
    #[error("what it offers is refused: {0}")]
    Offer(String),
    /// `declare` did not answer.
    #[error("its `declare` failed: {0}")]
    Declare(String),
    /// It declares what is not allowed.
    #[error("{0}")]
    Declaration(String),
    /// It stores something and has no database.
    #[error("declares statements without a grant for them; add `grants = {{ sql = \"main\" }}` to the module")]
    NoGrant,
    /// A server that it was granted cannot be asked.
    #[error("its grant `http` is refused: {0}; correct the grant")]
    Http(String),
    /// The database's configuration is not usable.
    #[error("{0}")]
    Database(String),
}

impl Why {
    /// Whether it may pass by itself.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Registry(why) if why.may_pass())
    }
}

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
    let limit = store.data().profile.limits.wall;
    let ask = async {
        let guest = pre.instantiate_async(&mut store).await?;
        guest.innkeeper_backend_schema().call_declare(&mut store).await
    };
    let declared = tokio::time::timeout(limit, ask).await;
    let declared = declared.map_err(|_| Why::Declare("it took too long".to_owned()))?.map_err(failed)?;
    let vetted = vet_all(declared, backend::dialect(database), &backend::schema_name(module));
    vetted.map(Some).map_err(Why::Declaration)
}

fn open(config: &ModuleConfig, database: &Database, declaration: Declaration) -> Result<sql::Store, Why> {
    let caps = Caps::of(&config.limits);
    let backend = backend::open(database, &config.name, &caps).map_err(|error| Why::Database(error.to_string()))?;
    Ok(sql::Store::new(backend, declaration.statements, declaration.schema, caps))
}
