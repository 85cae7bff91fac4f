//! Why a module is not loaded: a sentence that names it and says what to do.

use std::path::PathBuf;

use super::compile::NotCompiled;
use super::link::Unmet;
use super::oci::NotPulled;
use super::signature::Unsigned;

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
