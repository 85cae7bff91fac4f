//! Questions of guests, as the protocol puts them: returned to a client of the
//! newer one, sent on the request's own stream to one of the older.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use rmcp::model::{ErrorData, InputRequest, InputRequests};
use serde_json::{Value, json};

use super::Context;
use crate::bindings::offers::innkeeper::backend::types::{self as wit, InputKind};
use crate::mcp::Shared;

/// Time for a person to answer. Longer: a forgotten dialogue holds its stream.
const PATIENCE: Duration = Duration::from_secs(600);

/// The questions in the protocol's words.
pub(in crate::mcp) fn requests(asked: &[wit::InputRequest]) -> Result<InputRequests, String> {
    let made = asked.iter().map(|request| Ok((request.key.clone(), question(&request.kind)?)));
    made.collect()
}

fn question(kind: &InputKind) -> Result<InputRequest, String> {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let value = match kind {
        InputKind::ElicitForm(form) => {
            let schema = parse(&form.requested_schema);
            let params = json!({ "mode": "form", "message": form.message, "requestedSchema": schema });
            json!({ "method": "elicitation/create", "params": params })
        }
        InputKind::ElicitUrl(page) => {
            let id = uuid::Uuid::new_v4().to_string();
            let params = json!({ "mode": "url", "message": page.message, "url": page.url, "elicitationId": id });
            json!({ "method": "elicitation/create", "params": params })
        }
        InputKind::Sample(text) => json!({ "method": "sampling/createMessage", "params": parse(text) }),
        InputKind::ListRoots => json!({ "method": "roots/list" }),
    };
    serde_json::from_value(value).map_err(|_| "asks in a form that the protocol does not have".to_owned())
}

/// Asks a client of the older protocol, all questions at once, and waits.
pub(super) async fn all(
    shared: &Shared,
    context: &Context,
    requests: InputRequests,
) -> Result<BTreeMap<String, Value>, ErrorData> {
    let asked = requests.into_iter().map(async |(key, request)| Ok((key, one(context, request).await?)));
    let answers = try_join_all(asked);
    tokio::select! {
        answers = tokio::time::timeout(PATIENCE, answers) => match answers {
            Ok(answers) => answers.map(|answers| answers.into_iter().collect()),
            Err(_) => Err(ErrorData::internal_error("The client did not answer in time", None)),
        },
        () = shared.closing.cancelled() => Err(ErrorData::internal_error("The server is stopping", None)),
    }
}

async fn one(context: &Context, request: InputRequest) -> Result<Value, ErrorData> {
    let peer = &context.peer;
    let answer = match request {
        InputRequest::Elicitation(request) => peer.create_elicitation(request.params).await.map(serde_json::to_value),
        InputRequest::CreateMessage(request) => peer.create_message(request.params).await.map(serde_json::to_value),
        InputRequest::ListRoots(_) => peer.list_roots().await.map(serde_json::to_value),
        _ => return Err(ErrorData::internal_error("This cannot be asked", None)),
    };
    match answer {
        Ok(Ok(value)) => Ok(value),
        _ => Err(ErrorData::invalid_request("The client did not answer what it was asked", None)),
    }
}
