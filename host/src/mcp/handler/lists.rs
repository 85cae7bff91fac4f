//! The lists, page by page, and what goes with them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::model::{
    CacheScope, CompleteRequestParams, CompleteResult, ErrorData, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, PromptsCapability, Reference, ResourcesCapability,
    ServerCapabilities, ToolsCapability,
};

use super::rounds::error;
use super::{Context, Handler, not_found, unknown};
use crate::bindings::offers::exports::innkeeper::backend::completions::Reference as Completed;
use crate::bindings::offers::exports::innkeeper::backend::resources as wit;
use crate::mcp::asker::Asker;
use crate::mcp::convert;
use crate::offers;
use crate::registry::{Catalogue, Offer};

/// Entries of one page. A list of the usual size is one page.
const PAGE: usize = 200;
/// How long a list stays what it is. Clients that listen hear of a change sooner.
const FRESH_MS: u64 = 60_000;
/// Values that a client knows already when it asks for another.
const KNOWN: usize = 64;

/// What the modules together can do.
pub(super) fn capabilities(catalogue: &Catalogue, capabilities: &mut ServerCapabilities) {
    let any = |has: &dyn Fn(&Offer) -> bool| catalogue.offers().iter().any(has);
    if any(&|offer| offer.manifest.tools.is_some()) {
        let mut tools = ToolsCapability::default();
        tools.list_changed = Some(true);
        capabilities.tools = Some(tools);
    }
    if any(&|offer| offer.manifest.resources.is_some()) {
        let mut resources = ResourcesCapability::default();
        (resources.subscribe, resources.list_changed) = (Some(true), Some(true));
        capabilities.resources = Some(resources);
    }
    if any(&|offer| offer.manifest.prompts.is_some()) {
        let mut prompts = PromptsCapability::default();
        prompts.list_changed = Some(true);
        capabilities.prompts = Some(prompts);
    }
    capabilities.completions = any(&|offer| offer.manifest.completions).then(Default::default);
    capabilities.logging = Some(Default::default());
}

pub(super) fn scope(shared: bool) -> CacheScope {
    if shared { CacheScope::Public } else { CacheScope::Private }
}

/// A page of a list, and the cursor of the next one.
type Page<T> = (Vec<T>, Option<String>);

fn page<T>(all: impl Iterator<Item = T>, request: Option<PaginatedRequestParams>) -> Result<Page<T>, ErrorData> {
    let from: usize = match request.and_then(|request| request.cursor) {
        None => 0,
        Some(cursor) => decode(&cursor)?,
    };
    let mut all = all.skip(from);
    let items: Vec<T> = all.by_ref().take(PAGE).collect();
    if items.is_empty() && from > 0 {
        return Err(bad_cursor());
    }
    let next = all.next().is_some().then(|| encode(&(from + items.len())));
    Ok((items, next))
}

fn encode(place: &impl serde::Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

fn decode<T: serde::de::DeserializeOwned>(cursor: &str) -> Result<T, ErrorData> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    serde_json::from_slice(&bytes).map_err(|_| bad_cursor())
}

fn bad_cursor() -> ErrorData {
    ErrorData::invalid_params("The cursor is not one of this list", None)
}

pub(super) fn tools(
    catalogue: &Catalogue,
    request: Option<PaginatedRequestParams>,
) -> Result<ListToolsResult, ErrorData> {
    if !catalogue.offers().iter().any(|offer| offer.manifest.tools.is_some()) {
        return Err(not_found("tools/list"));
    }
    let (tools, next) = page(catalogue.tools(), request)?;
    let mut result = ListToolsResult::with_all_items(tools.into_iter().map(convert::tool).collect());
    result.next_cursor = next;
    Ok(result.with_ttl_ms(FRESH_MS).with_cache_scope(scope(false)))
}

pub(super) fn prompts(
    catalogue: &Catalogue,
    request: Option<PaginatedRequestParams>,
) -> Result<ListPromptsResult, ErrorData> {
    if !catalogue.offers().iter().any(|offer| offer.manifest.prompts.is_some()) {
        return Err(not_found("prompts/list"));
    }
    let (prompts, next) = page(catalogue.prompts(), request)?;
    let mut result = ListPromptsResult::with_all_items(prompts.into_iter().map(convert::prompt).collect());
    result.next_cursor = next;
    Ok(result.with_ttl_ms(FRESH_MS).with_cache_scope(scope(false)))
}

pub(super) fn templates(
    catalogue: &Catalogue,
    request: Option<PaginatedRequestParams>,
) -> Result<ListResourceTemplatesResult, ErrorData> {
    if !catalogue.offers().iter().any(|offer| offer.manifest.resources.is_some()) {
        return Err(not_found("resources/templates/list"));
    }
    let (templates, next) = page(catalogue.templates(), request)?;
    let templates = templates.into_iter().map(|template| convert::template(template.item));
    let mut result = ListResourceTemplatesResult::with_all_items(templates.collect());
    result.next_cursor = next;
    Ok(result.with_ttl_ms(FRESH_MS).with_cache_scope(scope(false)))
}

