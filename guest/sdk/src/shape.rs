//! JSON Schemas out of Rust types, in the dialects of those who read them.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

/// Formats that clients know how to ask for in a form. All others are Rust's own.
const FORM_FORMATS: [&str; 4] = ["email", "uri", "date", "date-time"];

/// What a tool or a prompt takes.
pub(crate) fn arguments<T: JsonSchema>() -> Value {
    let schema = generate::<T>(SchemaSettings::draft2020_12(), &[]);
    // One without arguments still has properties: none.
    if schema.get("properties").is_some() {
        return schema;
    }
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

/// What a tool gives.
pub(crate) fn result<T: JsonSchema>() -> Value {
    generate::<T>(SchemaSettings::draft2020_12().for_serialize(), &[])
}

/// What a user is asked for. Clients draw fields of plain types and know no `null`:
/// what may be left out is not required, and that is all.
pub(crate) fn form<T: JsonSchema>() -> Value {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12(), &FORM_FORMATS);
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("additionalProperties");
    }
    for field in schema["properties"].as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        forget_null(field);
    }
    schema
}

fn generate<T: JsonSchema>(settings: SchemaSettings, formats: &[&str]) -> Value {
    let settings = settings.with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    // The name and the documentation of a Rust type are not for models.
    schema.remove("title");
    schema.remove("description");
    let mut schema = schema.to_value();
    forget_formats(&mut schema, formats);
    schema
}

/// `int64` and the like are Rust's, and servers that check strict schemas refuse
/// formats that they do not know.
fn forget_formats(schema: &mut Value, known: &[&str]) {
    match schema {
        Value::Object(fields) => {
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| !known.contains(&format)) {
                fields.remove("format");
            }
            fields.values_mut().for_each(|field| forget_formats(field, known));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| forget_formats(item, known)),
        _ => {}
    }
}

fn forget_null(field: &mut Value) {
    if let Some(kinds) = field["type"].as_array_mut() {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            field["type"] = kind.clone();
        }
    }
    if let Some(values) = field.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if field["default"].is_null()
        && let Some(field) = field.as_object_mut()
    {
        field.remove("default");
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Class {
        First,
        Second,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Journey {
        /// Where to.
        to: String,
        /// How many go.
        #[schemars(range(min = 1, max = 9))]
        people: u8,
        class: Option<Class>,
        #[serde(default)]
        quiet: Option<bool>,
        #[schemars(extend("format" = "date"))]
        on: String,
    }

    #[test]
    fn a_form_has_plain_fields_alone() {
        let expected = json!({
            "type": "object",
            "properties": {
                "to": { "type": "string", "description": "Where to." },
                "people": { "type": "integer", "minimum": 1, "maximum": 9, "description": "How many go." },
                "class": { "type": "string", "enum": ["first", "second"] },
                "quiet": { "type": "boolean" },
                "on": { "type": "string", "format": "date" },
            },
            "required": ["to", "people", "on"],
        });
        assert_eq!(form::<Journey>(), expected);
    }
}
