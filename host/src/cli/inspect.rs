//! `innkeeper inspect`: one version of a module, or what two of them differ in.

use super::{CliError, print, process};
use crate::config::{Config, Location};

/// Shows a module that is not served, or what a newer version of it asks for.
pub(super) async fn inspect(config: Config, source: &str, newer: Option<&str>) -> Result<(), CliError> {
    let (source, newer) = (Location::parse(source)?, newer.map(Location::parse).transpose()?);
    let loader = process::loader(&config)?;
    let inspection = loader.inspect(&source).await?;
    match newer {
        None => print::inspection(&source, &inspection),
        Some(newer) => print::differences((&source, &inspection), (&newer, &loader.inspect(&newer).await?)),
    }
    Ok(())
}
