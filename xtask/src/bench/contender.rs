//! The contenders: how each is built, and how its servers are started.

use super::{
    chat::{CHATS, model},
    link,
    workload::Workload,
};
use crate::{
    machine,
    postgres::{Cluster, random_word},
    process, python, workspace,
};
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The release line that the host is built on; any of its patches will do.
const WASMTIME_LINE: &str = "48";
const WASMTIME_VERSION: &str = "48.0.8";

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contender {
    Innkeeper,
    /// Innkeeper with `INNKEEPER_ISOLATION=trusted`.
    Trusted,
    Native,
    Fastapi,
    /// The official Python SDK of the Model Context Protocol.
    Mcp,
    Wasmtime,
}

/// One server of a contender.
pub(crate) struct Stand {
    pub(crate) contender: Contender,
    pub(crate) name: &'static str,
    workloads: &'static [Workload],
    /// The path that answers 200 once it can serve.
    pub(crate) ready: &'static str,
    /// It compiles at its first start, and keeps the result.
    pub(crate) compiles: bool,
}

impl Stand {
    pub(crate) fn serves(&self, workload: Workload) -> bool {
        self.workloads.contains(&workload)
    }
}

const INNKEEPER: [Stand; 3] = [
    Stand {
        contender: Contender::Innkeeper,
        name: "Innkeeper, todo",
        workloads: &[Workload::List, Workload::Create],
        ready: "/health/ready",
        compiles: true,
    },
    Stand {
        contender: Contender::Innkeeper,
        name: "Innkeeper, hello",
        workloads: &[Workload::Hello],
        ready: "/health/ready",
        compiles: true,
    },
    Stand {
        contender: Contender::Innkeeper,
        name: "Innkeeper, tools",
        workloads: &[Workload::Tool],
        ready: "/health/ready",
        compiles: true,
    },
];

/// The same guest, with room for as many chats as are measured.
const INNKEEPER_CHAT: Stand = Stand {
    contender: Contender::Innkeeper,
    name: "Innkeeper, chat",
    workloads: &[],
    ready: "/health/ready",
    compiles: true,
};

const TRUSTED: [Stand; 1] = [Stand {
    contender: Contender::Trusted,
    name: "Innkeeper, todo, isolation off",
    workloads: &[Workload::List, Workload::Create],
    ready: "/health/ready",
    compiles: true,
}];

const NATIVE: [Stand; 1] = [Stand {
    contender: Contender::Native,
    name: "native axum + sqlx",
    workloads: &[Workload::Hello, Workload::List, Workload::Create],
    ready: "/health/ready",
    compiles: false,
}];

const FASTAPI: [Stand; 1] = [Stand {
    contender: Contender::Fastapi,
    name: "FastAPI, 2 workers",
    workloads: &[Workload::Hello, Workload::List, Workload::Create],
    ready: "/health/ready",
    compiles: false,
}];

const MCP: [Stand; 1] = [Stand {
    contender: Contender::Mcp,
    name: "Python MCP SDK, 2 workers",
    workloads: &[Workload::Tool],
    ready: "/health/ready",
    compiles: false,
}];

const WASMTIME: [Stand; 1] = [Stand {
    contender: Contender::Wasmtime,
    name: "wasmtime serve, hello",
    workloads: &[Workload::Hello],
    ready: "/",
    compiles: true,
}];

impl Contender {
    pub(crate) const ALL: [Self; 6] =
        [Self::Innkeeper, Self::Trusted, Self::Native, Self::Fastapi, Self::Mcp, Self::Wasmtime];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Innkeeper => "Innkeeper",
            Self::Trusted => "Innkeeper, isolation off",
            Self::Native => "native axum + sqlx",
            Self::Fastapi => "FastAPI + asyncpg, 2 workers",
            Self::Mcp => "Python MCP SDK, 2 workers",
            Self::Wasmtime => "wasmtime serve",
        }
    }

    pub(crate) fn stands(self) -> &'static [Stand] {
        match self {
            Self::Innkeeper => &INNKEEPER,
            Self::Trusted => &TRUSTED,
            Self::Native => &NATIVE,
            Self::Fastapi => &FASTAPI,
            Self::Mcp => &MCP,
            Self::Wasmtime => &WASMTIME,
        }
    }

    /// The server that chats, if it does.
    pub(crate) fn chats(self) -> Option<&'static Stand> {
        match self {
            Self::Innkeeper => Some(&INNKEEPER_CHAT),
            Self::Fastapi => Some(&FASTAPI[0]),
            Self::Trusted | Self::Native | Self::Mcp | Self::Wasmtime => None,
        }
    }

    /// The contender's own database in the one cluster.
    pub(crate) fn database(self) -> &'static str {
        match self {
            Self::Innkeeper => "innkeeper",
            Self::Trusted => "trusted",
            Self::Native => "native",
            Self::Fastapi => "fastapi",
            Self::Mcp => "mcp",
            Self::Wasmtime => "wasmtime",
        }
    }

    /// Whether a failed build is this repository's fault.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Innkeeper | Self::Trusted | Self::Native)
    }

    pub(crate) fn needs_guests(self) -> bool {
        matches!(self, Self::Innkeeper | Self::Trusted | Self::Wasmtime)
    }

    /// Builds or installs it.
    pub(crate) fn prepare(self) -> Result<()> {
        match self {
            Self::Innkeeper | Self::Trusted => build("innkeeper"),
            Self::Native => build("bench-native"),
            Self::Fastapi | Self::Mcp => python::environment(&self.venv(), &self.source().join("requirements.txt")),
            Self::Wasmtime => prepare_wasmtime(),
        }
    }

    /// Where a contender in Python has its source and its list of packages.
    fn source(self) -> PathBuf {
        workspace::root().join("bench").join(if self == Self::Mcp { "mcp" } else { "fastapi" })
    }

    /// Where those packages are installed.
    fn venv(self) -> PathBuf {
        workspace::root().join(if self == Self::Mcp { "bench/.venv-mcp" } else { "bench/.venv" })
    }

    /// What has to be there to run it, apart from the system.
    fn artifact(self) -> Result<PathBuf> {
        match self {
            Self::Innkeeper | Self::Trusted => Ok(workspace::target()?.join("dist/innkeeper")),
            Self::Native => Ok(workspace::target()?.join("dist/bench-native")),
            Self::Fastapi | Self::Mcp => Ok(self.venv()),
            Self::Wasmtime => find_wasmtime()?.context("wasmtime is not installed"),
        }
    }
}

