//! Tools.

use serde_json::{Map, Value};

use super::{Ask, Outcome, Problem, check, input};
use crate::bindings::offers::exports::innkeeper::backend::tools as wit;
use crate::bindings::offers::innkeeper::backend::types::{Content, Resumption};
use crate::call::Caller;
use crate::dispatch;
use crate::registry::{Named, Tool};

/// What a tool answered.
#[derive(Debug)]
pub struct Success {
    /// For people and models.
    pub content: Vec<Content>,
    /// For programs; it fits the output schema.
    pub structured: Option<Value>,
    /// Its length as the guest wrote it.
    pub structured_bytes: usize,
    /// The tool ran and failed; the content says why.
    pub is_error: bool,
    /// What the guest adds.
    pub meta: Option<Map<String, Value>>,
}

/// Calls a tool: scopes, arguments, permit, guest, answer.
///
/// # Errors
/// See [`Problem`].
pub async fn call_tool<H: Send + 'static>(
    tool: Named<'_, Tool>,
    arguments: Map<String, Value>,
    resume: Option<Resumption>,
    ask: Ask<H>,
) -> Result<Outcome<Success>, Problem> {
    let Ask { call, context, held } = ask;
    check_scopes(call.caller.as_ref(), &tool.item.scopes)?;
    let arguments = Value::Object(arguments);
    tool.item.input.check(&arguments).map_err(Problem::Arguments)?;
    let indices = tool.guest.exports.tools.clone().ok_or(Problem::NotFound("tool"))?;
    let features = context.features;
    let (name, arguments) = (tool.item.descriptor.name.clone(), arguments.to_string());
    let outcome = dispatch::call(tool.guest, call, held, move |store, instance| {
        Box::pin(async move {
            let tools = indices.load(&mut *store, &instance)?;
            tools.call_call(store, &context, &name, &arguments, resume.as_ref()).await
        })
    });
    match outcome.await?.map_err(|error| Problem::of(error, "tool"))? {
        wit::Outcome::Complete(success) => check_success(success, tool.item).map(Outcome::Complete),
        wit::Outcome::InputRequired(required) => input::check(required, features).map(Outcome::InputRequired),
    }
}

/// Whether a caller has every scope that is required.
///
/// # Errors
/// It lacks one.
fn check_scopes(caller: Option<&Caller>, required: &[String]) -> Result<(), Problem> {
    let has = |scope: &String| caller.is_some_and(|caller| caller.scopes.contains(scope));
    if required.iter().all(has) { Ok(()) } else { Err(Problem::Scopes(required.to_vec())) }
}

fn check_success(success: wit::Success, tool: &Tool) -> Result<Success, Problem> {
    let wit::Success { content, structured, is_error, meta } = success;
    check::contents(&content).map_err(Problem::Answer)?;
    let structured_bytes = structured.as_ref().map_or(0, String::len);
    let structured = structured.map(|text| check::json(&text, "structured content")).transpose();
    let structured = structured.map_err(Problem::Answer)?;
    match (&tool.output, &structured) {
        // A tool that failed has nothing to show for it.
        (Some(schema), Some(value)) if !is_error => {
            let wrong = |why| Problem::Answer(format!("has structured content that does not fit its schema: {why}"));
            schema.check(value).map_err(wrong)?;
        }
        (Some(_), None) if !is_error => {
            return Err(Problem::Answer("lacks the structured content that its schema promises".to_owned()));
        }
        _ => {}
    }
    let meta = meta.map(|text| check::object(&text, "meta")).transpose().map_err(Problem::Answer)?;
    Ok(Success { content, structured, structured_bytes, is_error, meta })
}
