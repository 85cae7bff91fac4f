//! Tools that guests call: those of other modules, in an instance and under the
//! limits of the module that has the tool, for the caller of the call that asks.
//!
//! The guest that calls waits, and keeps its instance, its permit and its place.
//! Nothing here waits for a place: what is not free at once is refused, so that no
//! two calls can wait for each other. A module that waits is not entered again, and
//! four calls inside of each other are the most: what one request can take up is
//! five instances, whatever modules were granted of each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Ask, Outcome, Problem, Success, Weight, call_tool, check};
use crate::bindings::offers::innkeeper::backend::types as wit;
use crate::bindings::offers::innkeeper::backend::types::{CallContext, ClientFeatures, Descriptor, Tool};
use crate::call::toolbox::{ToolError, Tools};
use crate::call::{Call, Deadline, Toolbox};
use crate::config::limits::BODY_BYTES;
use crate::dispatch::Failed;
use crate::instance::Guest;
use crate::registry::{self, Generation, Named, is_granted};

/// Calls inside of calls. A chat that calls a tool is one; a tool that asks others
/// for help is the next. More is a mistake, and each holds an instance.
const DEPTH: usize = 4;
/// Bytes of what a tool may answer to another guest, which has it in its own memory,
/// several times over while it reads it.
const ANSWER_BYTES: usize = 1 << 20;
/// What stays of the caller's own time, at the most: enough to tell that a tool took
/// too long. Never more than a quarter, so that a short rest is still of use.
const REMAINDER: Duration = Duration::from_secs(1);
/// How a guest sees that it is called by another one.
const FACE: &str = "toolbox";

/// Calls inside of calls that a host with so many places for requests runs at once.
/// Each has an instance beyond those of the places. Fewer: chats meet a host that is
/// busy while it has nothing to do. More: memory beyond what the places may take.
pub fn inner_calls(places: u32) -> u32 {
    (places / 4).max(16)
}

/// Makes the ways to the tools of other modules.
#[derive(Clone, Debug)]
pub struct Toolboxes {
    places: Arc<Semaphore>,
}

impl Toolboxes {
    /// For a host with so many places for requests.
    pub fn new(places: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(inner_calls(places) as usize)) }
    }

    /// For a call of this guest.
    pub fn of(&self, generation: &Arc<Generation>, guest: &Arc<Guest>) -> Toolbox {
        self.below(generation, guest, Vec::new())
    }

    fn below(&self, generation: &Arc<Generation>, guest: &Arc<Guest>, waiting: Vec<Arc<str>>) -> Toolbox {
        if guest.profile.toolbox.is_none() {
            return Toolbox::default();
        }
        let (generation, guest) = (Arc::clone(generation), Arc::clone(guest));
        Toolbox::of(Open { toolboxes: self.clone(), generation, guest, waiting })
    }
}

/// The tools that one call of one guest can reach.
struct Open {
    toolboxes: Toolboxes,
    generation: Arc<Generation>,
    /// Whose grants count.
    guest: Arc<Guest>,
    /// Modules that wait for this guest, the first first.
    waiting: Vec<Arc<str>>,
}

impl Tools for Open {
    fn list(&self, call: &Call) -> Vec<Tool> {
        let has = |scope: &String| call.caller.as_ref().is_some_and(|caller| caller.scopes.contains(scope));
        let tools = self.generation.catalogue.tools().filter(|tool| is_granted(&self.guest, tool));
        tools.filter(|tool| tool.item.scopes.iter().all(has)).map(described).collect()
    }

    fn call<'t>(
        &'t self,
        call: &'t Call,
        name: &'t str,
        arguments: &'t str,
    ) -> BoxFuture<'t, Result<wit::Success, ToolError>> {
        self.run(call, name, arguments).boxed()
    }
}

impl Open {
    async fn run(&self, call: &Call, name: &str, arguments: &str) -> Result<wit::Success, ToolError> {
        let found = self.generation.catalogue.tool(name).filter(|tool| is_granted(&self.guest, tool));
        let tool = found.ok_or_else(|| ToolError::NotFound(check::cut(name)))?;
        let arguments = object(arguments)?;
        let (waiting, place) = self.enter(&tool).map_err(|why| self.failed(call, &tool, &why, why.public()))?;
        let rest = call.deadline.at().saturating_duration_since(Instant::now());
        let time = rest - REMAINDER.min(rest / 4);
        let inner = Call {
            id: Arc::clone(&call.id),
            caller: call.caller.clone(),
            client: call.client,
            deadline: Deadline::after(time.min(tool.guest.profile.limits.wall)),
            trace: call.trace.clone(),
            notices: call.notices.inner(),
            toolbox: self.toolboxes.below(&self.generation, tool.guest, waiting),
        };
        let ask = Ask { call: inner, context: context(call), held: place };
        // The inner clock stands still while that guest waits for a model; the
        // caller's goes on.
        let called = tokio::time::timeout(time, call_tool(tool, arguments, None, ask)).await;
        match called.unwrap_or(Err(Problem::Failed(Failed::OutOfTime))) {
            Ok(Outcome::Complete(success)) if success.weight() <= ANSWER_BYTES => Ok(told(success)),
            Ok(Outcome::Complete(_)) => {
                let why = Problem::Answer(format!("is larger than {} MiB", ANSWER_BYTES >> 20));
                Err(self.failed(call, &tool, &why, "its answer is too large"))
            }
            Ok(Outcome::InputRequired(_)) => Err(ToolError::InputRequired),
            Err(problem) => Err(self.refused(call, &tool, problem)),
        }
    }

