//! The parts of a JSON Schema that are schemas themselves. Pure.

use serde_json::{Map, Value};

/// Where a part is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    /// To the same value.
    Here,
    /// To a property of the value, by name.
    Property,
    /// To another part of the value.
    Below,
    /// Where somebody refers to it.
    Nowhere,
}

/// Calls `found` with every part that is directly below.
pub(super) fn parts<'s>(schema: &'s Map<String, Value>, mut found: impl FnMut(Applies, &'s Value)) {
    for (keyword, value) in schema {
        match keyword.as_str() {
            "not" | "if" | "then" | "else" => found(Applies::Here, value),
            "allOf" | "anyOf" | "oneOf" => each(value, Applies::Here, &mut found),
            "dependentSchemas" | "dependencies" => named(value, Applies::Here, &mut found),
            "properties" => named(value, Applies::Property, &mut found),
            "patternProperties" => named(value, Applies::Below, &mut found),
            "additionalProperties"
            | "unevaluatedProperties"
            | "propertyNames"
            | "additionalItems"
            | "unevaluatedItems"
            | "contains"
            | "contentSchema" => found(Applies::Below, value),
            // A list in older dialects.
            "items" if value.is_array() => each(value, Applies::Below, &mut found),
            "items" => found(Applies::Below, value),
            "prefixItems" => each(value, Applies::Below, &mut found),
            "$defs" | "definitions" => named(value, Applies::Nowhere, &mut found),
            _ => {}
        }
    }
}

fn each<'s>(value: &'s Value, applies: Applies, found: &mut impl FnMut(Applies, &'s Value)) {
    value.as_array().into_iter().flatten().for_each(|part| found(applies, part));
}

fn named<'s>(value: &'s Value, applies: Applies, found: &mut impl FnMut(Applies, &'s Value)) {
    value.as_object().into_iter().flatten().for_each(|(_, part)| found(applies, part));
}
