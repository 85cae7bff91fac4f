//! Whether a JSON Schema is one that `strict` takes: closed objects, each of whose
//! properties is required. Servers refuse the whole request for one that is not.

use serde_json::Value;

/// Words that strict schemas have no meaning for.
const UNKNOWN: [&str; 9] =
    ["allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"];

/// Whether a schema, as text, is strict.
pub(super) fn is_strict(schema: &str) -> bool {
    serde_json::from_str(schema).is_ok_and(|schema: Value| schema["type"] == "object" && fits(&schema))
}

/// Recursion ends: JSON is parsed to a depth of 128.
fn fits(schema: &Value) -> bool {
    let Value::Object(words) = schema else { return schema.is_boolean() };
    if UNKNOWN.iter().any(|word| words.contains_key(*word)) {
        return false;
    }
    let is_object = words.contains_key("properties") || names_object(words.get("type"));
    let inner = |word: &str| match words.get(word) {
        Some(Value::Object(schemas)) => schemas.values().all(fits),
        Some(Value::Array(schemas)) => schemas.iter().all(fits),
        _ => true,
    };
    (!is_object || is_closed(schema))
        && ["properties", "$defs", "definitions", "anyOf", "prefixItems"].into_iter().all(inner)
        && words.get("items").is_none_or(fits)
}

fn names_object(kind: Option<&Value>) -> bool {
    match kind {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        kind => kind.is_some_and(|kind| kind == "object"),
    }
}

fn is_closed(schema: &Value) -> bool {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_required = |name: &String| required.iter().any(|required| required == name.as_str());
    schema["additionalProperties"] == false
        && schema["properties"].as_object().is_none_or(|properties| properties.keys().all(is_required))
}

#[cfg(test)]
mod tests {
    use super::is_strict;

    #[track_caller]
    fn check(schema: &str, expected: bool) {
        assert_eq!(is_strict(schema), expected, "{schema}");
    }

    #[test]
    fn only_closed_objects_with_all_properties_required_are_strict() {
        check(r#"{"type":"object","properties":{},"additionalProperties":false}"#, true);
        check(
            r#"{"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"],"additionalProperties":false}"#,
            true,
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}"#,
            false,
        );
        check(r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#, false);
        check(r#"{"type":"object"}"#, false);
        check(r#"{"type":"string"}"#, false);
        check("nonsense", false);
        let nested = |inner: &str| {
            format!(r#"{{"type":"object","properties":{{"a":{inner}}},"required":["a"],"additionalProperties":false}}"#)
        };
        check(&nested(r#"{"type":"array","items":{"type":"object","properties":{}}}"#), false);
        check(&nested(r#"{"type":"array","items":{"type":"object","additionalProperties":false}}"#), true);
        check(&nested(r#"{"anyOf":[{"type":"null"},{"type":["object","null"]}]}"#), false);
        check(&nested(r#"{"allOf":[{"type":"string"}]}"#), false);
    }
}
