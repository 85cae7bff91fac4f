//! The export behind [`prompts!`](crate::prompts!).

use super::{Message, Messages, Prompt};
use crate::bindings::innkeeper::backend::types::{self, ContentKind, Role};
use crate::resources::part;
use crate::wire::{self, Ending, content, descriptor};

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, clippy::all)]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "innkeeper:backend/prompts-exports",
        pub_export_macro: true,
        export_macro_name: "export_prompts",
        default_bindings_module: "innkeeper_guest::prompts::bindings",
        with: { "innkeeper:backend/types@0.1.0": crate::bindings::innkeeper::backend::types },
    });
}

pub use bindings::exports::innkeeper::backend::prompts::Guest;

use bindings::exports::innkeeper::backend::prompts as wit;

/// Offers prompts to everybody who can pick one: `prompts! { [PLAN, REVIEW] }`.
#[macro_export]
macro_rules! prompts {
    ($prompts:expr) => {
        struct InnkeeperPrompts;

        impl $crate::prompts::Guest for InnkeeperPrompts {
            fn list() -> $crate::prompts::Listed {
                $crate::prompts::list(&$prompts)
            }

            fn get(
                context: $crate::tools::CallContext,
                name: String,
                arguments: Vec<(String, String)>,
                resume: Option<$crate::tools::Resumption>,
            ) -> $crate::prompts::Rendering {
                $crate::prompts::get(&$prompts, &context, name, arguments, resume)
            }
        }

        $crate::prompts::bindings::export_prompts!(InnkeeperPrompts with_types_in $crate::prompts::bindings);
    };
}

// An author's file may have a `Result` of its own.
#[doc(hidden)]
pub type Listed = Result<Vec<wit::Prompt>, types::Error>;
#[doc(hidden)]
pub type Rendering = Result<wit::Outcome, types::Error>;

#[doc(hidden)]
pub fn list(prompts: &[Prompt]) -> Listed {
    let prompts = prompts.iter().map(|prompt| wit::Prompt {
        descriptor: descriptor(prompt.name, prompt.title, Some(prompt.description)),
        arguments: arguments(prompt),
    });
    Ok(prompts.collect())
}

fn arguments(prompt: &Prompt) -> Vec<wit::Argument> {
    let schema = (prompt.schema)();
    let is_required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|each| each == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let arguments = properties.map(|(name, property)| wit::Argument {
        descriptor: descriptor(name, None, property["description"].as_str()),
        required: is_required(name),
    });
    arguments.collect()
}

#[doc(hidden)]
pub fn get(
    prompts: &[Prompt],
    ctx: &types::CallContext,
    name: String,
    arguments: Vec<(String, String)>,
    resume: Option<types::Resumption>,
) -> Rendering {
    let Some(prompt) = prompts.iter().find(|prompt| prompt.name == name) else {
        return Err(types::Error::NotFound(name));
    };
    let context = wire::context(ctx, resume)?;
    match wire::settle(&context, prompt.render(&context, arguments))? {
        Ending::Complete(Messages(messages)) => {
            let messages = messages.into_iter().map(message).collect();
            Ok(wit::Outcome::Complete(wit::Rendered { description: None, messages }))
        }
        Ending::Refused(why) => Err(types::Error::InvalidParams(why)),
        Ending::Busy => Err(wire::busy()),
        Ending::Asks(required) => Ok(wit::Outcome::InputRequired(required)),
    }
}

fn message(message: Message) -> wit::Message {
    let (role, kind) = match message {
        Message::User(text) => (Role::User, ContentKind::Text(text)),
        Message::Assistant(text) => (Role::Assistant, ContentKind::Text(text)),
        Message::Document(uri, document) => (Role::User, ContentKind::Embedded(part(uri, document))),
    };
    wit::Message { role, content: content(kind) }
}
