//! Resources.

use super::{Ask, Outcome, Problem, check, input};
use crate::bindings::offers::exports::innkeeper::backend::resources as wit;
use crate::bindings::offers::innkeeper::backend::types::Resumption;
use crate::dispatch;
use crate::registry::Offer;

/// Entries of one page.
const ENTRIES: usize = 1_000;
/// Bytes of a cursor. It is a place in a list, and not the list.
const CURSOR_BYTES: usize = 2 << 10;

/// One page of a module's resources.
pub type Listed = wit::Page;
/// What a resource holds.
pub type Read = wit::Contents;

/// Lists a module's resources, for one caller.
///
/// # Errors
/// See [`Problem`].
pub async fn list_resources<H: Send + 'static>(
    offer: &Offer,
    cursor: Option<String>,
    ask: Ask<H>,
) -> Result<Listed, Problem> {
    let Ask { call, context, held } = ask;
    let indices = offer.guest.exports.resources.clone().ok_or(Problem::NotFound("resource"))?;
    let page = dispatch::call(&offer.guest, call, held, move |store, instance| {
        Box::pin(async move {
            let resources = indices.load(&mut *store, &instance)?;
            resources.call_list(store, &context, cursor.as_deref()).await
        })
    });
    let page = page.await?.map_err(|error| Problem::of(error, "page"))?;
    check_page(&page, offer).map_err(Problem::Answer)?;
    Ok(page)
}

/// Reads one resource, for one caller.
///
/// # Errors
/// See [`Problem`].
pub async fn read_resource<H: Send + 'static>(
    offer: &Offer,
    uri: String,
    resume: Option<Resumption>,
    ask: Ask<H>,
) -> Result<Outcome<Read>, Problem> {
    let Ask { call, context, held } = ask;
    let indices = offer.guest.exports.resources.clone().ok_or(Problem::NotFound("resource"))?;
    let features = context.features;
    let outcome = dispatch::call(&offer.guest, call, held, move |store, instance| {
        Box::pin(async move {
            let resources = indices.load(&mut *store, &instance)?;
            resources.call_read(store, &context, &uri, resume.as_ref()).await
        })
    });
    match outcome.await?.map_err(|error| Problem::of(error, "resource"))? {
        wit::Outcome::Complete(contents) => {
            check::resources(&contents.parts).map_err(Problem::Answer)?;
            Ok(Outcome::Complete(contents))
        }
        wit::Outcome::InputRequired(required) => input::check(required, features).map(Outcome::InputRequired),
    }
}

fn check_page(page: &Listed, offer: &Offer) -> Result<(), String> {
    if page.entries.len() > ENTRIES || page.next_cursor.as_ref().is_some_and(|cursor| cursor.len() > CURSOR_BYTES) {
        return Err(format!("has a page of more than {ENTRIES} entries, or a cursor that is too long"));
    }
    let prefixes = offer.manifest.resources.as_ref().map(|resources| resources.prefixes.as_slice()).unwrap_or_default();
    for wit::Entry { uri, mime_type, annotations, descriptor, .. } in &page.entries {
        check::address(uri)?;
        if !prefixes.iter().any(|prefix| uri.starts_with(prefix.as_str())) {
            return Err("lists an address that starts with none of its prefixes".to_owned());
        }
        mime_type.as_deref().map_or(Ok(()), |mime| check::mime(mime, ""))?;
        annotations.as_ref().map_or(Ok(()), check::annotations)?;
        descriptor.meta.as_deref().map_or(Ok(()), |meta| check::object(meta, "meta").map(|_| ()))?;
    }
    Ok(())
}
