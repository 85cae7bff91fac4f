//! The methods of the protocol, answered from the catalogue and by guests.
//!
//! The library frames, negotiates and keeps sessions; what is here decides. One
//! handler serves one request of the newer protocol, or one session of the older.
// Sampling, roots and logging are deprecated in the newer protocol, and served.
#![allow(deprecated, reason = "clients of the older protocols have nothing else")]

pub(super) mod ask;
mod calls;
mod context;
mod listen;
mod lists;
mod rounds;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, CustomRequest, CustomResult,
    ErrorCode, ErrorData, GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};

pub(super) use self::context::{capabilities, features};
use self::listen::Session;
use super::asker::Asker;
use super::{Shared, convert};
use crate::registry::Generation;

pub(super) type Context = RequestContext<RoleServer>;

/// What is served, newest last. The one before them needs batches of messages.
const VERSIONS: [ProtocolVersion; 3] =
    [ProtocolVersion::V_2025_06_18, ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28];

/// Who asks on a connection that has one caller from its start to its end.
type Alone = dyn Fn() -> Result<Asker, &'static str> + Send + Sync;

/// Answers the methods.
pub(super) struct Handler {
    shared: Arc<Shared>,
    /// Who asks when there is no HTTP request to tell.
    alone: Option<Arc<Alone>>,
    session: OnceLock<Session>,
}

impl Handler {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, alone: None, session: OnceLock::new() }
    }

    /// For a connection that has one caller from its start to its end.
    pub(super) fn alone(
        shared: Arc<Shared>,
        asker: impl Fn() -> Result<Asker, &'static str> + Send + Sync + 'static,
    ) -> Self {
        Self { shared, alone: Some(Arc::new(asker)), session: OnceLock::new() }
    }

    fn asker(&self, context: &Context) -> Result<Asker, ErrorData> {
        let found = match &self.alone {
            Some(alone) => alone(),
            None => Asker::of(context).cloned().ok_or("Nothing is served at the moment"),
        };
        found.map_err(|why| ErrorData::internal_error(why, None))
    }

    fn session(&self) -> &Session {
        self.session.get_or_init(Session::default)
    }

    fn generation(&self) -> Option<Arc<Generation>> {
        self.shared.registry.current()
    }
}

fn not_found(method: &'static str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None)
}

fn unknown(what: &str, name: &str) -> ErrorData {
    let name = &name[..name.floor_char_boundary(128)];
    ErrorData::invalid_params(format!("Unknown {what}: {name}"), None)
}

pub(super) fn is_modern(context: &Context) -> bool {
    context.protocol_version().is_some_and(|version| super::envelope::is_modern(version.as_str()))
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities = ServerCapabilities::default();
        if let Some(generation) = self.generation() {
            lists::capabilities(&generation.catalogue, &mut capabilities);
        }
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(crate::NAME, crate::VERSION))
            .with_protocol_version(ProtocolVersion::V_2025_11_25)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        const { &VERSIONS }.into()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        let asker = self.asker(&context)?;
        lists::tools(&asker.generation.catalogue, request)
    }

    /// Its schema says which arguments are repeated in headers.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.generation()?.catalogue.tool(name).map(convert::tool)
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        let asker = self.asker(&context)?;
        self.tool(&asker, &context, request).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let asker = self.asker(&context)?;
        lists::prompts(&asker.generation.catalogue, request)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let asker = self.asker(&context)?;
        self.prompt(&asker, &context, request).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let asker = self.asker(&context)?;
        self.resources(&asker, &context, request).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let asker = self.asker(&context)?;
        lists::templates(&asker.generation.catalogue, request)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let asker = self.asker(&context)?;
        self.resource(&asker, &context, request).await
    }

    async fn complete(&self, request: CompleteRequestParams, context: Context) -> Result<CompleteResult, ErrorData> {
        let asker = self.asker(&context)?;
        self.completed(&asker, &context, request).await
    }

    async fn set_level(&self, request: SetLevelRequestParams, context: Context) -> Result<(), ErrorData> {
        // A message of the newer protocol says itself what it wants to hear.
        if is_modern(&context) {
            return Err(not_found("logging/setLevel"));
        }
        self.session().set_level(request.level);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(listen::accepted(&self.generation()?.catalogue, requested))
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let asker = self.asker(subscription.request_context())?;
        listen::listen(&self.shared, &asker, &subscription).await;
        Ok(())
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: Context) -> Result<(), ErrorData> {
        let asker = self.asker(&context)?;
        if asker.generation.catalogue.owner(&request.uri).is_none() {
            return Err(ErrorData::resource_not_found("Resource not found", None));
        }
        let full = |()| ErrorData::invalid_params("This session has too many subscriptions", None);
        self.session().subscribe(request.uri).map_err(full)
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        self.session().unsubscribe(&request.uri);
        Ok(())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let asker = match &self.alone {
            Some(alone) => alone().ok(),
            None => context.extensions.get::<http::request::Parts>().and_then(|parts| parts.extensions.get().cloned()),
        };
        if let Some(asker) = asker {
            self.session().hear(&self.shared, &asker, context.peer);
        }
    }

    /// What the library could not read: a method that nobody knows, or one whose
    /// parameters are not its own.
    async fn on_custom_request(&self, request: CustomRequest, context: Context) -> Result<CustomResult, ErrorData> {
        const BOTH: [&str; 9] = [
            "tools/list",
            "tools/call",
            "prompts/list",
            "prompts/get",
            "resources/list",
            "resources/templates/list",
            "resources/read",
            "completion/complete",
            "server/discover",
        ];
        const LEGACY: [&str; 5] =
            ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];
        let method = request.method.as_str();
        let of_era = if is_modern(&context) { method == "subscriptions/listen" } else { LEGACY.contains(&method) };
        if BOTH.contains(&method) || of_era {
            return Err(ErrorData::invalid_params("The parameters are not those of this method", None));
        }
        let method = method[..method.floor_char_boundary(128)].to_owned();
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("Method not found: {method}"), None))
    }
}
