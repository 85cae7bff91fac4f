//! From a file to a guest that can be called. Any failure refuses the module,
//! with a sentence that names it and says what to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use super::artifact::{Artifacts, digest};
use super::catalogue::Offer;
use super::declaration::{Declaration, vet_all};
use super::link::{Unmet, link};
use super::manifest;
use crate::bindings::schema::SchemaExportsPre;
use crate::broker::identity::Identity;
use crate::broker::llm::{self, Llm};
use crate::broker::sql;
use crate::broker::sql::backend::{self, Caps};
use crate::call::{Call, Deadline, Notices, Toolbox, trace::Trace};
use crate::config::{AccountsGrant, Database, ModuleConfig};
use crate::instance::{self, Guest, Profile, State};

/// Guests with an interpreter inside are 10 to 20 MB.
const COMPONENT_BYTES: u64 = 64 << 20;

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
    #[error("cannot read {}: {source}; set INNKEEPER_MODULE or the module's `source` to a .wasm file", path.display())]
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
    /// Other bytes than a component's.
    #[error("{} is not a WebAssembly component ({reason}); build it for the target wasm32-wasip2", path.display())]
    NotAComponent {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
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
    /// The database's configuration is not usable.
    #[error("{0}")]
    Database(String),
}

/// What modules that will be called share.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// Local accounts, where they are on.
    pub identity: &'a Arc<Identity>,
    /// Language models, where there are any.
    pub llm: &'a Arc<Llm>,
}

/// Loads one module: everything but the database itself, which may be away.
/// `shared` is for a module that will be called.
///
/// # Errors
/// See [`Why`].
pub async fn load(
    engine: &Engine,
    artifacts: &Arc<Artifacts>,
    config: &ModuleConfig,
    database: &Database,
    shared: Option<Shared<'_>>,
) -> Result<Offer, Refused> {
    let refused = |why| Refused { module: config.name.clone(), why };
    let (component, digest) = compile(engine, artifacts, &config.source).await.map_err(refused)?;
    let pre = link(engine, &component, &config.grants).map_err(|unmet| refused(unmet.into()))?;
    let declared = declare(engine, &component, &pre, database, &config.name).await.map_err(refused)?;
    let sql = match declared {
        Some(declaration) if config.grants.sql.is_some() => Some(open(config, database, declaration).map_err(refused)?),
        Some(declaration) if !declaration.statements.is_empty() => return Err(refused(Why::NoGrant)),
        _ => None,
    };
    let settings = || config.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut profile = Profile::new(&config.name, config.limits.clone(), settings(), sql.map(Arc::new));
    profile.toolbox.clone_from(&config.grants.toolbox);
    if let Some(Shared { identity, llm }) = shared {
        let granted = config.grants.accounts == AccountsGrant::Granted;
        profile.identity = granted.then(|| Arc::clone(identity));
        profile.llm = config.grants.llm.as_ref().map(|aliases| llm::Access::new(llm, &config.name, aliases));
    }
    let guest = Guest::new(profile, pre, digest).map_err(|error| refused(Why::Exports(error.into())))?;
    let guest = guest.ok_or_else(|| refused(Why::NothingToServe))?;
    let manifest = manifest::read(&guest.pre, &guest.exports, &config.name, settings()).await;
    Ok(Offer { guest: Arc::new(guest), manifest: manifest.map_err(|why| refused(Why::Offer(why)))? })
}

pub(super) async fn compile(
    engine: &Engine,
    artifacts: &Arc<Artifacts>,
    source: &Path,
) -> Result<(Component, String), Why> {
    let (engine, artifacts, path) = (engine.clone(), Arc::clone(artifacts), source.to_owned());
    // Compiling takes seconds of a core: not on the threads that serve.
    let compiled = tokio::task::spawn_blocking(move || {
        let wasm = read(&path)?;
        let component =
            artifacts.component_of(&engine, &path, &wasm).map_err(|error| not_a_component(&path, &wasm, &error))?;
        Ok((component, digest(&wasm)))
    });
    compiled.await.unwrap_or_else(|panic| Err(Why::Declare(format!("the compiler panicked: {panic}"))))
}

fn read(path: &Path) -> Result<Vec<u8>, Why> {
    let unreadable = |source| Why::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > COMPONENT_BYTES {
        return Err(Why::TooLarge { path: path.to_owned() });
    }
    std::fs::read(path).map_err(unreadable)
}

fn not_a_component(path: &Path, wasm: &[u8], error: &wasmtime::Error) -> Why {
    let reason = match wasm {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => "it is a core module".to_owned(),
        [b'\0', b'a', b's', b'm', ..] => format!("{error:#}"),
        _ => "it is not WebAssembly at all".to_owned(),
    };
    Why::NotAComponent { path: path.to_owned(), reason }
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