/// The size of what has to be there to run a server.
pub(crate) fn size_mib(stand: &Stand) -> Result<f64> {
    let artifact = stand.contender.artifact()?;
    let mut du = Command::new("du");
    let text = process::output(du.args(["--summarize", "--bytes"]).arg(&artifact))?;
    let bytes = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    Ok(bytes.context("du printed no size")? / 1024.0 / 1024.0)
}

/// What the servers of one run share: the cluster, the secret, a directory.
pub(crate) struct Site<'cluster> {
    cluster: &'cluster Cluster,
    pub(crate) secret: String,
    /// The model that chats are answered by.
    pub(crate) model: SocketAddr,
    dir: TempDir,
}

impl<'cluster> Site<'cluster> {
    /// Makes every contender's database, empty.
    pub(crate) fn new(cluster: &'cluster Cluster) -> Result<Self> {
        let schema = fs::read_to_string(workspace::root().join("bench/schema.sql"))?;
        for contender in Contender::ALL {
            cluster.sql("postgres", &format!("CREATE DATABASE {}", contender.database()))?;
        }
        // Innkeeper and its guest make their own tables.
        for contender in [Contender::Native, Contender::Fastapi] {
            cluster.sql(contender.database(), &schema)?;
        }
        let dir = tempfile::Builder::new().prefix("innkeeper-bench-").tempdir()?;
        let model = model::start()?;
        Ok(Self { cluster, secret: random_word()?, model, dir })
    }

    /// The command that starts a server on `port`, on a database that is here or
    /// at the other end of a slow link.
    pub(crate) fn command(&self, stand: &Stand, port: u16, far: Option<SocketAddr>) -> Result<Command> {
        let listen = format!("127.0.0.1:{port}");
        let artifact = stand.contender.artifact()?;
        let mut command = match stand.contender {
            Contender::Fastapi | Contender::Mcp => Command::new(artifact.join("bin/uvicorn")),
            _ => Command::new(artifact),
        };
        command.current_dir(self.dir.path()).env("BETTER_AUTH_SECRET", &self.secret);
        let url = self.cluster.url(stand.contender.database());
        let url = match far {
            Some(link) => url.replace(&self.cluster.address().to_string(), &link.to_string()),
            None => url,
        };
        command.env("DATABASE_URL", url);
        command.env("OPENAI_BASE_URL", format!("http://{}/v1", self.model));
        command.env("OPENAI_API_KEY", "none").env("OPENAI_MODEL", "slow");
        match stand.contender {
            Contender::Innkeeper | Contender::Trusted => {
                command.arg("serve");
                if stand.contender == Contender::Trusted {
                    command.env("INNKEEPER_ISOLATION", "trusted");
                }
                command.env("INNKEEPER_LISTEN", listen).env("INNKEEPER_ADMIN_LISTEN", "off");
                command.env("INNKEEPER_CACHE_DIR", self.compiled(stand));
                if stand.serves(Workload::Hello) {
                    command.env("INNKEEPER_MODULE", guest("hello"));
                    let file = self.dir.path().join("hello.db");
                    command.env("DATABASE_URL", format!("sqlite://{}", file.display()));
                } else if stand.serves(Workload::Tool) {
                    command.env("INNKEEPER_CONFIG", self.tools()?);
                    let file = self.dir.path().join("tools.db");
                    command.env("DATABASE_URL", format!("sqlite://{}", file.display()));
                } else if stand.name == INNKEEPER_CHAT.name {
                    command.env("INNKEEPER_CONFIG", self.roomy()?);
                } else {
                    command.env("INNKEEPER_MODULE", guest("todo"));
                }
            }
            Contender::Native => {
                command.env("LISTEN", listen);
            }
            Contender::Fastapi | Contender::Mcp => {
                let app = if stand.contender == Contender::Mcp { "server:app" } else { "app:app" };
                command.arg("--app-dir").arg(stand.contender.source());
                command.args([app, "--workers=2", "--loop=uvloop", "--http=httptools"]);
                command.args(["--no-access-log", "--port", &port.to_string()]);
            }
            Contender::Wasmtime => {
                command.args(["serve", "-Scli", "--addr", &listen]).arg(guest("hello"));
                command.env("XDG_CACHE_HOME", self.compiled(stand));
            }
        }
        Ok(command)
    }

