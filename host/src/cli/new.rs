//! `innkeeper new`: a project for a guest, which its language's own tools build and test.
//!
//! It holds all that it needs of this repository, as copies: the WIT package, and what
//! guests in its language are written with.

mod files;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use self::files::Files;
use super::{CliError, print};
use crate::config::valid_name;

/// What `innkeeper new` is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The module's name, and the folder's that is made
    name: String,
    /// What it is written in
    #[arg(long, value_enum)]
    lang: Language,
    /// Answer HTTP, and store something, instead of offering a tool
    #[arg(long)]
    http: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Language {
    Rust,
    Python,
    Javascript,
}

/// Files of one origin, and where they belong.
type Part = (&'static str, Files);

impl Language {
    fn parts(self, http: bool) -> [Part; 4] {
        use files as f;
        let wit = ("wit", f::WIT);
        match self {
            Self::Rust => {
                let own = if http { f::RUST_HTTP } else { f::RUST_PLUGIN };
                [wit, ("vendor/innkeeper-guest", f::RUST_SDK), ("", f::RUST_COMMON), ("", own)]
            }
            Self::Python => {
                let own = if http { f::PYTHON_HTTP } else { f::PYTHON_PLUGIN };
                [wit, ("src/innkeeper", f::PYTHON_SDK), ("", f::PYTHON_COMMON), ("", own)]
            }
            Self::Javascript => {
                let own = if http { f::JAVASCRIPT_HTTP } else { f::JAVASCRIPT_PLUGIN };
                [wit, ("src/innkeeper", f::JAVASCRIPT_SDK), ("", f::JAVASCRIPT_COMMON), ("", own)]
            }
        }
    }
}

/// What cargo takes for something else: words of the language, packages of every
/// toolchain, and what the project depends on.
const TAKEN: [&str; 62] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "axum",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "innkeeper-guest",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "use",
    "where",
    "while",
    "wstd",
];

/// Makes the project.
///
/// # Errors
/// The name is none, or the folder is somebody's.
pub(super) fn make(args: &Args) -> Result<(), CliError> {
    let Args { name, lang, http } = args;
    check(name)?;
    let folder = Path::new(name);
    let failed = |error: io::Error| CliError::Other(format!("cannot make {}: {error}", folder.display()));
    if !is_free(folder).map_err(failed)? {
        let why = format!("{} is there already, and not empty; choose another name", folder.display());
        return Err(CliError::Other(why));
    }
    for (below, files) in lang.parts(*http) {
        for (path, text) in files {
            write(&folder.join(below), path, text, name).map_err(failed)?;
        }
    }
    print::line(format_args!("made {name}; what to do next is in {}", folder.join("README.md").display()));
    Ok(())
}

fn check(name: &str) -> Result<(), CliError> {
    if !valid_name(name) || name.ends_with('-') {
        let why = format!(
            "`{name}` is no name for a module; use lower-case letters, digits and dashes, at most 31, a letter first"
        );
        return Err(CliError::Other(why));
    }
    if TAKEN.contains(&name) {
        return Err(CliError::Other(format!("`{name}` means something else to a compiler; choose another name")));
    }
    Ok(())
}

fn is_free(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn write(folder: &Path, path: &str, text: &str, name: &str) -> io::Result<()> {
    let path = folder.join(target(path));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // Never through a link, nor over what came in between.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    // Cargo names the file of a library after its identifier, and of a program after its name.
    let text = text.replace("{{name}}", name).replace("{{lib}}", &name.replace('-', "_"));
    file.write_all(text.as_bytes())
}

/// Names that would mean something here already.
fn target(path: &str) -> PathBuf {
    match path {
        "gitignore" => ".gitignore".into(),
        path => path.strip_suffix(".in").unwrap_or(path).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Language, check, target};

    #[test]
    fn a_name_is_a_modules_and_no_word_of_a_compiler() {
        for (name, good) in [
            ("slug", true),
            ("my-tools2", true),
            ("", false),
            ("Slug", false),
            ("2go", false),
            ("a/b", false),
            ("../up", false),
            ("a_b", false),
            ("a-", false),
            ("match", false),
            ("serde", false),
            ("public", false),
        ] {
            assert_eq!(check(name).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn every_project_says_how_it_is_built_and_what_it_is() {
        for language in [Language::Rust, Language::Python, Language::Javascript] {
            for http in [false, true] {
                let parts = language.parts(http);
                let mut all: Vec<_> = parts
                    .iter()
                    .flat_map(|(below, files)| files.iter().map(move |(path, _)| (*below, target(path))))
                    .collect();
                for wanted in ["README.md", "innkeeper.toml", ".gitignore"] {
                    assert!(all.contains(&("", wanted.into())), "{language:?} {http} has no {wanted}");
                }
                let count = all.len();
                all.sort();
                all.dedup();
                assert_eq!(all.len(), count, "a file is there twice");
            }
        }
    }
}
