//! Running what the model asked for.

use innkeeper_guest::llm::ToolCall;
use innkeeper_guest::sql;
use innkeeper_guest::toolbox::Tool;
use innkeeper_guest::tools::{Context, Failure as ToolFailure, Tool as OwnTool};
use serde_json::{Map, Value, json};

use super::others::{self, Others};
use super::{Event, Finish, Run, lost};
use crate::chat::store::{self, NewCall};
use crate::chat::turn::{Call, Status};
use crate::reply::Failure;
use crate::settings::{ChatSettings, OTHERS};
use crate::tools;

/// How often the same call with the same arguments is too often.
const SAME: usize = 3;
/// Bytes of one call's arguments; a task has no more.
const ARGUMENTS: usize = 16 << 10;
/// Bytes of a name that the model made up.
const NAME: usize = 64;
/// Bytes of the model's own name for a call.
const CALL_ID: usize = 128;

/// What the model reads when a tool is at fault. What went wrong is in the log.
const BROKEN: &str = "An error occurred while running the tool. Look whether it was done before you try again.";

/// A call as it is stored. One that needs approval waits for it; one that cannot
/// run anyway needs none.
fn to_store(call: ToolCall, settings: &ChatSettings, others: &Others) -> NewCall {
    let ToolCall { id, name, arguments, arguments_valid } = call;
    let named = settings.needs_approval(&name) || (settings.needs_approval(OTHERS) && others.may_change(&name));
    let waits = named && arguments_valid && arguments.len() <= ARGUMENTS;
    NewCall {
        call_id: shorten(id, CALL_ID),
        name: shorten(name, NAME),
        arguments: shorten(arguments, ARGUMENTS + 1),
        status: if waits { Status::Pending } else { Status::Approved },
    }
}

fn shorten(mut text: String, most: usize) -> String {
    // No database takes NUL, and Postgres says so by an error.
    text.retain(|c| c != '\0');
    text.truncate(text.floor_char_boundary(most));
    text
}

impl Run {
    /// A call as it is stored.
    pub(super) fn to_store(&self, call: ToolCall) -> NewCall {
        to_store(call, &self.settings, &self.others)
    }

    /// Runs the call at this place of the last step.
    pub(super) fn run_call(&mut self, place: usize) -> Result<(), Failure> {
        let Some(call) = self.turn.steps.last().and_then(|step| step.calls.get(place)).cloned() else {
            return Err(Failure::broken("there is no such call"));
        };
        let until_now = |other: &&Call| (other.step, other.place) <= (call.step, call.place);
        let same = self.turn.calls().filter(until_now).filter(|other| is_same(other, &call)).count();
        let outcome = if same >= SAME {
            self.enough = Some(Finish::Repeated);
            Err("The same call was made too often.".to_owned())
        } else {
            self.run_tool(&call)?
        };
        let (result, failed) = match outcome {
            Ok(result) => (result, false),
            Err(why) => (json!({ "success": false, "error": why }).to_string(), true),
        };
        if !self.store.finish(call.id, &result, failed).map_err(lost)? {
            return Err(Failure::Overtaken);
        }
        let Some(stored) = self.turn.steps.last_mut().and_then(|step| step.calls.get_mut(place)) else {
            return Err(Failure::broken("there is no such call"));
        };
        (stored.status, stored.result, stored.failed) = (Status::Done, Some(result), failed);
        self.events.push_back(Event::Result(stored.clone()));
        Ok(())
    }

    /// The result, or a sentence for the model why there is none.
    fn run_tool(&self, call: &Call) -> Result<Result<String, String>, Failure> {
        if call.arguments.len() > ARGUMENTS {
            return Ok(Err("The arguments are too long.".to_owned()));
        }
        let Ok(arguments) = serde_json::from_str::<Map<String, Value>>(&call.arguments) else {
            return Ok(Err("The arguments are not a JSON object.".to_owned()));
        };
        match (tools::find(&call.name), self.others.find(&call.name)) {
            (Some(own), _) => self.run_own(call, own, arguments),
            (None, Some(other)) => self.run_other(call, other, &arguments),
            (None, None) => Ok(Err("There is no tool of this name.".to_owned())),
        }
    }

