//! The export behind [`tools!`](crate::tools!).

use serde_json::{Map, Value};

use super::{Context, Failure, Tool};

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, clippy::all)]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "innkeeper:backend/tools-exports",
        pub_export_macro: true,
        export_macro_name: "export_tools",
        default_bindings_module: "innkeeper_guest::tools::bindings",
    });
}

pub use bindings::exports::innkeeper::backend::tools::Guest;

use bindings::exports::innkeeper::backend::tools as wit;
use bindings::innkeeper::backend::types;

/// Offers tools to everybody who can call them: `tools! { [ADD, LIST] }`.
///
/// `tools! { [ADD, LIST], ignore: ["user_id"] }` takes arguments of these names
/// away before anything looks at them.
#[macro_export]
macro_rules! tools {
    ($tools:expr $(, ignore: [$($ignored:literal),*])?) => {
        struct InnkeeperTools;

        impl $crate::tools::Guest for InnkeeperTools {
            fn list() -> $crate::tools::Listed {
                $crate::tools::Listed::Ok($crate::tools::list(&$tools))
            }

            fn call(
                _: $crate::tools::bindings::innkeeper::backend::types::CallContext,
                name: String,
                arguments: String,
                _: Option<$crate::tools::bindings::innkeeper::backend::types::Resumption>,
            ) -> $crate::tools::Called {
                $crate::tools::call(&$tools, &[$($($ignored),*)?], &name, &arguments)
            }
        }

        $crate::tools::bindings::export_tools!(InnkeeperTools with_types_in $crate::tools::bindings);
    };
}

// An author's file may have a `Result` of its own.
#[doc(hidden)]
pub type Listed = Result<Vec<wit::Tool>, types::Error>;
#[doc(hidden)]
pub type Called = Result<wit::Outcome, types::Error>;

#[doc(hidden)]
pub fn list(tools: &[Tool]) -> Vec<wit::Tool> {
    tools.iter().map(describe).collect()
}

fn describe(tool: &Tool) -> wit::Tool {
    wit::Tool {
        descriptor: types::Descriptor {
            name: tool.name.to_owned(),
            title: tool.title.map(str::to_owned),
            description: Some(tool.description.to_owned()),
            icons: Vec::new(),
            meta: None,
        },
        input_schema: tool.schema().to_string(),
        output_schema: None,
        hints: Some(wit::Hints {
            read_only: Some(tool.is_read_only),
            destructive: Some(tool.is_destructive),
            idempotent: Some(tool.is_idempotent),
            open_world: Some(false),
        }),
        required_scopes: Vec::new(),
    }
}

#[doc(hidden)]
pub fn call(tools: &[Tool], ignored: &[&str], name: &str, arguments: &str) -> Called {
    let tool = tools.iter().find(|tool| tool.name == name).ok_or_else(|| types::Error::NotFound(name.to_owned()))?;
    let mut arguments: Map<String, Value> =
        serde_json::from_str(arguments).map_err(|error| types::Error::InvalidParams(error.to_string()))?;
    arguments.retain(|name, _| !ignored.contains(&name.as_str()));
    match tool.call(&Context::current(), arguments) {
        Ok(output) => Ok(complete(output.json.clone(), Some(output.json), false)),
        Err(Failure::Refused(why)) => Ok(complete(why, None, true)),
        Err(Failure::Database(error)) if error.is_transient() => {
            eprintln!("the database did not answer: {error}");
            Ok(complete("The database is busy. Try again in a moment.".to_owned(), None, true))
        }
        Err(Failure::Database(error)) => Err(broken(&error.to_string())),
        Err(Failure::Broken(why)) => Err(broken(&why)),
    }
}

fn broken(why: &str) -> types::Error {
    eprintln!("{why}");
    types::Error::Internal("the tool failed".to_owned())
}

fn complete(text: String, structured: Option<String>, is_error: bool) -> wit::Outcome {
    let content = types::Content { kind: types::ContentKind::Text(text), annotations: None, meta: None };
    wit::Outcome::Complete(wit::Success { content: vec![content], structured, is_error, meta: None })
}
