//! Calls of what modules offer: a tool, a prompt, a resource.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, GetPromptRequestParams,
    GetPromptResponse, ReadResourceRequestParams, ReadResourceResponse,
};

use super::rounds::{Answer, Stop, What};
use super::{Context, Handler, lists, unknown};
use crate::bindings::offers::exports::innkeeper::backend::resources::CacheScope;
use crate::mcp::asker::Asker;
use crate::mcp::convert;
use crate::offers::{self, Problem};

impl Handler {
    pub(super) async fn tool(
        &self,
        asker: &Asker,
        context: &Context,
        request: CallToolRequestParams,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = asker.generation.catalogue.tool(&request.name).ok_or_else(|| unknown("tool", &request.name))?;
        let arguments = request.arguments.unwrap_or_default();
        let what = What::new("tools/call", tool.guest, &tool.item.descriptor.name, &arguments);
        let sent = (request.request_state, request.input_responses);
        let called = self
            .rounds(context, asker, &what, sent, |resume, ask| offers::call_tool(tool, arguments.clone(), resume, ask));
        match called.await {
            Ok(Answer::Complete(success)) => Ok(convert::called(success).into()),
            Ok(Answer::InputRequired(required)) => Ok(required.into()),
            // The model that made them can make others.
            Err(Stop::Problem(Problem::Arguments(why))) => {
                Ok(CallToolResult::error(vec![ContentBlock::text(format!("Invalid arguments: {why}"))]).into())
            }
            Err(stop) => Err(stop.into_error(context, asker, &what)),
        }
    }

    pub(super) async fn prompt(
        &self,
        asker: &Asker,
        context: &Context,
        request: GetPromptRequestParams,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompt =
            asker.generation.catalogue.prompt(&request.name).ok_or_else(|| unknown("prompt", &request.name))?;
        let arguments = request.arguments.unwrap_or_default();
        let what = What::new("prompts/get", prompt.guest, &prompt.item.descriptor.name, &arguments);
        let texts = arguments.into_iter().map(|(name, value)| match value {
            serde_json::Value::String(text) => Ok((name, text)),
            _ => Err(ErrorData::invalid_params("The arguments of a prompt are strings", None)),
        });
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let sent = (request.request_state, request.input_responses);
        let got = self
            .rounds(context, asker, &what, sent, |resume, ask| offers::get_prompt(prompt, texts.clone(), resume, ask));
        match got.await {
            Ok(Answer::Complete(rendered)) => Ok(convert::rendered(rendered).into()),
            Ok(Answer::InputRequired(required)) => Ok(required.into()),
            Err(stop) => Err(stop.into_error(context, asker, &what)),
        }
    }

    pub(super) async fn resource(
        &self,
        asker: &Asker,
        context: &Context,
        request: ReadResourceRequestParams,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let missing = || {
            let uri = request.uri[..request.uri.floor_char_boundary(1_024)].to_owned();
            ErrorData::resource_not_found("Resource not found", Some(serde_json::json!({ "uri": uri })))
        };
        let offer = asker.generation.catalogue.owner(&request.uri).ok_or_else(missing)?;
        let what = What::new("resources/read", &offer.guest, &request.uri, &serde_json::Map::new());
        let sent = (request.request_state, request.input_responses);
        let read = self.rounds(context, asker, &what, sent, |resume, ask| {
            offers::read_resource(offer, request.uri.clone(), resume, ask)
        });
        match read.await {
            Ok(Answer::Complete(contents)) => {
                let cache = contents.cache;
                let mut result = convert::read(contents);
                if let Some(cache) = cache {
                    let scope = lists::scope(cache.scope == CacheScope::Shared);
                    result = result.with_ttl_ms(cache.ttl_ms.into()).with_cache_scope(scope);
                }
                Ok(result.into())
            }
            Ok(Answer::InputRequired(required)) => Ok(required.into()),
            Err(Stop::Problem(Problem::NotFound(_))) => Err(missing()),
            Err(stop) => Err(stop.into_error(context, asker, &what)),
        }
    }
}