    /// Whatever the other module's tool does is not part of a transaction here. So
    /// the call is claimed first: one that is cut off is told as unknown, and is not
    /// made again.
    fn run_other(
        &self,
        call: &Call,
        tool: &Tool,
        arguments: &Map<String, Value>,
    ) -> Result<Result<String, String>, Failure> {
        sql::batch(self.store.claim(call.id)).map_err(lost)?;
        Ok(others::call(tool, arguments))
    }

    fn run_own(
        &self,
        call: &Call,
        tool: &OwnTool,
        mut arguments: Map<String, Value>,
    ) -> Result<Result<String, String>, Failure> {
        arguments.retain(|name, _| !tools::IGNORED.contains(&name.as_str()));
        let context = Context::current().guarded(self.store.claim(call.id));
        match tool.call(&context, arguments) {
            Ok(output) => Ok(Ok(output.json)),
            Err(ToolFailure::Refused(why)) => Ok(Err(why)),
            // Somebody else runs it, or has.
            Err(ToolFailure::Database(error)) if store::is_claimed(&error) => Err(Failure::Overtaken),
            Err(ToolFailure::Database(error)) => {
                eprintln!("the tool {} met the database: {error}", tool.name);
                Ok(Err(BROKEN.to_owned()))
            }
            // None of these asks, and here nobody could be asked.
            Err(ToolFailure::Asks(_)) => Ok(Err(BROKEN.to_owned())),
            Err(ToolFailure::Broken(why)) => {
                eprintln!("the tool {} failed: {why}", tool.name);
                Ok(Err(BROKEN.to_owned()))
            }
        }
    }
}

/// Whether two calls ask for the same, however it is written.
fn is_same(one: &Call, other: &Call) -> bool {
    let parsed = |call: &Call| serde_json::from_str::<Value>(&call.arguments).ok();
    one.name == other.name
        && (one.arguments == other.arguments
            || parsed(one).is_some_and(|arguments| parsed(other).is_some_and(|same| arguments == same)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::turn::Call;

    fn new(name: &str, arguments: &str, valid: bool) -> NewCall {
        let settings = ChatSettings { approval: vec!["delete_task".to_owned()], ..ChatSettings::default() };
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            arguments_valid: valid,
        };
        to_store(call, &settings, &Others::default())
    }

    #[test]
    fn what_the_operator_named_waits_and_nothing_else() {
        assert_eq!(new("delete_task", r#"{"task_id":1}"#, true).status, Status::Pending);
        assert_eq!(new("delete_task", r#"{"task_id":"#, false).status, Status::Approved, "it cannot run anyway");
        assert_eq!(new("add_task", r#"{"title":"x"}"#, true).status, Status::Approved);
    }

    #[test]
    fn what_is_stored_of_a_call_has_a_bound_and_fits_every_database() {
        let huge = new("n\0ame", &"ä".repeat(20_000), false);
        assert!(huge.arguments.len() <= ARGUMENTS + 1 && huge.arguments.len() >= ARGUMENTS);
        assert_eq!(huge.name, "name");
    }

    #[test]
    fn a_call_is_the_same_however_its_arguments_are_written() {
        let call = |name, arguments| Call::new(0, 1, 1, 0, &new(name, arguments, true));
        let milk = call("add_task", r#"{"title":"milk","tags":["a"]}"#);
        assert!(is_same(&milk, &call("add_task", r#"{ "tags": ["a"], "title": "milk" }"#)));
        assert!(!is_same(&milk, &call("add_task", r#"{"title":"eggs"}"#)));
        assert!(!is_same(&milk, &call("list_tasks", r#"{"title":"milk","tags":["a"]}"#)));
        assert!(is_same(&call("x", "{broken"), &call("x", "{broken")));
    }
}
