//! The one valid form of the configuration.
//!
//! [`Config::load`] reads, in rising order of precedence:
//!
//! 1. the defaults written in this module,
//! 2. the file that `--config` or `INNKEEPER_CONFIG` names,
//! 3. the environment (ConfigMaps and Secrets),
//! 4. the command line.
//!
//! It reports every mistake at once. After it no invalid configuration exists.

mod build;
mod certificates;
mod compile;
mod database;
pub mod egress;
pub mod env;
pub mod limits;
pub mod llm;
pub mod otlp;
pub mod problems;
mod project;
mod raw;
pub mod registries;
mod reload;
pub mod signature;
pub mod source;
pub mod swap;
#[cfg(test)]
mod tests;
mod toolbox;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use secrecy::SecretString;
use url::Url;

pub use build::valid_name;
pub use compile::Compile;
pub use database::{Database, DatabaseKind, Isolation, PostgresConfig};
pub use egress::HttpGrant;
pub use env::Env;
pub use limits::ModuleLimits;
pub use llm::{Dialect, Llm, LlmBudget, LlmBudgets, LlmModel, LlmTimeouts, Quirks};
pub use otlp::Otlp;
pub use problems::{Problem, Problems};
pub use project::Project;
pub use registries::Registries;
pub use signature::PublicKey;
pub use source::{Location, NotALocation, Pin, Reference};
pub use swap::Swap;
pub use toolbox::ToolGrant;

/// What the command line may set.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--module`
    pub module: Option<String>,
}

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the public port listens.
    pub listen: SocketAddr,
    /// Where `/metrics` and `/modules` are served; none: nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// Where compiled modules are kept. Only this user may write there.
    pub cache_dir: PathBuf,
    /// Development: a secret is made when none is set, and a token is printed.
    pub dev: bool,
    /// Accepts HTTP/2 with prior knowledge beside HTTP/1.1.
    pub h2c: bool,
    /// Requests at once; further ones get 503.
    pub max_in_flight: u32,
    /// Proxies in front, each of which adds the address that it saw to
    /// `X-Forwarded-For`. Zero: the header is not believed. More than there are:
    /// clients choose the address that they are limited by.
    pub trusted_proxies: u8,
    /// The database.
    pub database: Database,
    /// How callers are verified.
    pub auth: Auth,
    /// Where traces go; none: nowhere.
    pub otlp: Option<Otlp>,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<HeaderValue>,
    /// The language models that guests may ask.
    pub llm: Llm,
    /// The endpoint of the Model Context Protocol.
    pub mcp: Mcp,
    /// How much compiling a module may take.
    pub compile: Compile,
    /// How modules are swapped while the host serves.
    pub swap: Swap,
    /// How the modules are built, for whoever writes them.
    pub project: Project,
    /// How registries are asked for modules.
    pub registries: Registries,
    /// The modules, in the order of the file.
    pub modules: Vec<ModuleConfig>,
}

/// How callers are verified.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// The shared secret: of HS256 tokens, and of Better Auth's signed session
    /// tokens. None: neither is accepted.
    pub secret: Option<SecretString>,
    /// Where Better Auth runs; its origin may send cookies.
    pub url: Option<Url>,
    /// Where the public keys are. None: they are read from Better Auth's tables.
    pub jwks: Option<Url>,
    /// `iss` must be one of these, when there are any.
    pub issuers: Vec<String>,
    /// `aud` must hold this, when set.
    pub audience: Option<String>,
    /// How long a session that was found stays good without being looked up
    /// again. Zero: not at all, and who signs out is out at once. Longer: fewer
    /// look-ups, and a revoked session lives on for so long.
    pub session_cache: Duration,
    /// Whether users may have accounts here, with a password.
    pub local: bool,
}

/// How the Model Context Protocol is served.
#[derive(Clone, Debug, Default)]
pub struct Mcp {
    /// The address that clients know this host by, without a path of its own. None:
    /// only clients of this machine are let in, and none is told where tokens are.
    pub public_url: Option<Url>,
    /// Further names that this host is reached by.
    pub hosts: Vec<String>,
    /// Nobody is let in without a credential. Otherwise the tools decide.
    pub require_auth: bool,
}

impl Auth {
    /// Who gives tokens out: the issuers, else Better Auth.
    pub fn servers(&self) -> Vec<String> {
        let better_auth = self.url.iter().map(|url| url.origin().ascii_serialization());
        let issuers = self.issuers.iter().filter(|issuer| issuer.starts_with("http")).cloned();
        let servers: Vec<String> = issuers.collect();
        if servers.is_empty() { better_auth.collect() } else { servers }
    }
}

/// One module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleConfig {
    /// Its name, `[a-z][a-z0-9-]{0,30}`: also its schema in the database.
    pub name: String,
    /// Where it comes from.
    pub source: Location,
    /// Whose signature it needs: one of theirs. Empty: it needs none.
    pub keys: Vec<PublicKey>,
    /// The path prefix it answers; the longest prefix wins.
    pub route: String,
    /// What it may use.
    pub grants: Grants,
    /// How much of it.
    pub limits: ModuleLimits,
    /// Settings that the guest reads through `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// The path that a new version of it answers before it is served; none: it is
    /// not asked. Only of modules that speak HTTP.
    pub smoke: Option<String>,
}

/// What a module may use. Nothing, unless it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Statements on the configured database, in a schema of its own.
    pub sql: Option<SqlGrant>,
    /// Registering users and signing them in.
    pub accounts: AccountsGrant,
    /// Language models, by alias; the first is the one that is asked when a guest
    /// names none. None of them in the list: it is served, and told so.
    pub llm: Option<Vec<String>>,
    /// Tools of other modules. None of them in the list: it is served, and has none.
    pub toolbox: Option<Vec<ToolGrant>>,
    /// Keys and values of its own, by `wasi:keyvalue`.
    pub keyvalue: bool,
    /// Servers that it may ask by HTTP.
    pub http: Vec<HttpGrant>,
}

/// Whether a module may register users and sign them in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountsGrant {
    /// Nobody thought of it: a module that asks for it is refused.
    #[default]
    None,
    /// The operator said no: the module is served, and is told `disabled`.
    Withheld,
    /// It may, where local accounts are on.
    Granted,
}

/// Which statements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqlGrant {
    /// Beside the declared ones, texts that the module writes while it runs.
    pub free: bool,
}

impl Config {
    /// Reads everything; see the module's documentation for the order.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn load(flags: &Flags, env: &Env) -> Result<Self, Problems> {
        build::load(flags, env)
    }
}
