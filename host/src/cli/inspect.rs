//! `innkeeper inspect`: one version of a module, or what two of them differ in.

use std::sync::Arc;

use super::{CliError, INSPECT_INSTANCES, print, process};
use crate::app::StartError;
use crate::config::{Config, Location};
use crate::engine;
use crate::registry::artifact::Artifacts;
use crate::registry::{self, Sources};

/// Shows a module that is not served, or what a newer version of it asks for.
pub(super) async fn inspect(config: Config, source: &str, newer: Option<&str>) -> Result<(), CliError> {
    let location =
        |text: &str| Location::parse(text).map_err(|wrong| CliError::Other(format!("{}; {}", wrong.what, wrong.hint)));
    let (source, newer) = (location(source)?, newer.map(location).transpose()?);
    let engine = engine::build(INSPECT_INSTANCES).map_err(StartError::Engine)?;
    let artifacts =
        Arc::new(Artifacts::open(&config.cache_dir, process::compiler(&config)).map_err(StartError::Cache)?);
    let sources = Sources::new(config.registries, &config.cache_dir);
    let look =
        async |source: &Location| registry::inspect(&engine, &artifacts, &sources, source, &config.database).await;
    let inspection = look(&source).await?;
    match newer {
        None => print::inspection(&source, &inspection),
        Some(newer) => print::differences((&source, &inspection), (&newer, &look(&newer).await?)),
    }
    Ok(())
}