impl Handler {
    /// One page of one module's resources; a cursor names the module.
    pub(super) async fn resources(
        &self,
        asker: &Asker,
        context: &Context,
        request: Option<PaginatedRequestParams>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let offers = asker.generation.catalogue.offers().iter();
        let offers: Vec<&Offer> = offers.filter(|offer| offer.manifest.resources.is_some()).collect();
        if offers.is_empty() {
            return Err(not_found("resources/list"));
        }
        let (mut at, mut cursor) = match request.and_then(|request| request.cursor) {
            None => (0, None),
            Some(text) => {
                let (module, cursor): (String, Option<String>) = decode(&text)?;
                let at = offers.iter().position(|offer| *offer.guest.profile.name == *module);
                (at.ok_or_else(bad_cursor)?, cursor)
            }
        };
        loop {
            let Some(offer) = offers.get(at) else { return Ok(ListResourcesResult::default()) };
            let listed = self.page_of(asker, context, offer, cursor.take()).await?;
            let following = offers.get(at + 1).map(|offer| (&*offer.guest.profile.name, None));
            let next = match &listed.next_cursor {
                Some(cursor) => Some((&*offer.guest.profile.name, Some(cursor.clone()))),
                None => following,
            };
            // An empty page on the way to the next module is nothing to wait for.
            if listed.entries.is_empty() && listed.next_cursor.is_none() && next.is_some() {
                at += 1;
                continue;
            }
            let next = next.map(|next| encode(&next));
            let mut result =
                ListResourcesResult::with_all_items(listed.entries.into_iter().map(convert::entry).collect());
            result.next_cursor = next;
            let cache = listed.cache.map(|cache| (cache.ttl_ms, cache.scope == wit::CacheScope::Shared));
            // Pages of one list have one scope, and modules may differ.
            let shared = offers.len() == 1 && cache.is_some_and(|(_, shared)| shared);
            let fresh = cache.map_or(0, |(ttl, _)| ttl);
            return Ok(result.with_ttl_ms(fresh.into()).with_cache_scope(scope(shared)));
        }
    }

    async fn page_of(
        &self,
        asker: &Asker,
        context: &Context,
        offer: &Offer,
        cursor: Option<String>,
    ) -> Result<offers::Listed, ErrorData> {
        let failed = |problem| error(&problem, context, asker, ("resources/list", &offer.guest.profile.name));
        let (ask, _) = self.ask(context, asker, &offer.guest, false).map_err(failed)?;
        tokio::select! {
            listed = offers::list_resources(offer, cursor, ask) => listed.map_err(failed),
            () = context.ct.cancelled() => Err(ErrorData::internal_error("The request was cancelled", None)),
        }
    }

    /// What may be meant by the start of an argument.
    pub(super) async fn completed(
        &self,
        asker: &Asker,
        context: &Context,
        request: CompleteRequestParams,
    ) -> Result<CompleteResult, ErrorData> {
        let catalogue = &asker.generation.catalogue;
        if !catalogue.offers().iter().any(|offer| offer.manifest.completions) {
            return Err(not_found("completion/complete"));
        }
        let (guest, reference) = match &request.r#ref {
            Reference::Prompt(prompt) => {
                let found = catalogue.prompt(&prompt.name).ok_or_else(|| unknown("prompt", &prompt.name))?;
                (found.guest, Completed::Prompt(found.item.descriptor.name.clone()))
            }
            Reference::Resource(template) => {
                let found = catalogue.templates().find(|found| found.name == template.uri);
                let found = found.ok_or_else(|| unknown("template", &template.uri))?;
                (found.guest, Completed::UriTemplate(template.uri.clone()))
            }
            _ => return Err(ErrorData::invalid_params("Nothing of this kind has completions", None)),
        };
        let known = request.context.and_then(|context| context.arguments).unwrap_or_default();
        if known.len() > KNOWN {
            return Err(ErrorData::invalid_params("Too many arguments", None));
        }
        let failed = |problem| error(&problem, context, asker, ("completion/complete", &guest.profile.name));
        let (ask, _) = self.ask(context, asker, guest, false).map_err(failed)?;
        let argument = (request.argument.name, request.argument.value);
        tokio::select! {
            suggested = offers::complete(guest, reference, argument, known.into_iter().collect(), ask) => {
                suggested.map(convert::suggested).map_err(failed)
            }
            () = context.ct.cancelled() => Err(ErrorData::internal_error("The request was cancelled", None)),
        }
    }
}
