//! Completions: what a user may mean who has begun to write an argument of a
//! prompt, or a variable of a resource's address.
//!
//! ```ignore
//! const SUMMARISE: Prompt = prompt!("summarise", "Summarise my notes.", summarise).complete(&[("tag", tags)]);
//!
//! fn tags(context: &Context, begun: &str) -> Result<Vec<String>, Failure> { … }
//!
//! completions! { prompts: [SUMMARISE], resources: [NOTE] }
//! ```

use crate::bindings::innkeeper::backend::types;
use crate::context::{Context, Failure};
use crate::prompts::Prompt;
use crate::resources::Resource;
use crate::wire::{self, Ending};

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, clippy::all)]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "innkeeper:backend/completions-exports",
        pub_export_macro: true,
        export_macro_name: "export_completions",
        default_bindings_module: "innkeeper_guest::completions::bindings",
        with: { "innkeeper:backend/types@0.1.0": crate::bindings::innkeeper::backend::types },
    });
}

#[doc(hidden)]
pub use bindings::exports::innkeeper::backend::completions::{Guest, Reference};

use bindings::exports::innkeeper::backend::completions as wit;

/// What fits what was begun, the best first. Clients see a hundred.
pub type Completion = fn(&Context, &str) -> Result<Vec<String>, Failure>;

/// Values that one answer may have, by the protocol.
const VALUES: usize = 100;

/// Completes what `.complete(…)` says of these prompts and resources.
#[macro_export]
macro_rules! completions {
    (prompts: $prompts:expr, resources: $resources:expr) => {
        struct InnkeeperCompletions;

        impl $crate::completions::Guest for InnkeeperCompletions {
            fn complete(
                context: $crate::tools::CallContext,
                of: $crate::completions::Reference,
                argument: String,
                begun: String,
                _: Vec<(String, String)>,
            ) -> $crate::completions::Suggested {
                $crate::completions::complete(&$prompts, &$resources, &context, &of, &argument, &begun)
            }
        }

        $crate::completions::bindings::export_completions!(
            InnkeeperCompletions with_types_in $crate::completions::bindings
        );
    };
}

// An author's file may have a `Result` of its own.
#[doc(hidden)]
pub type Suggested = Result<wit::Suggestions, types::Error>;

#[doc(hidden)]
pub fn complete(
    prompts: &[Prompt],
    resources: &[Resource],
    ctx: &types::CallContext,
    of: &Reference,
    argument: &str,
    begun: &str,
) -> Suggested {
    let completions = match of {
        Reference::Prompt(name) => prompts.iter().find(|prompt| prompt.name == name).map(|prompt| prompt.completions),
        Reference::UriTemplate(uri) => {
            resources.iter().find(|resource| resource.uri == uri).map(|resource| resource.completions)
        }
    };
    let context = wire::context(ctx, None)?;
    let completion = completions.into_iter().flatten().find(|(name, _)| *name == argument);
    let values = completion.map_or_else(|| Ok(Vec::new()), |(_, completion)| completion(&context, begun));
    match wire::settle(&context, values)? {
        Ending::Complete(mut values) => {
            let (total, has_more) = (u32::try_from(values.len()).ok(), values.len() > VALUES);
            values.truncate(VALUES);
            Ok(wit::Suggestions { values, total, has_more })
        }
        // Whoever may not see anything has nothing to choose from.
        Ending::Refused(_) => Ok(wit::Suggestions { values: Vec::new(), total: Some(0), has_more: false }),
        Ending::Busy => Err(wire::busy()),
        Ending::Asks(_) => Err(wire::broken("a completion cannot ask")),
    }
}
