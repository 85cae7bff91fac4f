//! What there is to call, for people and programs: a list, and a document of OpenAPI.
//! Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::PATH;
use crate::mcp::convert;
use crate::registry::{Catalogue, Named, Schema, Tool};

/// All tools, as the protocol lists them, with what they need.
pub(super) fn list(catalogue: &Catalogue) -> Value {
    let tools = catalogue.tools().map(|tool| {
        let mut described = serde_json::to_value(convert::tool(tool)).unwrap_or_default();
        described["module"] = json!(*tool.guest.profile.name);
        described["requiredScopes"] = json!(tool.item.scopes);
        described
    });
    json!({ "tools": tools.collect::<Value>() })
}

/// One operation for each tool.
pub(super) fn openapi(catalogue: &Catalogue) -> Value {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    let mut modules = BTreeSet::new();
    for tool in catalogue.tools() {
        paths.insert(format!("{PATH}/{}", tool.name), json!({ "post": operation(tool, &mut schemas) }));
        modules.insert(&*tool.guest.profile.name);
    }
    schemas.insert("Error".to_owned(), error());
    let tags: Value = modules.into_iter().map(|name| json!({ "name": name })).collect();
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": { "title": "Tools", "version": crate::VERSION },
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(tool: Named<'_, Tool>, schemas: &mut Map<String, Value>) -> Value {
    let Named { name, guest, item } = tool;
    let input = place(&format!("{name}.input"), &item.input, schemas);
    let output = item.output.as_ref().map(|output| place(&format!("{name}.output"), output, schemas));
    let mut answers = json!({ "200": { "description": "What the tool answered; it failed when `isError` is true",
        "content": { "application/json": { "schema": result(output) } } } });
    for (status, description) in [
        ("400", "The body is no JSON object"),
        ("401", "The credential is not valid, or one is needed"),
        ("403", "The caller lacks a scope"),
        ("409", "The tool has to ask the user; `inputRequests` has the questions"),
        ("422", "The arguments do not fit"),
        ("503", "Too much to do"),
    ] {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        answers[status] =
            json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    }
    let mut operation = json!({
        "operationId": name,
        "tags": [*guest.profile.name],
        "requestBody": { "required": true, "content": { "application/json": { "schema": input } } },
        "responses": answers,
        // Without a credential too, unless scopes are needed: the tool decides.
        "security": if item.scopes.is_empty() { json!([{}, { "bearer": [] }]) } else { json!([{ "bearer": item.scopes }]) },
    });
    if let Some(title) = &item.descriptor.title {
        operation["summary"] = json!(title);
    }
    if let Some(description) = &item.descriptor.description {
        operation["description"] = json!(description);
    }
    operation
}

/// The protocol's result.
fn result(output: Option<Value>) -> Value {
    let structured = output.unwrap_or_else(|| json!({ "description": "What the tool has for programs" }));
    json!({
        "type": "object",
        "required": ["content"],
        "properties": {
            "content": { "type": "array", "items": { "type": "object", "required": ["type"],
                "properties": { "type": { "type": "string" } } } },
            "structuredContent": structured,
            "isError": { "type": "boolean" },
        },
    })
}

fn error() -> Value {
    json!({ "type": "object", "required": ["detail"], "properties": {
        "detail": { "type": "string" }, "inputRequests": { "type": "object" },
    } })
}

/// Puts a schema among the document's, and gives the reference to it. Names of tools
/// have no characters that a reference would have to escape.
fn place(name: &str, schema: &Schema, schemas: &mut Map<String, Value>) -> Value {
    let here = format!("#/components/schemas/{name}");
    let mut moved = Value::Object((*schema.json).clone());
    rebase(&mut moved, &here);
    schemas.insert(name.to_owned(), moved);
    json!({ "$ref": here })
}

/// Keywords with schemas by name.
const NAMED: [&str; 5] = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];

/// A schema refers to its own parts from its root, which is elsewhere now. A root of
/// its own keeps its references: below it they are what they were.
fn rebase(value: &mut Value, here: &str) {
    match value {
        Value::Object(map) if map.contains_key("$id") => {}
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| match value {
            Value::String(to) if key == "$ref" || key == "$dynamicRef" => {
                if let Some(rest) = to.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                    *to = format!("{here}{rest}");
                }
            }
            // There the keys are names.
            Value::Object(named) if NAMED.contains(&key.as_str()) => {
                named.values_mut().for_each(|value| rebase(value, here));
            }
            // What stands there are values and no schemas.
            _ if matches!(key.as_str(), "const" | "enum" | "default" | "examples") => {}
            _ => rebase(value, here),
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| rebase(item, here)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_the_schemas_new_place() {
        let mut schema = json!({
            "type": "object", "properties": { "a": { "$ref": "#/$defs/a" }, "self": { "$ref": "#" }, "const": { "$ref": "#" }, "$id": {} },
            "anyOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#anchor" }],
            "$defs": { "a": { "const": { "$ref": "#/$defs/a" } }, "b": { "$id": "urn:b", "$ref": "#/x" } },
        });
        rebase(&mut schema, "#/components/schemas/add.input");
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": {
                    "a": { "$ref": "#/components/schemas/add.input/$defs/a" },
                    "self": { "$ref": "#/components/schemas/add.input" },
                    "const": { "$ref": "#/components/schemas/add.input" },
                    "$id": {},
                },
                "anyOf": [{ "$ref": "#/components/schemas/add.input/$defs/a" }, { "$ref": "#anchor" }],
                "$defs": { "a": { "const": { "$ref": "#/$defs/a" } }, "b": { "$id": "urn:b", "$ref": "#/x" } },
            })
        );
    }
}
