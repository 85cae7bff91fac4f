//! The export behind [`tools!`](crate::tools!).

use serde_json::{Map, Value};

use super::{Output, Tool};
use crate::bindings::innkeeper::backend::types;
use crate::wire::{self, Ending, content, descriptor};

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, clippy::all)]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "innkeeper:backend/tools-exports",
        pub_export_macro: true,
        export_macro_name: "export_tools",
        default_bindings_module: "innkeeper_guest::tools::bindings",
        with: { "innkeeper:backend/types@0.1.0": crate::bindings::innkeeper::backend::types },
    });
}

pub use bindings::exports::innkeeper::backend::tools::Guest;
pub use types::{CallContext, Resumption};

use bindings::exports::innkeeper::backend::tools as wit;

/// What a model reads that may try again.
const BUSY: &str = "The database is busy. Try again in a moment.";

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
                context: $crate::tools::CallContext,
                name: String,
                arguments: String,
                resume: Option<$crate::tools::Resumption>,
            ) -> $crate::tools::Called {
                $crate::tools::call(&$tools, &[$($($ignored),*)?], &context, &name, &arguments, resume)
            }
        }

        $crate::tools::bindings::export_tools!(InnkeeperTools with_types_in $crate::tools::bindings);
    };
}

// An author's file may have a `Result` of its own.
#[doc(hidden)]
pub type Listed = Result<Vec<types::Tool>, types::Error>;
#[doc(hidden)]
pub type Called = Result<wit::Outcome, types::Error>;

#[doc(hidden)]
pub fn list(tools: &[Tool]) -> Vec<types::Tool> {
    tools.iter().map(describe).collect()
}

fn describe(tool: &Tool) -> types::Tool {
    types::Tool {
        descriptor: descriptor(tool.name, tool.title, Some(tool.description)),
        input_schema: tool.schema().to_string(),
        output_schema: tool.output_schema().map(|schema| schema.to_string()),
        hints: Some(types::Hints {
            read_only: Some(tool.is_read_only),
            destructive: Some(tool.is_destructive),
            idempotent: Some(tool.is_idempotent),
            open_world: Some(tool.is_open_world),
        }),
        required_scopes: tool.scopes.iter().map(|&scope| scope.to_owned()).collect(),
    }
}

#[doc(hidden)]
pub fn call(
    tools: &[Tool],
    ignored: &[&str],
    ctx: &types::CallContext,
    name: &str,
    arguments: &str,
    resume: Option<types::Resumption>,
) -> Called {
    let tool = tools.iter().find(|tool| tool.name == name).ok_or_else(|| types::Error::NotFound(name.to_owned()))?;
    let mut arguments: Map<String, Value> =
        serde_json::from_str(arguments).map_err(|error| types::Error::InvalidParams(error.to_string()))?;
    arguments.retain(|name, _| !ignored.contains(&name.as_str()));
    let context = wire::context(ctx, resume)?;
    match wire::settle(&context, tool.call(&context, arguments))? {
        Ending::Complete(Output { json }) => Ok(complete(json.clone(), Some(json), false)),
        Ending::Refused(why) => Ok(complete(why, None, true)),
        Ending::Busy => Ok(complete(BUSY.to_owned(), None, true)),
        Ending::Asks(required) => Ok(wit::Outcome::InputRequired(required)),
    }
}

fn complete(text: String, structured: Option<String>, is_error: bool) -> wit::Outcome {
    let content = vec![content(types::ContentKind::Text(text))];
    wit::Outcome::Complete(types::Success { content, structured, is_error, meta: None })
}