    /// A configuration with room for every chat, and some that are being torn down.
    fn roomy(&self) -> Result<PathBuf> {
        let (file, room, source) = (self.dir.path().join("chat.toml"), CHATS * 2, guest("todo"));
        let text = format!(
            "max_in_flight = {room}\n\n[[module]]\nname = \"todo\"\nroute = \"/\"\nsource = \"{}\"\n\
             grants = {{ sql = \"main\", accounts = false, llm = [\"default\"], toolbox = [] }}\n\
             limits = {{ concurrency = {room} }}\n\n\
             [llm.budgets.module]\nrequests_per_minute = 100000\nconcurrency = {room}\n\n\
             [llm.budgets.host]\nrequests_per_minute = 100000\nconcurrency = {room}\n",
            source.display()
        );
        fs::write(&file, text)?;
        Ok(file)
    }

    /// The host that says hello, with a module of tools beside.
    fn tools(&self) -> Result<PathBuf> {
        let (file, hello, tools) = (self.dir.path().join("tools.toml"), guest("hello"), guest("conformance"));
        let text = format!(
            "[[module]]\nname = \"hello\"\nroute = \"/\"\nsource = \"{}\"\n\n\
             [[module]]\nname = \"tools\"\nsource = \"{}\"\n",
            hello.display(),
            tools.display()
        );
        fs::write(&file, text)?;
        Ok(file)
    }

    /// A link of its own to the cluster.
    pub(crate) fn link(&self) -> Result<SocketAddr> {
        link::before(self.cluster.address())
    }

    /// Where a server's output goes.
    pub(crate) fn log(&self, stand: &Stand) -> PathBuf {
        self.dir.path().join(format!("{}.log", stand.name))
    }

    /// Makes the next start a cold one.
    pub(crate) fn forget_compiled(&self, stand: &Stand) -> Result<()> {
        let dir = self.compiled(stand);
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        Ok(())
    }

    fn compiled(&self, stand: &Stand) -> PathBuf {
        self.dir.path().join(format!("{}.cache", stand.name))
    }
}

fn guest(name: &str) -> PathBuf {
    workspace::guest_components().join(name).with_extension("wasm")
}

fn build(package: &str) -> Result<()> {
    let mut cargo = workspace::cargo();
    process::run(cargo.args(["build", "--profile=dist", "--package", package]))
}

/// Installs wasmtime's command line, built as the other Rust contenders are.
fn prepare_wasmtime() -> Result<()> {
    if find_wasmtime()?.is_some() {
        return Ok(());
    }
    eprintln!("building wasmtime {WASMTIME_VERSION}, which takes a while; --no-wasmtime skips it");
    let mut cargo = workspace::cargo();
    cargo.args(["install", "wasmtime-cli", "--version", WASMTIME_VERSION, "--locked"]);
    cargo.arg("--root").arg(tools()?);
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "thin");
    cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    cargo.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    process::run(&mut cargo)
}

fn tools() -> Result<PathBuf> {
    Ok(workspace::target()?.join("bench-tools"))
}

/// A wasmtime of the right line: on the PATH, or built by an earlier run.
fn find_wasmtime() -> Result<Option<PathBuf>> {
    let built = tools()?.join("bin/wasmtime");
    let found = [machine::find_on_path("wasmtime"), Some(built).filter(|file| file.is_file())];
    Ok(found.into_iter().flatten().find(|file| is_right_wasmtime(file)))
}

fn is_right_wasmtime(file: &Path) -> bool {
    let version = process::output(Command::new(file).arg("--version"));
    version.is_ok_and(|text| line_of(&text) == Some(WASMTIME_LINE))
}

/// The first number of `wasmtime 48.0.8 (5a1b2c3 2026-10-01)`.
fn line_of(version: &str) -> Option<&str> {
    version.strip_prefix("wasmtime ")?.split('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wasmtime_is_taken_by_its_release_line() {
        assert_eq!(line_of("wasmtime 48.0.8 (5a1b2c3 2026-10-01)\n"), Some("48"));
        assert_eq!(line_of("wasmtime 4.8.0\n"), Some("4"));
        assert_eq!(line_of("wasm-tools 48.0.8\n"), None);
    }
}