    /// Who waits from now on, and a place for one call more.
    fn enter(&self, tool: &Named<'_, registry::Tool>) -> Result<(Vec<Arc<str>>, OwnedSemaphorePermit), NoEntry> {
        let mut waiting = self.waiting.clone();
        waiting.push(Arc::clone(&self.guest.profile.name));
        if waiting.contains(&tool.guest.profile.name) {
            return Err(NoEntry::Circle);
        }
        if waiting.len() > DEPTH {
            return Err(NoEntry::Depth);
        }
        let place = Arc::clone(&self.toolboxes.places).try_acquire_owned().map_err(|_| NoEntry::Busy)?;
        Ok((waiting, place))
    }

    fn refused(&self, call: &Call, tool: &Named<'_, registry::Tool>, problem: Problem) -> ToolError {
        let public = match problem {
            Problem::NotFound(_) => return ToolError::NotFound(tool.name.to_owned()),
            Problem::Arguments(why) => return ToolError::Arguments(why),
            Problem::Scopes(scopes) => return ToolError::Scopes(scopes),
            Problem::MissingCapability { .. } => return ToolError::InputRequired,
            Problem::Failed(Failed::Busy | Failed::NoInstance(_)) => NoEntry::Busy.public(),
            Problem::Failed(Failed::OutOfTime | Failed::OutOfCpu) => "it took too long",
            Problem::Reported(_) | Problem::Answer(_) | Problem::Failed(_) => "it failed",
        };
        self.failed(call, tool, &problem, public)
    }

    /// Two readers, two messages: the log's has the reason.
    fn failed(
        &self,
        call: &Call,
        tool: &Named<'_, registry::Tool>,
        why: &(dyn std::error::Error + 'static),
        public: &str,
    ) -> ToolError {
        let (from, owner) = (&self.guest.profile.name, &tool.guest.profile.name);
        tracing::warn!(request.id = %call.id, trace_id = call.trace.id(), module.name = %owner, module.caller = %from,
            "tool `{}` gave `{from}` no result: {}", tool.name, crate::fault::chain(why));
        ToolError::Unavailable(format!("The tool `{}` is not available: {public}.", tool.name))
    }
}

/// Why a tool is not called at all.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum NoEntry {
    #[error("its module waits for this call already")]
    Circle,
    #[error("{DEPTH} calls wait inside of each other already")]
    Depth,
    #[error("as many tools are running for other modules as this host allows")]
    Busy,
}

impl NoEntry {
    fn public(self) -> &'static str {
        match self {
            Self::Circle => "tools call each other in a circle",
            Self::Depth => "tools call each other too deep",
            Self::Busy => "it has too much to do, try again later",
        }
    }
}

fn object(text: &str) -> Result<Map<String, Value>, ToolError> {
    let parsed = (text.len() <= BODY_BYTES).then(|| serde_json::from_str(text).ok()).flatten();
    parsed.ok_or_else(|| ToolError::Arguments(format!("they are no JSON object of at most {} MiB", BODY_BYTES >> 20)))
}

/// There is no client at the end of the call that anything could be asked of.
fn context(call: &Call) -> CallContext {
    CallContext {
        request_id: call.id.to_string(),
        protocol_version: FACE.to_owned(),
        client_name: None,
        features: ClientFeatures::empty(),
        wants_progress: false,
        meta: None,
    }
}

fn described(Named { name, item, .. }: Named<'_, registry::Tool>) -> Tool {
    let text = |schema: &registry::Schema| Value::Object((*schema.json).clone()).to_string();
    Tool {
        descriptor: Descriptor { name: name.to_owned(), ..item.descriptor.clone() },
        input_schema: text(&item.input),
        output_schema: item.output.as_ref().map(text),
        hints: item.hints,
        required_scopes: item.scopes.clone(),
    }
}

fn told(success: Success) -> wit::Success {
    let Success { content, structured, structured_bytes: _, is_error, meta } = success;
    let text = |value: Value| value.to_string();
    wit::Success {
        content,
        structured: structured.map(text),
        is_error,
        meta: meta.map(|meta| text(Value::Object(meta))),
    }
}
