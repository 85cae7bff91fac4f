//! The command line, and the only place with exit codes.

mod call;
mod caller;
mod check;
mod dev;
mod health;
mod inspect;
mod new;
mod print;
mod process;
mod signal;
mod token;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::app::{App, Around, Listeners, StartError};
use crate::config::{Config, Env, Flags, NotALocation, Problems};
use crate::registry;
use crate::registry::artifact;
use crate::registry::compile::COMMAND;
use crate::server::Drained;
use crate::telemetry::{self, Format};

/// Exit codes, by sysexits.h.
const EX_UNAVAILABLE: u8 = 69;
const EX_CONFIG: u8 = 78;

/// How long the token lives that development mode prints.
const DEV_TOKEN_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Host backend logic as sandboxed WebAssembly components
#[derive(Parser)]
#[command(name = crate::NAME, version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Read this configuration file [env: INNKEEPER_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the configured modules
    Serve {
        /// Listen here [env: INNKEEPER_LISTEN; default 0.0.0.0:8000]
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
        /// Serve this as the default module: a .wasm file, a directory with one, or
        /// oci://registry/name@sha256:… [env: INNKEEPER_MODULE]
        #[arg(long, value_name = "SOURCE")]
        module: Option<String>,
    },
    /// Report every mistake that would keep `serve` from serving, and exit
    Check,
    /// Show what a module imports, exports, stores and runs; of two versions, what the
    /// newer one has or asks for that the older one does not
    Inspect {
        /// The .wasm file, a directory with one, or oci://registry/name:tag; the older one
        /// of two
        source: String,
        /// The newer version
        newer: Option<String>,
    },
    /// Compile a module for every machine of this architecture, into the .cwasm
    /// file beside it, so that no start has to
    Compile {
        /// The .wasm file
        file: PathBuf,
    },
    /// Print a token that this host accepts
    Token(token::Args),
    /// Ask the host on the configured port whether it can serve
    Health {
        /// Ask only whether it runs
        #[arg(long)]
        live: bool,
    },
    /// Speak the Model Context Protocol on standard input and output, as one caller:
    /// the one of INNKEEPER_TOKEN, or nobody
    Mcp {
        /// Be this user [needs INNKEEPER_DEV=1]
        #[arg(long = "as", value_name = "USER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        user: Option<String>,
    },
    /// Make a project for a new guest
    New(new::Args),
    /// Build a project, serve it with INNKEEPER_DEV=1, and build it again whenever one of
    /// its files changes
    Dev(dev::Args),
    /// Call one tool of a module, and print what it answers as JSON
    Call(call::Args),
    /// Compile a component from standard input to standard output. What the host starts
    /// of itself for each; see `registry::compile`
    #[command(name = COMMAND, hide = true)]
    CompileComponent {
        /// Bytes
        #[arg(long)]
        memory: usize,
        /// Seconds
        #[arg(long)]
        cpu: u64,
    },
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] Problems),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Module(#[from] registry::Refused),
    #[error(transparent)]
    Location(#[from] NotALocation),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Called(call::Failure),
    #[error("{0}")]
    Other(String),
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            // A registry that is away is not the configuration's fault.
            Self::Module(refused) if refused.why.may_pass() => EX_UNAVAILABLE,
            Self::Start(StartError::Modules(refused)) if refused.may_pass() => EX_UNAVAILABLE,
            Self::Config(_) | Self::Module(_) | Self::Start(StartError::Identity(_) | StartError::Llm(_)) => EX_CONFIG,
            Self::Start(StartError::Modules(_) | StartError::Cache(_)) => EX_CONFIG,
            Self::Start(StartError::Stdio(_) | StartError::Call(_)) => EX_CONFIG,
            Self::Called(failure) => failure.exit_code(),
            Self::Unavailable(_) => EX_UNAVAILABLE,
            Self::Start(
                StartError::Bind { .. } | StartError::Engine(_) | StartError::Otlp(_) | StartError::Random(_),
            )
            | Self::Location(_)
            | Self::Other(_) => 1,
        }
    }
}

/// Parses, runs, and says how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::CompileComponent { memory, cpu } = cli.command {
        return process::compile(memory, cpu);
    }
    let env = Env::process();
    let quiet = matches!(cli.command, Command::Call(_)).then_some(call::LOG);
    telemetry::init(Format::choose(env.get("INNKEEPER_LOG_FORMAT")), env.get("RUST_LOG").or(quiet));
    let result = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli, &env));
            // All that may be left is a look-up of a name, which cannot be
            // cancelled and takes half a minute where no resolver answers.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(CliError::Other(format!("cannot start threads: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // For the person at the terminal; nothing else is left to fail.
            let _ = writeln!(std::io::stderr(), "error: {}", crate::fault::chain(&error).trim_end());
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli, env: &Env) -> Result<(), CliError> {
    let mut flags = Flags { config: cli.config, ..Flags::default() };
    match cli.command {
        Command::Serve { listen, module } => {
            flags.listen = listen;
            flags.module = module;
            serve(process::configure(&flags, env)?, process::around(flags, env)).await
        }
        Command::Check => check::check(process::configure(&flags, env)?).await,
        Command::Inspect { source, newer } => {
            inspect::inspect(process::configure(&flags, env)?, &source, newer.as_deref()).await
        }
        Command::Compile { file } => compile(&file),
        Command::Token(args) => token::print(&process::configure(&flags, env)?, &args),
        Command::Health { live } => {
            let path = if live { "/health/live" } else { "/health/ready" };
            health::ask(&process::configure(&flags, env)?, path).await
        }
        Command::Mcp { user } => stdio(process::configure(&flags, env)?, user, env, process::around(flags, env)).await,
        Command::Call(args) => {
            call::call(process::configure(&flags, env)?, args, env, process::around(flags, env)).await
        }
        Command::New(args) => new::make(&args),
        Command::Dev(args) => dev::dev(args, flags, env).await,
        // `main` has seen to it, before there were threads.
        Command::CompileComponent { .. } => Ok(()),
    }
}

async fn serve(config: Config, around: Around) -> Result<(), CliError> {
    let app = App::new(config.clone(), around)?;
    app.reload_when(Box::pin(signal::hangups()));
    let listeners = Listeners::bind(&config).await?;
    // Port 0 asks the system for a free one.
    let address = listeners.public.local_addr().unwrap_or(config.listen);
    tracing::info!("listening on {address}");
    if config.dev {
        print::welcome(address.port(), &token::of(&config, "alice", DEV_TOKEN_TIME)?);
    }
    match app.serve(listeners, signal::stop()).await? {
        Drained::Clean => tracing::info!("stopped, every request was answered"),
        Drained::CutOff => tracing::warn!("stopped, and cut off requests that took longer than the grace period"),
    }
    Ok(())
}

fn compile(file: &Path) -> Result<(), CliError> {
    let failed = |error| CliError::Other(format!("cannot compile {}: {error:#}", file.display()));
    let compiled = artifact::compile(file).map_err(failed)?;
    print::line(format_args!("{}", compiled.display()));
    Ok(())
}

async fn stdio(config: Config, user: Option<String>, env: &Env, around: Around) -> Result<(), CliError> {
    let token = caller::token(&config, user.as_deref(), env)?;
    App::new(config, around)?.stdio(token, signal::stop()).await.map_err(CliError::from)
}
