//! JSON Schemas of guests: vetted once, then applied to what clients send and to
//! what guests answer. No schema reaches outside of itself.

use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::{cost, headers, text};

/// Bytes of one schema.
const SCHEMA_BYTES: usize = 64 << 10;
/// Steps of a validation: parts of the schema times parts of the value. A step is
/// some fifty nanoseconds, so that the slowest validation is half a second.
const STEPS: u64 = 10_000_000;
/// What one pattern may take up when it is compiled.
const PATTERN_BYTES: usize = 1 << 20;
/// Mistakes that a caller is told at once, and bytes of each.
const MISTAKES: usize = 3;
const MISTAKE_BYTES: usize = 300;

/// A schema of a guest.
pub struct Schema {
    /// As it is published.
    pub json: Arc<Map<String, Value>>,
    validator: Validator,
    cost: cost::Cost,
}

impl Schema {
    /// Vets a schema of objects: what a tool takes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn input(text: &str) -> Result<Self, String> {
        let schema = Self::of(text)?;
        if schema.json.get("type").and_then(Value::as_str) != Some("object") {
            return Err("has another type than \"object\"".to_owned());
        }
        headers::check(&schema.json)?;
        Ok(schema)
    }

    /// Vets a schema of anything.
    ///
    /// # Errors
    /// What is wrong with it, to be said of the schema.
    pub fn of(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_BYTES {
            return Err(format!("is longer than {SCHEMA_BYTES} bytes"));
        }
        let parsed: Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
        let Value::Object(mut map) = parsed else { return Err("is not an object".to_owned()) };
        clean(&mut map);
        let schema = Value::Object(map);
        let cost = cost::of(&schema)?;
        let options = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES));
        let validator = options.build(&schema).map_err(|error| {
            let (at, what) = (error.instance_path().to_string(), error.to_string());
            shorten(&if at.is_empty() { what } else { format!("is wrong at {at}: {what}") })
        })?;
        let Value::Object(map) = schema else { return Err("is not an object".to_owned()) };
        Ok(Self { json: Arc::new(map), validator, cost })
    }

    /// Whether a value fits.
    ///
    /// # Errors
    /// What does not, in words for whoever made the value.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let (depth, nodes) = size(value, 0);
        if depth > self.cost.depth {
            return Err(format!("it is nested deeper than {} levels", self.cost.depth));
        }
        if self.cost.parts.saturating_mul(nodes) > STEPS {
            return Err("it is too large to be checked".to_owned());
        }
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let mistakes = self.validator.iter_errors(value).take(MISTAKES).map(|error| {
            let (at, what) = (error.instance_path().to_string(), shorten(&error.to_string()));
            if at.is_empty() { what } else { format!("{}: {what}", shorten(&at)) }
        });
        Err(mistakes.collect::<Vec<_>>().join("; "))
    }
}

/// How deep a value is, and how many values are in it.
fn size(value: &Value, level: usize) -> (usize, u64) {
    let inner = |parts: &mut dyn Iterator<Item = &Value>| {
        parts.fold((level, 1), |(deepest, count), part| {
            let (depth, more) = size(part, level + 1);
            (deepest.max(depth), count + more)
        })
    };
    match value {
        Value::Array(items) => inner(&mut items.iter()),
        Value::Object(map) => inner(&mut map.values()),
        _ => (level, 1),
    }
}

fn shorten(text: &str) -> String {
    text[..text.floor_char_boundary(MISTAKE_BYTES)].to_owned()
}

/// Models read what is in a schema, too.
fn clean(map: &mut Map<String, Value>) {
    for (key, value) in map {
        match value {
            Value::String(words) if matches!(key.as_str(), "title" | "description" | "$comment") => {
                *words = text::visible(words);
            }
            _ => clean_below(value),
        }
    }
}

fn clean_below(value: &mut Value) {
    match value {
        Value::Object(map) => clean(map),
        Value::Array(items) => items.iter_mut().for_each(clean_below),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(schema: Value) -> String {
        Schema::input(&schema.to_string()).err().expect("a refusal")
    }

    #[test]
    fn values_are_held_to_the_schema() {
        let schema = json!({"type": "object", "required": ["title"], "additionalProperties": false,
            "properties": {"title": {"type": "string", "maxLength": 3}, "done": {"type": "boolean"}}});
        let schema = Schema::input(&schema.to_string()).expect("a schema");
        assert_eq!(schema.check(&json!({"title": "abc", "done": true})), Ok(()));
        for bad in [json!({}), json!({"title": 1}), json!({"title": "abcd"}), json!({"title": "a", "x": 1}), json!([])]
        {
            assert!(schema.check(&bad).is_err(), "{bad}");
        }
        let words = schema.check(&json!({"title": "x".repeat(100_000)})).expect_err("too long");
        assert!(words.starts_with("/title: ") && words.len() < 1_000, "{words}");
        let many = json!({"title": "a", "done": (0..10_000_000).collect::<Vec<_>>()});
        assert_eq!(schema.check(&many), Err("it is too large to be checked".to_owned()));
        let mut deep = json!(1);
        for _ in 0..40 {
            deep = json!([deep]);
        }
        assert!(schema.check(&json!({"title": deep})).expect_err("too deep").contains("levels"));
    }

    #[test]
    fn schemas_are_refused_with_a_reason() {
        assert!(refused(json!({"type": "array"})).contains("object"));
        assert!(refused(json!({})).contains("object"));
        assert!(refused(json!({"type": "object", "properties": {"a": {"type": "text"}}})).contains("text"));
        assert!(refused(json!({"type": "object", "properties": {"a": {"pattern": "(a"}}})).contains("regex"));
        // It could not be matched in linear time.
        assert!(!refused(json!({"type": "object", "properties": {"a": {"pattern": "(?=a)b"}}})).is_empty());
        assert!(refused(json!({"type": "object", "$ref": "https://example.com/x"})).contains("own parts"));
        assert!(Schema::input("null").is_err());
        assert!(Schema::input("{").is_err());
        assert!(Schema::input(&"[".repeat(70_000)).is_err());
    }

    #[test]
    fn hidden_words_are_taken_out_of_descriptions_alone() {
        let schema =
            json!({"type": "object", "properties": {"a": {"description": "x\u{202e}y", "const": "x\u{202e}y"}}});
        let schema = Schema::input(&schema.to_string()).expect("a schema");
        assert_eq!(schema.json["properties"]["a"], json!({"description": "xy", "const": "x\u{202e}y"}));
    }
}
