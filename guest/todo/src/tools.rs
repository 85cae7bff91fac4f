//! What a model can do with the tasks. The host offers the same tools to clients
//! of the Model Context Protocol.
//!
//! Whose tasks they are is the caller's business and no argument's. Titles and
//! the like are text that anybody may have typed, so they are in no sentence and
//! in no instruction: only in the JSON of a result.

mod add;
mod complete;
mod delete;
mod list;
pub mod openapi;
mod shown;
mod update;

use innkeeper_guest::toolbox;
use innkeeper_guest::tools::{Failure, Tool};
use serde::{Deserialize, Serialize};

use crate::check::Issues;
use crate::json::{self, Value};

/// Every tool, in the order in which a model is told of them.
pub const ALL: [Tool; 7] =
    [add::ADD, list::LIST, list::SEARCH, complete::ONE, complete::MANY, update::UPDATE, delete::DELETE];

/// Arguments that nobody looks at: whose tasks they are is known.
pub const IGNORED: [&str; 1] = ["user_id"];

/// The tool of this name.
pub fn find(name: &str) -> Option<&'static Tool> {
    const { &ALL }.iter().find(|tool| tool.name == name)
}

/// Those of other modules that this one was granted and the caller may use. Nothing
/// here depends on them: where they cannot be listed there are none, and the log says
/// why.
pub fn of_others() -> Vec<toolbox::Tool> {
    toolbox::list().unwrap_or_else(|error| {
        eprintln!("the tools of other modules cannot be listed: {}", toolbox::why(&error));
        Vec::new()
    })
}

/// How urgent a task is.
#[derive(Clone, Copy, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Priority {
    Low,
    Medium,
    High,
}

/// The arguments that were given, as the checks of the REST API read them. One
/// that is `null` was not: a model that keeps to a strict schema has no other way
/// to leave one out.
fn given(arguments: &impl Serialize) -> Result<Vec<(String, Value)>, Failure> {
    let text = serde_json::to_string(arguments).map_err(Failure::broken)?;
    match json::decode(&text) {
        Ok(Value::Map(fields)) => Ok(fields.into_iter().filter(|(_, value)| *value != Value::Null).collect()),
        _ => Err(Failure::broken("arguments are no object")),
    }
}

/// What the REST API would answer with 422, for a model.
pub(crate) fn refused(issues: Issues) -> Failure {
    Failure::Refused(format!("The arguments do not fit: {}.", issues.sentences().join("; ")))
}

fn no_task(id: i64) -> Failure {
    Failure::Refused(format!("Task {id} not found. List the tasks to see which there are."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Models choose by the description, so each must say what a schema cannot.
    #[test]
    fn every_tool_has_a_name_of_its_own_a_title_and_arguments_that_are_described() {
        let mut names: Vec<&str> = ALL.iter().map(|tool| tool.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for tool in &ALL {
            assert!(tool.title.is_some() && tool.description.len() > 20, "{}", tool.name);
            let schema = tool.schema();
            assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
            for (name, property) in schema["properties"].as_object().expect("an object") {
                assert!(property["description"].is_string(), "{} {name}", tool.name);
                assert_ne!(name, "user_id", "the caller is no argument");
            }
        }
    }

    /// OpenAI refuses a strict schema with a word that it does not know.
    #[test]
    fn schemas_have_only_words_that_strict_servers_know() {
        const KNOWN: [&str; 7] =
            ["type", "properties", "required", "additionalProperties", "enum", "items", "description"];
        fn check(tool: &str, schema: &serde_json::Value) {
            for (word, value) in schema.as_object().expect("a schema") {
                assert!(KNOWN.contains(&word.as_str()), "{tool}: {word}");
                match word.as_str() {
                    "properties" => value.as_object().expect("an object").values().for_each(|each| check(tool, each)),
                    "items" => check(tool, value),
                    _ => {}
                }
            }
        }
        for tool in &ALL {
            check(tool.name, &tool.schema());
        }
    }
}
