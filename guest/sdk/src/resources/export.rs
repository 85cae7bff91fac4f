//! The export behind [`resources!`](crate::resources!).

use super::{Body, Document, Entry, Page, Resource};
use crate::bindings::innkeeper::backend::types;
use crate::context::{Context, Failure};
use crate::wire::{self, Ending, descriptor};

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, clippy::all)]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "innkeeper:backend/resources-exports",
        pub_export_macro: true,
        export_macro_name: "export_resources",
        default_bindings_module: "innkeeper_guest::resources::bindings",
        with: { "innkeeper:backend/types@0.1.0": crate::bindings::innkeeper::backend::types },
    });
}

pub use bindings::exports::innkeeper::backend::resources::Guest;

use bindings::exports::innkeeper::backend::resources as wit;

/// Offers documents to everybody who can read them:
/// `resources! { ["note://"], [NOTES, NOTE] }`. Every address starts with one of
/// the prefixes, and no other module's does.
#[macro_export]
macro_rules! resources {
    ($prefixes:expr, $resources:expr) => {
        $crate::resources! { $prefixes, $resources, list: |_, _| Ok($crate::resources::Page::default()) }
    };
    ($prefixes:expr, $resources:expr, list: $more:expr) => {
        struct InnkeeperResources;

        impl $crate::resources::Guest for InnkeeperResources {
            fn declare() -> $crate::resources::Declared {
                $crate::resources::declare(&$prefixes, &$resources)
            }

            fn list(context: $crate::tools::CallContext, cursor: Option<String>) -> $crate::resources::Listed {
                $crate::resources::list(&$resources, $more, &context, cursor)
            }

            fn read(
                context: $crate::tools::CallContext,
                uri: String,
                resume: Option<$crate::tools::Resumption>,
            ) -> $crate::resources::ReadOut {
                $crate::resources::read(&$resources, &context, uri, resume)
            }
        }

        $crate::resources::bindings::export_resources!(
            InnkeeperResources with_types_in $crate::resources::bindings
        );
    };
}

// An author's file may have a `Result` of its own.
#[doc(hidden)]
pub type Declared = Result<wit::Declaration, types::Error>;
#[doc(hidden)]
pub type Listed = Result<wit::Page, types::Error>;
#[doc(hidden)]
pub type ReadOut = Result<wit::Outcome, types::Error>;

#[doc(hidden)]
pub fn declare(prefixes: &[&str], resources: &[Resource]) -> Declared {
    let templates = resources.iter().filter(|resource| resource.is_template()).map(|resource| wit::Template {
        uri_template: resource.uri.to_owned(),
        descriptor: descriptor(resource.name, resource.title, Some(resource.description)),
        mime_type: resource.mime_type.map(str::to_owned),
        annotations: None,
    });
    let prefixes = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
    Ok(wit::Declaration { prefixes, templates: templates.collect() })
}

#[doc(hidden)]
pub fn list(
    resources: &[Resource],
    more: fn(&Context, Option<&str>) -> Result<Page, Failure>,
    ctx: &types::CallContext,
    cursor: Option<String>,
) -> Listed {
    let context = wire::context(ctx, None)?;
    let Page { entries, next } = match wire::settle(&context, more(&context, cursor.as_deref()))? {
        Ending::Complete(page) => page,
        Ending::Refused(why) => return Err(types::Error::InvalidParams(why)),
        Ending::Busy => return Err(wire::busy()),
        Ending::Asks(_) => return Err(wire::broken("a list cannot ask")),
    };
    // What everybody has is on the first page.
    let fixed = resources.iter().filter(|resource| cursor.is_none() && !resource.is_template());
    let entries = fixed.map(own_entry).chain(entries.into_iter().map(entry)).collect();
    Ok(wit::Page { entries, next_cursor: next, cache: None })
}

fn own_entry(resource: &Resource) -> wit::Entry {
    wit::Entry {
        uri: resource.uri.to_owned(),
        descriptor: descriptor(resource.name, resource.title, Some(resource.description)),
        mime_type: resource.mime_type.map(str::to_owned),
        size: None,
        annotations: None,
    }
}

fn entry(Entry { uri, name, title, mime_type }: Entry) -> wit::Entry {
    let descriptor = descriptor(&name, title.as_deref(), None);
    wit::Entry { uri, descriptor, mime_type, size: None, annotations: None }
}

#[doc(hidden)]
pub fn read(
    resources: &[Resource],
    ctx: &types::CallContext,
    uri: String,
    resume: Option<types::Resumption>,
) -> ReadOut {
    let context = wire::context(ctx, resume)?;
    for resource in resources {
        match wire::settle(&context, resource.read(&context, &uri))? {
            Ending::Complete(Some(document)) => {
                return Ok(wit::Outcome::Complete(wit::Contents { parts: vec![part(uri, document)], cache: None }));
            }
            Ending::Complete(None) => {}
            Ending::Refused(why) => return Err(types::Error::InvalidParams(why)),
            Ending::Busy => return Err(wire::busy()),
            Ending::Asks(required) => return Ok(wit::Outcome::InputRequired(required)),
        }
    }
    Err(types::Error::NotFound(uri))
}

/// The document at its address.
pub(crate) fn part(uri: String, Document { mime_type, body }: Document) -> types::ResourceContents {
    let body = match body {
        Body::Text(text) => types::Body::Text(text),
        Body::Bytes(bytes) => types::Body::Blob(bytes),
    };
    types::ResourceContents { uri, mime_type, body, meta: None }
}
