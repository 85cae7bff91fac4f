//! How `innkeeper dev` works on the project whose file this is.

use std::path::PathBuf;

use super::Problems;
use super::raw::RawDev;

/// How a project's modules are built. Serving them needs none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// The command that builds them; a shell runs it. None: nothing is built.
    pub build: Option<String>,
    /// The files and folders whose change starts it again.
    pub watch: Vec<PathBuf>,
}

pub(super) fn build(raw: RawDev, problems: &mut Problems) -> Project {
    let RawDev { build, watch } = raw;
    if build.as_deref().is_some_and(|command| command.trim().is_empty()) {
        problems.push("dev.build", "no command", "write what builds the modules, such as \"npm run build\"");
    }
    let watch = watch.unwrap_or_else(|| vec!["src".to_owned()]);
    if watch.iter().any(String::is_empty) {
        problems.push("dev.watch", "an empty path", "name files and folders, such as [\"src\"]");
    }
    Project { build, watch: watch.into_iter().map(PathBuf::from).collect() }
}
