//! What can be wrong with a request, in FastAPI's words.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::json;

use crate::json::Value;

/// One of pydantic's rules, broken.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// The body is not JSON; Python's message.
    Json(&'static str),
    /// A required field, or the whole body, is absent.
    Missing,
    /// The body is not an object.
    Object,
    /// Not a string.
    Text,
    /// A string with fewer characters.
    TextMin(usize),
    /// A string with more characters.
    TextMax(usize),
    /// Neither a boolean, nor of a type that can become one.
    Bool,
    /// Of a type that can become a boolean, but not with this value.
    BoolParsing,
    /// Not an integer.
    IntParsing,
    /// A smaller number.
    AtLeast(i64),
    /// A larger number.
    AtMost(i64),
    /// None of the allowed words.
    OneOf(Choice),
    /// Not an array.
    List,
    /// An array with more items.
    ListMax {
        /// As many are allowed.
        max: usize,
        /// As many are there.
        actual: usize,
    },
    /// Of a type that cannot become a date.
    Datetime,
    /// A date that is not one; why.
    DatetimeParsing(&'static str),
    /// A text that is neither a date and time nor a date; why.
    DateParsing(&'static str),
    /// Not an e-mail address; why.
    Email(Cow<'static, str>),
    /// A rule of our own, as a sentence.
    Own(&'static str),
}

/// The words that a field may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// `enum` for Python's `Enum`, `literal_error` for its `Literal`.
    pub kind: &'static str,
    /// The words, as FastAPI lists them.
    pub expected: &'static str,
}

impl Rule {
    /// The table: `type`, `msg` and `ctx`.
    fn describe(&self) -> (&'static str, Cow<'static, str>, Option<serde_json::Value>) {
        match self {
            Self::Json(error) => ("json_invalid", "JSON decode error".into(), Some(json!({ "error": error }))),
            Self::Missing => ("missing", "Field required".into(), None),
            Self::Object => (
                "model_attributes_type",
                "Input should be a valid dictionary or object to extract fields from".into(),
                None,
            ),
            Self::Text => ("string_type", "Input should be a valid string".into(), None),
            Self::TextMin(min) => (
                "string_too_short",
                format!("String should have at least {min} character{}", plural(*min)).into(),
                Some(json!({ "min_length": min })),
            ),
            Self::TextMax(max) => (
                "string_too_long",
                format!("String should have at most {max} character{}", plural(*max)).into(),
                Some(json!({ "max_length": max })),
            ),
            Self::Bool => ("bool_type", "Input should be a valid boolean".into(), None),
            Self::BoolParsing => {
                ("bool_parsing", "Input should be a valid boolean, unable to interpret input".into(), None)
            }
            Self::IntParsing => {
                ("int_parsing", "Input should be a valid integer, unable to parse string as an integer".into(), None)
            }
            Self::AtLeast(min) => (
                "greater_than_equal",
                format!("Input should be greater than or equal to {min}").into(),
                Some(json!({ "ge": min })),
            ),
            Self::AtMost(max) => (
                "less_than_equal",
                format!("Input should be less than or equal to {max}").into(),
                Some(json!({ "le": max })),
            ),
            Self::OneOf(Choice { kind, expected }) => {
                (kind, format!("Input should be {expected}").into(), Some(json!({ "expected": expected })))
            }
            Self::List => ("list_type", "Input should be a valid list".into(), None),
            Self::ListMax { max, actual } => (
                "too_long",
                format!("List should have at most {max} item{} after validation, not {actual}", plural(*max)).into(),
                Some(json!({ "field_type": "List", "max_length": max, "actual_length": actual })),
            ),
            Self::Datetime => ("datetime_type", "Input should be a valid datetime".into(), None),
            Self::DatetimeParsing(error) => (
                "datetime_parsing",
                format!("Input should be a valid datetime, {error}").into(),
                Some(json!({ "error": error })),
            ),
            Self::DateParsing(error) => (
                "datetime_from_date_parsing",
                format!("Input should be a valid datetime or date, {error}").into(),
                Some(json!({ "error": error })),
            ),
            Self::Email(reason) => (
                "value_error",
                format!("value is not a valid email address: {reason}").into(),
                Some(json!({ "reason": reason })),
            ),
            // pydantic puts the exception here, which FastAPI serialises as `{}`.
            Self::Own(sentence) => {
                ("value_error", format!("Value error, {sentence}").into(), Some(json!({ "error": {} })))
            }
        }
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A step of the way to the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a field.
    Name(&'static str),
    /// To an item, or a position in the text.
    Index(usize),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// One entry of a 422's `detail`.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    rule: Rule,
    /// From the value outwards: each level adds its own step at the end.
    way: Vec<Step>,
    input: Value,
}

impl Serialize for Issue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, message, ctx) = self.rule.describe();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", kind)?;
        map.serialize_entry("loc", &Loc(&self.way))?;
        map.serialize_entry("msg", &message)?;
        map.serialize_entry("input", &self.input)?;
        if let Some(ctx) = ctx {
            map.serialize_entry("ctx", &ctx)?;
        }
        map.end()
    }
}

struct Loc<'a>(&'a [Step]);

impl Serialize for Loc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for step in self.0.iter().rev() {
            match step {
                Step::Name(name) => seq.serialize_element(name)?,
                Step::Index(index) => seq.serialize_element(index)?,
            }
        }
        seq.end()
    }
}

/// Everything that is wrong, in the order in which FastAPI lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Issues(Vec<Issue>);

impl Issues {
    /// One issue, at the value itself.
    pub fn one(rule: Rule, input: &Value) -> Self {
        Self(vec![Issue { rule, way: Vec::new(), input: input.clone() }])
    }

    /// The same issues, seen from one level further out.
    #[must_use]
    pub fn at(mut self, step: Step) -> Self {
        for issue in &mut self.0 {
            issue.way.push(step.clone());
        }
        self
    }

    /// Each as one line: where, and what.
    pub fn sentences(&self) -> Vec<String> {
        let sentence = |issue: &Issue| {
            let way: Vec<String> = issue.way.iter().rev().map(Step::to_string).collect();
            format!("{}: {}", way.join("."), issue.rule.describe().1)
        };
        self.0.iter().map(sentence).collect()
    }

    /// The value, or none and its issues added to these.
    pub fn keep<T>(&mut self, checked: Result<T, Self>) -> Option<T> {
        checked.map_err(|issues| self.0.extend(issues.0)).ok()
    }
}

impl Serialize for Issues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
