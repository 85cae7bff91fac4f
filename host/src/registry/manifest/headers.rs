//! `x-mcp-header`: arguments that clients repeat in a header of the request. What
//! breaks the rules makes clients drop the tool, so it is refused here. Pure.

use serde_json::{Map, Value};

use super::walk::{Applies, parts};

const KEYWORD: &str = "x-mcp-header";

/// Checks every annotation of a schema.
///
/// # Errors
/// The first that breaks a rule.
pub(super) fn check(root: &Map<String, Value>) -> Result<(), String> {
    let mut names: Vec<String> = Vec::new();
    // Each schema, and whether nothing but `properties` leads to it.
    let mut left = vec![(root, true, true)];
    while let Some((schema, plain, is_root)) = left.pop() {
        if let Some(name) = schema.get(KEYWORD) {
            let name = name.as_str().unwrap_or_default();
            if is_root || !plain {
                return Err(format!("{KEYWORD} `{name}` is below something else than `properties`"));
            }
            if !is_token(name) {
                return Err(format!("{KEYWORD} `{name}` cannot be a part of a header's name"));
            }
            if !matches!(schema.get("type").and_then(Value::as_str), Some("integer" | "string" | "boolean")) {
                return Err(format!("{KEYWORD} `{name}` stands beside another type than integer, string or boolean"));
            }
            if names.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                return Err(format!("{KEYWORD} `{name}` is there twice"));
            }
            names.push(name.to_owned());
        }
        parts(schema, |applies, part| {
            if let Value::Object(part) = part {
                left.push((part, plain && applies == Applies::Property, false));
            }
        });
    }
    Ok(())
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn is_good(schema: Value) -> bool {
        check(schema.as_object().expect("an object")).is_ok()
    }

    #[test]
    fn the_rules_of_the_specification() {
        let text = |name: &str| json!({"type": "string", "x-mcp-header": name});
        assert!(is_good(json!({"properties": {"a": text("Region"), "b": {"properties": {"c": text("Zone")}}}})));
        assert!(is_good(json!({"properties": {"x-mcp-header": {"type": "number"}}})), "a property of that name");
        assert!(!is_good(json!({"properties": {"a": text("Region"), "b": text("REGION")}})), "twice");
        assert!(!is_good(json!({"properties": {"a": text("")}})));
        assert!(!is_good(json!({"properties": {"a": text("two words")}})));
        assert!(!is_good(json!({"properties": {"a": text("a:b")}})));
        assert!(!is_good(json!({"properties": {"a": {"type": "number", "x-mcp-header": "A"}}})));
        assert!(!is_good(json!({"properties": {"a": {"type": ["string"], "x-mcp-header": "A"}}})));
        assert!(!is_good(json!({"properties": {"a": {"items": text("A")}}})));
        assert!(!is_good(json!({"anyOf": [{"properties": {"a": text("A")}}]})));
        assert!(!is_good(json!({"$defs": {"a": text("A")}})));
        assert!(!is_good(text("Root")));
    }
}
