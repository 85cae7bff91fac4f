//! What the OpenAPI document says of tools: the host answers `POST /api/tools/{name}`
//! for this module's own, and for those of other modules that it was granted.

use serde_json::{Map, Value, json};

use super::ALL;
use crate::openapi::merge;

/// The document with an operation for each tool.
pub fn add(document: &str) -> String {
    let others = super::of_others().into_iter().map(|tool| Operation {
        summary: String::new(),
        description: tool.description,
        input: own_root(&tool.name, tool.schema),
        output: None,
        name: tool.name,
    });
    merge(document, &part(own().chain(others)))
}

struct Operation {
    name: String,
    summary: String,
    description: String,
    input: Value,
    output: Option<Value>,
}

fn own() -> impl Iterator<Item = Operation> {
    ALL.iter().map(|tool| Operation {
        name: tool.name.to_owned(),
        summary: tool.title.unwrap_or_default().to_owned(),
        description: tool.description.to_owned(),
        input: tool.schema(),
        output: tool.output_schema(),
    })
}

/// A schema that refers to its own parts does so from its root (JSON Schema
/// 2020-12, 8.2.1); without an `$id` that would be the document's.
fn own_root(name: &str, mut schema: Value) -> Value {
    if schema.to_string().contains("\"$ref\"") {
        schema["$id"] = json!(format!("/api/tools/{name}/input"));
    }
    schema
}

/// In the layout that `merge` takes apart.
fn part(tools: impl Iterator<Item = Operation>) -> String {
    let paths: Vec<String> =
        tools.map(|tool| format!("{}:{}", json!(format!("/api/tools/{}", tool.name)), operation(tool))).collect();
    let schemas =
        [("ToolError", error()), ("ToolResult", result())].map(|(name, schema)| format!("\"{name}\":{schema}"));
    format!("{{\"paths\":{{\n{}\n}},\n\"schemas\":{{\n{}\n}}}}\n", paths.join(",\n"), schemas.join(",\n"))
}

fn operation(tool: Operation) -> Value {
    let mut result = json!({ "$ref": "#/components/schemas/ToolResult" });
    if let Some(output) = tool.output {
        result = json!({ "allOf": [result], "properties": { "structuredContent": output } });
    }
    let mut responses = Map::new();
    responses.insert("200".to_owned(), answer("What the tool answered; it failed when `isError` is true", &result));
    for (status, description) in [
        ("409", "The tool has to ask the user; `inputRequests` has the questions"),
        ("422", "The arguments do not fit"),
        ("503", "Too much to do"),
    ] {
        responses.insert(status.to_owned(), answer(description, &json!({ "$ref": "#/components/schemas/ToolError" })));
    }
    json!({ "post": {
        "tags": ["tools"],
        "summary": if tool.summary.is_empty() { &tool.name } else { &tool.summary },
        "description": tool.description,
        "operationId": format!("{}_api_tools_post", tool.name),
        "security": [{ "HTTPBearer": [] }],
        "requestBody": { "required": true, "content": { "application/json": { "schema": tool.input } } },
        "responses": responses,
    } })
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// The result of the Model Context Protocol, as it is.
fn result() -> Value {
    json!({
        "title": "ToolResult",
        "type": "object",
        "required": ["content"],
        "properties": {
            "content": { "type": "array", "items": { "type": "object", "required": ["type"],
                "properties": { "type": { "type": "string" } } } },
            "structuredContent": {},
            "isError": { "type": "boolean" },
        },
    })
}

fn error() -> Value {
    json!({ "title": "ToolError", "type": "object", "required": ["detail"], "properties": {
        "detail": { "type": "string" }, "inputRequests": { "type": "object" },
    } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "{\"paths\":{\n\"/\":{}},\"components\":{\"schemas\":{\n\"Message\":{}}}}";

    #[test]
    fn every_tool_is_an_operation_with_its_schema() {
        let document: Value = serde_json::from_str(&merge(DOCUMENT, &part(own()))).expect("it is JSON");
        assert_eq!(document["paths"].as_object().expect("an object").len(), 1 + ALL.len());
        for tool in &ALL {
            let operation = &document["paths"][format!("/api/tools/{}", tool.name)]["post"];
            assert_eq!(operation["requestBody"]["content"]["application/json"]["schema"], tool.schema());
        }
        for name in ["ToolError", "ToolResult", "Message"] {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn references_of_anothers_schema_stay_its_own() {
        let plain = json!({ "type": "object" });
        assert_eq!(own_root("plain", plain.clone()), plain);
        let tree = json!({ "$defs": { "node": {} }, "properties": { "root": { "$ref": "#/$defs/node" } } });
        assert_eq!(own_root("notes.add", tree)["$id"], "/api/tools/notes.add/input");
    }
}
