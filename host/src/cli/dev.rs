//! `innkeeper dev`: a project, served while it is written.
//!
//! Whatever changes is built, by the project's own command; the host then swaps the
//! modules whose files are others, as it always does. A build that fails changes
//! nothing.

mod build;
mod sources;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::build::{Build, Ended};
use self::sources::Sources;
use super::{CliError, DEV_TOKEN_TIME, print, process, signal, token};
use crate::app::{App, Listeners};
use crate::config::{Config, Env, Flags, Location, Project};

/// Between two looks at the sources. What is the same in two of them is whole: an
/// editor writes several files, and some more than once.
const LOOK: Duration = Duration::from_millis(300);

/// What `innkeeper dev` is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The project's folder, where its innkeeper.toml is
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Listen here [env: INNKEEPER_LISTEN; default 0.0.0.0:8000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Builds and serves until a signal comes.
///
/// # Errors
/// There is no project, or what it builds can never be served.
pub(super) async fn dev(args: Args, mut flags: Flags, env: &Env) -> Result<(), CliError> {
    // Paths of the file, and what the build makes, are the project's.
    std::env::set_current_dir(&args.path)
        .map_err(|error| CliError::Other(format!("cannot work in {}: {error}", args.path.display())))?;
    flags.listen = args.listen;
    let env = env.clone().with("INNKEEPER_DEV", "1");
    let config = process::configure(&flags, &env)?;
    let mut builder = Builder::of(&config.project)?;
    tokio::select! {
        built = builder.until_built(&config) => built?,
        () = signal::stop() => return Ok(()),
    }
    let app = App::new(config.clone(), process::around(flags, &env))?;
    let listeners = Listeners::bind(&config).await?;
    // Port 0 asks the system for a free one.
    let address = listeners.public.local_addr().unwrap_or(config.listen);
    tracing::info!(dev.address = %address, "serving at {address}");
    print::at_work(&token::of(&config, "alice", DEV_TOKEN_TIME)?);
    tokio::select! {
        served = app.serve(listeners, signal::stop()) => served.map(|_| ()).map_err(CliError::from),
        never = builder.keep() => match never {},
    }
}

/// Builds what has changed.
struct Builder {
    command: String,
    sources: Sources,
}

/// What does not happen: there is always another change.
enum Never {}

impl Builder {
    fn of(project: &Project) -> Result<Self, CliError> {
        let no_command =
            "the project does not say how it is built; write [dev] with build = \"…\" into its innkeeper.toml";
        let command = project.build.clone().ok_or_else(|| CliError::Other(no_command.to_owned()))?;
        Ok(Self { command, sources: Sources::new(project.watch.clone()) })
    }

    /// Builds until there is something to serve: what is wrong at first is corrected
    /// while this waits.
    async fn until_built(&mut self, config: &Config) -> Result<(), CliError> {
        self.sources.changed().await;
        while !self.build().await? {
            self.next_change().await;
        }
        match config.modules.iter().find(|module| matches!(&module.source, Location::Path(path) if !path.exists())) {
            None => Ok(()),
            Some(module) => {
                let (name, source) = (&module.name, &module.source);
                let why = format!(
                    "`{}` has not made {source}, the source of module `{name}`; correct dev.build or the source",
                    self.command
                );
                Err(CliError::Other(why))
            }
        }
    }

    async fn keep(&mut self) -> Never {
        loop {
            self.next_change().await;
            if let Err(error) = self.build().await {
                tracing::error!("{error}; what was served goes on");
            }
        }
    }

    /// Whether it was built.
    async fn build(&self) -> Result<bool, CliError> {
        let began = Instant::now();
        tracing::info!("building: {}", self.command);
        let failed = |error| CliError::Other(format!("cannot run `{}`: {error}", self.command));
        match Build::start(&self.command).map_err(failed)?.wait().await.map_err(failed)? {
            Ended::Well => {
                tracing::info!("built in {:.1} s", began.elapsed().as_secs_f64());
                Ok(true)
            }
            Ended::Badly(status) => {
                tracing::error!("the build failed ({status}); it is built again when a file changes");
                Ok(false)
            }
        }
    }

    async fn next_change(&mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(changed) = self.sources.changed().await {
                tracing::info!("{} has changed", changed.display());
                return;
            }
        }
    }
}
