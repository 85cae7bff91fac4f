//! Tools of other modules, which the operator granted to this one: they stand
//! beside the chat's own, and whatever becomes of a call is an answer to the model.

use innkeeper_guest::llm;
use innkeeper_guest::toolbox::{self, Answer, Tool, llm_name};
use serde_json::{Map, Value, json};

use crate::tools;

/// Tools that a model is told of. Among more it chooses badly, and every request
/// pays for all of them.
const MOST: usize = 64;
/// Bytes of what is said of them all, for the same reason.
const BYTES: usize = 64 << 10;
/// Levels of one schema; the host sends no request to a model with much more.
const LEVELS: usize = 24;
/// Bytes of a name, by what models' providers take.
const NAME: usize = 64;
/// Bytes of a result, as of the chat's own tools.
const RESULT: usize = 16 << 10;

/// The tools of one run, by the names that the model knows them by.
#[derive(Debug, Default)]
pub(super) struct Others(Vec<Tool>);

impl Others {
    /// Those that this module was granted and the caller may use. The chat goes on
    /// without them when they cannot be listed.
    pub(super) fn granted() -> Self {
        Self::of(tools::of_others())
    }

    /// As many as a model takes. One with the name of another is not told of: which
    /// of the two is meant, nobody could say.
    fn of(listed: Vec<Tool>) -> Self {
        let (mut kept, mut bytes): (Vec<Tool>, usize) = (Vec::new(), 0);
        for tool in listed {
            let name = llm_name(&tool.name);
            let size = tool.description.len() + tool.schema.to_string().len();
            let is_new = tools::find(&name).is_none() && !kept.iter().any(|other| llm_name(&other.name) == name);
            let fits =
                kept.len() < MOST && bytes + size <= BYTES && name.len() <= NAME && !is_deeper(&tool.schema, LEVELS);
            if is_new && fits {
                bytes += size;
                kept.push(tool);
            } else {
                eprintln!("the model is not told of the tool `{name}`: its name is taken, or there is no room for it");
            }
        }
        Self(kept)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the model is told.
    pub(super) fn for_model(&self) -> impl Iterator<Item = llm::Tool> {
        self.0.iter().map(Tool::for_model)
    }

    /// The tool of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Tool> {
        self.0.iter().find(|tool| llm_name(&tool.name) == name)
    }

    /// Whether the tool of this name may change something.
    pub(super) fn may_change(&self, name: &str) -> bool {
        self.find(name).is_some_and(|tool| !tool.is_read_only)
    }
}

fn is_deeper(value: &Value, left: usize) -> bool {
    let Some(left) = left.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, left)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, left)),
        _ => false,
    }
}

/// The result, or a sentence for the model why there is none. The host's log has
/// what it does not say.
pub(super) fn call(tool: &Tool, arguments: &Map<String, Value>) -> Result<String, String> {
    match toolbox::call(&tool.name, arguments) {
        Ok(Answer { text, is_error: false }) => Ok(told(&text)),
        Ok(Answer { text, is_error: true }) => Err(shorten(&text).to_owned()),
        Err(error) => Err(toolbox::why(&error)),
    }
}

/// In the form of the chat's own results.
fn told(text: &str) -> String {
    if text.len() > RESULT {
        let note = "The rest of this result is left out.";
        return json!({ "success": true, "result": shorten(text), "note": note }).to_string();
    }
    let result = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    json!({ "success": true, "result": result }).to_string()
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(RESULT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Tool {
        let schema = json!({ "type": "object", "properties": {} });
        Tool { name: name.to_owned(), description: String::new(), schema, is_read_only: false, is_destructive: false }
    }

    #[test]
    fn names_are_such_as_providers_take_and_no_tool_takes_anothers() {
        let names = ["notes.add", "add_task", "resolve_date", "notes__add", &"x".repeat(65)];
        let others = Others::of(names.map(tool).into());
        let told: Vec<String> = others.for_model().map(|tool| tool.name).collect();
        assert_eq!(told, ["notes__add", "resolve_date"]);
        assert_eq!(others.find("notes__add").map(|tool| tool.name.as_str()), Some("notes.add"));
        assert!(others.find("add_task").is_none() && others.find("notes.add").is_none());
    }

    #[test]
    fn what_a_model_is_told_has_a_bound() {
        let others = Others::of((0..100).map(|number| tool(&format!("t{number}"))).collect());
        assert_eq!(others.for_model().count(), MOST);
        let mut large = tool("large");
        large.description = "x".repeat(BYTES);
        let mut deep = tool("deep");
        deep.schema = (0..LEVELS).fold(json!(1), |inner, _| json!({ "properties": inner }));
        let others = Others::of(vec![large, deep, tool("small")]);
        assert_eq!(others.for_model().map(|tool| tool.name).collect::<Vec<_>>(), ["small"]);
    }

    #[test]
    fn a_result_is_an_object_and_not_too_long() {
        assert_eq!(told(r#"{"date":"2026-11-27"}"#), r#"{"result":{"date":"2026-11-27"},"success":true}"#);
        assert_eq!(told("plain\0"), r#"{"result":"plain\u0000","success":true}"#);
        let long = told(&"ä".repeat(RESULT));
        assert!(long.len() < RESULT + 200 && long.contains("left out"), "{}", long.len());
    }
}
