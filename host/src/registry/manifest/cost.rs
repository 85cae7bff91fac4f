//! How much work a schema can make. A guest's author writes it and a client's
//! author writes the value, and the host's thread does the work: parts that refer
//! to each other may multiply with every level of the value. Pure.

use std::collections::HashMap;

use serde_json::Value;

use super::walk::{Applies, parts};

/// Parts of a schema that may be applied along all paths into one value.
pub(super) const MOST: u64 = 20_000;
/// Levels of a value that any schema is applied to.
const DEEPEST: usize = 32;
/// Levels that a schema has to stand: an object with objects in it.
const SHALLOWEST: usize = 2;
/// Schemas that refer to one another without a level of the value in between.
const CHAIN: usize = 16;

/// What may be asked of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Levels of a value that it is applied to; deeper values are refused.
    pub(super) depth: usize,
    /// Parts that are then applied, at most.
    pub(super) parts: u64,
}

/// Finds out.
///
/// # Errors
/// A reference that leads nowhere, to itself, or away; or too many branches.
pub(super) fn of(root: &Value) -> Result<Cost, String> {
    let mut count = Count { root, anchors: anchors(root), known: HashMap::new() };
    let mut cost = None;
    for depth in 0..=DEEPEST {
        match count.at(root, depth, 0)? {
            parts if parts <= MOST => cost = Some(Cost { depth, parts }),
            _ => break,
        }
    }
    cost.filter(|cost| cost.depth >= SHALLOWEST)
        .ok_or_else(|| format!("branches into more than {MOST} parts for a value of {SHALLOWEST} levels"))
}

struct Count<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, &'s Value>,
    /// By address and depth: schemas are many times referred to.
    known: HashMap<(usize, usize), u64>,
}

impl<'s> Count<'s> {
    fn at(&mut self, schema: &'s Value, depth: usize, chain: usize) -> Result<u64, String> {
        let Value::Object(map) = schema else { return Ok(1) };
        if chain > CHAIN {
            return Err(format!("refers to itself, or through more than {CHAIN} schemas"));
        }
        let key = (std::ptr::from_ref(schema).addr(), depth);
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let mut here = Vec::new();
        let mut below = Vec::new();
        parts(map, |applies, part| match applies {
            Applies::Here => here.push(part),
            Applies::Property | Applies::Below => below.push(part),
            Applies::Nowhere => {}
        });
        for keyword in ["$ref", "$dynamicRef"] {
            if let Some(reference) = map.get(keyword) {
                here.push(self.resolve(reference)?);
            }
        }
        // To know what is left over, everything beside it is applied once more.
        let times = if map.keys().any(|keyword| keyword.starts_with("unevaluated")) { 2 } else { 1 };
        let mut total = 1_u64;
        for part in here {
            total = total.saturating_add(self.at(part, depth, chain + 1)?.saturating_mul(times));
        }
        for part in below.into_iter().filter(|_| depth > 0) {
            total = total.saturating_add(self.at(part, depth - 1, 0)?);
        }
        self.known.insert(key, total.min(MOST + 1));
        Ok(total.min(MOST + 1))
    }

    fn resolve(&self, reference: &'s Value) -> Result<&'s Value, String> {
        let text = reference.as_str().unwrap_or_default();
        let Some(fragment) = text.strip_prefix('#') else {
            return Err(format!("refers to `{text}`; a schema may refer to its own parts alone, by #…"));
        };
        let found = match fragment {
            "" => Some(self.root),
            _ if fragment.starts_with('/') => {
                // A pointer in a URI may be percent-encoded (RFC 6901 section 6).
                let pointer = percent_encoding::percent_decode_str(fragment).decode_utf8().unwrap_or_default();
                self.root.pointer(&pointer)
            }
            anchor => self.anchors.get(anchor).copied(),
        };
        found.ok_or_else(|| format!("refers to `{text}`, and has no such part"))
    }
}

fn anchors(root: &Value) -> HashMap<&str, &Value> {
    let mut found = HashMap::new();
    let mut left = vec![root];
    while let Some(schema) = left.pop() {
        let Value::Object(map) = schema else { continue };
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(Value::String(name)) = map.get(keyword) {
                found.insert(name.as_str(), schema);
            }
        }
        parts(map, |_, part| left.push(part));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_schemas_cost_what_they_have() {
        let schema =
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"items": {"type": "integer"}}}});
        assert_eq!(of(&schema), Ok(Cost { depth: DEEPEST, parts: 4 }));
        assert_eq!(of(&json!({})), Ok(Cost { depth: DEEPEST, parts: 1 }));
    }

    #[test]
    fn a_tree_may_be_as_deep_as_any_value() {
        let tree = json!({"properties": {"children": {"items": {"$ref": "#"}}}});
        assert_eq!(of(&tree).map(|cost| cost.depth), Ok(DEEPEST));
    }

    #[test]
    fn what_doubles_with_every_level_is_kept_shallow() {
        let twice = json!({"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]});
        let cost = of(&twice).expect("some depth");
        assert!((SHALLOWEST..DEEPEST).contains(&cost.depth) && cost.parts <= MOST, "{cost:?}");
    }

    #[test]
    fn what_doubles_without_a_level_is_refused() {
        let mut defs = serde_json::Map::new();
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            defs.insert(format!("d{level}"), json!({"allOf": [next, next]}));
        }
        defs.insert("d40".into(), json!({}));
        assert!(of(&json!({"$ref": "#/$defs/d0", "$defs": defs})).is_err());
        let mut defs = serde_json::Map::new();
        for level in 0..7 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            defs.insert(format!("d{level}"), json!({"allOf": [next, next, next, next, next]}));
        }
        defs.insert("d7".into(), json!({}));
        assert!(of(&json!({"$ref": "#/$defs/d0", "$defs": defs})).unwrap_err().contains("branches"));
    }

    #[test]
    fn references_lead_to_parts_of_the_schema() {
        for (reference, good) in [
            ("#/$defs/a", true),
            ("#/$defs/b%20c", true),
            ("#here", true),
            ("#/$defs/none", false),
            ("#nowhere", false),
            ("https://example.com/schema.json", false),
            ("other.json", false),
            ("file:///etc/passwd", false),
        ] {
            let schema = json!({"properties": {"x": {"$ref": reference}},
                "$defs": {"a": {}, "b c": {}, "d": {"$anchor": "here"}}});
            assert_eq!(of(&schema).is_ok(), good, "{reference}");
        }
        assert!(of(&json!({"$ref": "#"})).unwrap_err().contains("itself"));
    }
}
