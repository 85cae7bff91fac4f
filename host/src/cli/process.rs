//! This program as a process: what it starts of itself, and what it does then.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::CliError;
use crate::app::{Around, StartError};
use crate::config::{Config, Env, Flags};
use crate::engine;
use crate::registry::artifact::{self, Artifacts};
use crate::registry::compile::{Compiler, EX_DATAERR, compile_within_limits};
use crate::registry::{Loader, Sources};

/// Slots for looking at modules one by one; a guest with an interpreter takes several.
const INSPECT_INSTANCES: u32 = 16;

/// Linux's name for the program that is running, also when its file was replaced.
const PROGRAM: &str = "/proc/self/exe";

/// Compiles one component, and does nothing else: no configuration, no log, no threads
/// but the compiler's.
pub(super) fn compile(memory: usize, cpu: u64) -> ExitCode {
    let Err(why) = compile_within_limits(memory, Duration::from_secs(cpu)) else { return ExitCode::SUCCESS };
    let _ = writeln!(std::io::stderr(), "{why}");
    ExitCode::from(EX_DATAERR)
}

/// What loads modules that are looked at, and not called.
pub(super) fn loader(config: &Config) -> Result<Loader, CliError> {
    Ok(Loader {
        sources: Sources::new(config.registries.clone(), &config.cache_dir),
        engine: engine::build(INSPECT_INSTANCES).map_err(StartError::Engine)?,
        artifacts: Arc::new(Artifacts::open(&config.cache_dir, compiler(config)).map_err(StartError::Cache)?),
        database: config.database.clone(),
        brokers: None,
    })
}

/// What starts `compile`.
fn compiler(config: &Config) -> Compiler {
    Compiler::new(PROGRAM.into(), config.compile)
}

/// What a host needs of this process.
pub(super) fn around(flags: Flags, env: &Env) -> Around {
    let env = env.clone();
    // As it is then: files may have changed.
    Around { program: PROGRAM.into(), reread: Box::new(move || Config::load(&flags, &env)) }
}

/// The configuration, with a secret of this machine in development.
pub(super) fn configure(flags: &Flags, env: &Env) -> Result<Config, CliError> {
    let mut config = Config::load(flags, env)?;
    if config.dev && config.auth.secret.is_none() {
        // The directory of the cache is for this user alone.
        artifact::make(&config.cache_dir).map_err(|error| CliError::Start(StartError::Cache(error)))?;
        let key = artifact::key(&config.cache_dir.join("development.key"));
        let key = key.map_err(|error| CliError::Start(StartError::Cache(error)))?;
        let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        config.auth.secret = Some(SecretString::from(text));
    }
    Ok(config)
}
