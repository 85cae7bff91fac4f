//! `innkeeper call`: one tool, from a shell, without a server.
//!
//! A module of the configuration is called with its grants and limits, on its database.
//! A `.wasm` file, or an artifact of a registry, that is not configured gets what cannot
//! do any harm: tables in a database that is gone afterwards, and no other grant.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::{CliError, caller, print, signal};
use crate::app::{App, Around, StartError, Wanted};
use crate::config::limits::BODY_BYTES;
use crate::config::{Config, DatabaseKind, Env, Grants, Location, ModuleConfig, SqlGrant};
use crate::fault::{Blame, Fault};

/// What is logged unless RUST_LOG says otherwise: what the guest prints, and trouble.
pub(super) const LOG: &str = "warn,innkeeper::instance::guest_log=info";

/// By sysexits.h.
const EX_DATAERR: u8 = 65;
const EX_SOFTWARE: u8 = 70;
/// Of a process that a signal has ended, as shells tell it: 128 and SIGINT.
const INTERRUPTED: u8 = 130;

/// What `innkeeper call` is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A module of the configuration; or a .wasm file or oci:// reference, which gets
    /// tables in a temporary database and nothing else
    module: String,
    /// One of its tools
    tool: String,
    /// The tool's arguments, a JSON object; `-` reads it from standard input
    #[arg(default_value = "{}")]
    arguments: String,
    /// Be this user [needs INNKEEPER_DEV=1; default the one of INNKEEPER_TOKEN, or nobody]
    #[arg(long = "as", value_name = "USER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    user: Option<String>,
}

/// A call that gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Something did not work, and somebody has to act.
    #[error("{}", told(.0))]
    Fault(Box<Fault>),
    /// The tool ran, and says that it cannot do it.
    #[error("the tool refused: {0}")]
    Refused(String),
    /// There is no object to call it with.
    #[error("{0}; give the tool's arguments as one JSON object, such as '{{\"text\":\"…\"}}'")]
    Arguments(String),
    /// A signal came first.
    #[error("interrupted before the tool had answered")]
    Interrupted,
}

impl Failure {
    /// Distinct, so that a script knows whether to correct itself or the guest.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Fault(fault) => match fault.blame {
                Blame::Caller => EX_DATAERR,
                Blame::Guest => EX_SOFTWARE,
                Blame::Host => super::EX_UNAVAILABLE,
            },
            Self::Refused(_) => 1,
            Self::Arguments(_) => EX_DATAERR,
            Self::Interrupted => INTERRUPTED,
        }
    }
}

/// Whose fault it is, and what happened: for whoever has both the guest and the host.
fn told(fault: &Fault) -> String {
    let beside = fault.beside.as_ref().map(|beside| format!("\n{}: {}", beside.0, beside.1)).unwrap_or_default();
    match fault.blame {
        Blame::Caller => format!("what was asked for is not to be had: {}{beside}", fault.public),
        Blame::Guest => format!("the guest is at fault: {}{beside}", fault.chain()),
        Blame::Host => format!("the host, or what it needs, is at fault: {}{beside}", fault.chain()),
    }
}

/// Calls, and prints what came of it.
///
/// # Errors
/// There is nothing to print.
pub(super) async fn call(mut config: Config, args: Args, env: &Env, around: Around) -> Result<(), CliError> {
    let Args { module, tool, arguments, user } = args;
    let token = caller::token(&config, user.as_deref(), env)?;
    let arguments = read(&arguments).map_err(CliError::Called)?;
    // Dropped, and with it removed, when the call is over.
    let mut _folder = None;
    let module = match is_location(&module) {
        true => {
            let location = Location::parse(&module)?;
            let folder = tempfile::tempdir().map_err(|error| CliError::Start(StartError::Cache(error)))?;
            let name = alone(&mut config, location, folder.path());
            _folder = Some(folder);
            name
        }
        false => known(&config, module)?,
    };
    let wanted = Wanted { module, tool, arguments };
    let called = App::new(config, around)?.call(wanted, token, signal::stop()).await?;
    let answer = called.ok_or(CliError::Called(Failure::Interrupted))?;
    let answer = answer.map_err(|fault| CliError::Called(Failure::Fault(Box::new(fault))))?;
    if answer["isError"] == true {
        return Err(CliError::Called(Failure::Refused(words(&answer["content"]))));
    }
    let structured = answer.get("structuredContent").filter(|structured| !structured.is_null());
    print::line(format_args!("{}", structured.unwrap_or(&answer["content"])));
    Ok(())
}

/// No module can be named so.
fn is_location(module: &str) -> bool {
    module.contains(['/', '.'])
}

/// Serves this module, and nothing else, on a database of its own; gives its name.
fn alone(config: &mut Config, location: Location, folder: &Path) -> String {
    let grants = Grants { sql: Some(SqlGrant::default()), ..Grants::default() };
    let module = ModuleConfig::alone(location, grants);
    let name = module.name.clone();
    config.modules = vec![module];
    config.database.kind = DatabaseKind::Sqlite(folder.join("call.db"));
    name
}

fn known(config: &Config, module: String) -> Result<String, CliError> {
    let names: Vec<&str> = config.modules.iter().map(|module| module.name.as_str()).collect();
    if names.contains(&module.as_str()) {
        return Ok(module);
    }
    let names = names.join(", ");
    let why = format!(
        "there is no module `{module}`; configured: {names}; or name a .wasm file by its path, or an oci:// reference"
    );
    Err(CliError::Other(why))
}

fn read(arguments: &str) -> Result<Map<String, Value>, Failure> {
    let mut input = String::new();
    let text = match arguments {
        "-" => {
            // As much as a request may bring.
            let read = std::io::stdin().take(BODY_BYTES as u64 + 1).read_to_string(&mut input);
            read.map_err(|error| Failure::Arguments(format!("standard input cannot be read: {error}")))?;
            &input
        }
        text => text,
    };
    if text.len() > BODY_BYTES {
        return Err(Failure::Arguments(format!("the arguments are larger than {} KiB", BODY_BYTES >> 10)));
    }
    serde_json::from_str(text).map_err(|error| Failure::Arguments(format!("`{}`: {error}", start(text))))
}

/// Enough of a text to know it again.
fn start(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_debug().to_string()
}

fn words(content: &Value) -> String {
    let texts = content.as_array().into_iter().flatten().filter_map(|item| item["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{is_location, read};

    #[test]
    fn a_location_is_no_name_of_a_module() {
        let places = ["todo.wasm", "./todo", "oci://localhost/todo:1"];
        assert!(places.into_iter().all(is_location));
        assert!(!["todo", "my-tools"].into_iter().any(is_location));
    }

    #[test]
    fn arguments_are_one_object() {
        assert_eq!(read(r#"{"a":1}"#).expect("an object").len(), 1);
        for text in ["", "1", "[]", "null", r#"{"a":1} {}"#, "{a:1}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
