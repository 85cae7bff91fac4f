//! The same tools for clients that speak plain HTTP: `POST /api/tools/{name}` takes
//! the arguments as a JSON object and answers the protocol's result. Caller, scopes,
//! limits and checks are those of every other way to a tool.

mod document;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::{finish, is_json};
use super::handler::ask;
use super::streams::Room;
use super::{Asked, Mcp, convert, envelope};
use crate::bindings::offers::innkeeper::backend::types::{CallContext, ClientFeatures, InputRequest};
use crate::call::{Call, Deadline};
use crate::dispatch::{Body, Failed};
use crate::fault::{Blame, Code, Fault};
use crate::instance::Guest;
use crate::offers::{self, Ask, Outcome, Problem, Weight};
use crate::registry::{Generation, Named, Tool};

/// Where the tools are; below it each by its name.
pub const PATH: &str = "/api/tools";
/// Where the document about them is, and where it is too when no module answers there.
const DOCUMENT: &str = "/api/tools/openapi.json";
const USUAL: &str = "/openapi.json";
/// How a guest sees that it is called this way.
const FACE: &str = "rest";

/// Whether a path is one of the tools', when the modules offer any. The usual place
/// of a document is the host's only where no module answers.
pub fn serves_tools(path: &str, generation: &Generation, is_taken: impl FnOnce() -> bool) -> bool {
    let below = path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (below || (path == USUAL && !is_taken())) && generation.catalogue.has_tools()
}

/// The module whose tool a path names.
pub fn tool_at<'g>(path: &str, generation: &'g Generation) -> Option<&'g Arc<Guest>> {
    named(path, generation).map(|tool| tool.guest)
}

impl Mcp {
    /// Serves a request whose body is here. `held` is given back with the end of the
    /// answer.
    ///
    /// # Errors
    /// The request is none, or the tool gave nothing.
    pub async fn serve_tools<H: Send + Sync + Unpin + 'static>(
        &self,
        request: Request<Bytes>,
        asked: Asked,
        held: H,
    ) -> Result<Response<Body>, Fault> {
        if self.require_auth && asked.caller.is_none() {
            return Err(caller(Code::Unauthorized, "Not authenticated"));
        }
        let path = request.uri().path();
        let read = matches!(*request.method(), Method::GET | Method::HEAD);
        let room = Room::of(&self.room);
        let answer = match path {
            PATH if read => document(&document::list(&asked.generation.catalogue), &room)?,
            DOCUMENT | USUAL if read => document(&document::openapi(&asked.generation.catalogue), &room)?,
            _ => {
                let tool = named(path, &asked.generation);
                let tool = tool.ok_or_else(|| caller(Code::NotFound, "There is no such tool"))?;
                if *request.method() != Method::POST {
                    return Err(caller(Code::MethodNotAllowed, "Method Not Allowed"));
                }
                super::scopes(&tool.item.scopes, asked.caller.as_ref(), None)?;
                let arguments = arguments(request.headers(), request.body())?;
                self.called(tool, arguments, &asked, &room).await?
            }
        };
        let mut response = Response::new(Full::new(answer).boxed());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        finish(response, None, (room, held)).await
    }

    /// Calls a tool for somebody who is no client of HTTP, and gives what one would get.
    ///
    /// # Errors
    /// The tool gave nothing.
    pub async fn call_tool(
        &self,
        tool: Named<'_, Tool>,
        arguments: Map<String, Value>,
        asked: &Asked,
    ) -> Result<Value, Fault> {
        let answer = self.called(tool, arguments, asked, &Room::of(&self.room)).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| Fault::new(Blame::Host, Code::Internal, "Internal Server Error").because(error))
    }

    async fn called(
        &self,
        tool: Named<'_, Tool>,
        arguments: Map<String, Value>,
        asked: &Asked,
        room: &Room,
    ) -> Result<Bytes, Fault> {
        let shared = &self.shared;
        let place = Arc::clone(&shared.places).try_acquire_owned().map_err(|_| Failed::Busy)?;
        let call = Call {
            id: Arc::clone(&asked.id),
            caller: asked.caller.clone(),
            client: asked.client,
            deadline: Deadline::after(tool.guest.profile.limits.wall),
            trace: asked.trace.clone(),
            notices: shared.changes.notices(),
            toolbox: shared.toolboxes.of(&asked.generation, tool.guest),
        };
        let ask = Ask { call, context: context(&asked.id), held: place };
        match offers::call_tool(tool, arguments, None, ask).await {
            Ok(Outcome::Complete(success)) if room.take(success.weight()) => to_json(&convert::called(success)),
            Ok(Outcome::Complete(_)) => Err(Failed::Busy.into()),
            Ok(Outcome::InputRequired(required)) => Err(asks(&required.requests)),
            Err(problem) => Err(fault(problem)),
        }
    }
}

fn named<'g>(path: &str, generation: &'g Generation) -> Option<Named<'g, Tool>> {
    generation.catalogue.tool(path.strip_prefix(PATH)?.strip_prefix('/')?)
}

fn arguments(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Fault> {
    is_json(headers)?;
    let text = std::str::from_utf8(body).ok().filter(|text| !envelope::is_deep(text));
    let parsed = text.and_then(|text| serde_json::from_str(text).ok());
    parsed.ok_or_else(|| caller(Code::BadRequest, "The body must be a JSON object, nested at most 64 levels"))
}

/// There is no client that anything could be asked of.
fn context(id: &str) -> CallContext {
    CallContext {
        request_id: id.to_owned(),
        protocol_version: FACE.to_owned(),
        client_name: None,
        features: ClientFeatures::empty(),
        wants_progress: false,
        meta: None,
    }
}

fn caller(code: Code, public: &'static str) -> Fault {
    Fault::new(Blame::Caller, code, public)
}

/// What a client reads of a problem.
fn fault(problem: Problem) -> Fault {
    match problem {
        Problem::NotFound(_) => caller(Code::NotFound, "There is no such tool"),
        Problem::Arguments(why) => Fault::new(Blame::Caller, Code::Unprocessable, format!("Invalid arguments: {why}")),
        Problem::Scopes(_) => caller(Code::Forbidden, "The caller lacks a scope that this tool needs"),
        Problem::MissingCapability { questions, .. } => asks(&questions),
        Problem::Reported(_) => Fault::new(Blame::Guest, Code::GuestFailed, "Internal Server Error").because(problem),
        Problem::Answer(_) => Fault::new(Blame::Guest, Code::GuestAnswer, "Bad Gateway").because(problem),
        Problem::Failed(failed) => failed.into(),
    }
}

/// The tool cannot go on without somebody to ask: that takes a client of the protocol.
fn asks(questions: &[InputRequest]) -> Fault {
    let questions = ask::requests(questions).ok().and_then(|asked| serde_json::to_value(asked).ok());
    let public = "The tool has to ask the user, which takes a client of the Model Context Protocol";
    caller(Code::Conflict, public).beside("inputRequests", questions.unwrap_or_else(|| json!({})))
}

fn document(document: &Value, room: &Room) -> Result<Bytes, Fault> {
    let answer = to_json(document)?;
    if room.take(answer.len()) { Ok(answer) } else { Err(Failed::Busy.into()) }
}

fn to_json(value: &impl Serialize) -> Result<Bytes, Fault> {
    let text = serde_json::to_vec(value);
    text.map(Bytes::from)
        .map_err(|error| Fault::new(Blame::Host, Code::Internal, "Internal Server Error").because(error))
}
