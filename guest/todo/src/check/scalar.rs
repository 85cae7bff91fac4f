//! Strings, booleans, integers, choices and lists, with pydantic's coercions.

use super::{Checked, Choice, Issues, Rule, Step};
use crate::json::Value;

/// A string of so many characters. Without NUL, which Postgres cannot store: a
/// clean 422 on every database instead of a failure on one.
///
/// # Errors
/// Not a string, too short, too long, or with NUL.
pub fn text(value: &Value, min: usize, max: usize) -> Checked<String> {
    let Value::Str(text) = value else {
        return Err(Issues::one(Rule::Text, value));
    };
    let length = text.chars().count();
    let rule = match () {
        () if length < min => Rule::TextMin(min),
        () if length > max => Rule::TextMax(max),
        () if text.contains('\0') => Rule::Own("Text cannot contain NUL characters"),
        () => return Ok(text.clone()),
    };
    Err(Issues::one(rule, value))
}

/// Whether Python's `str.strip` leaves nothing.
pub fn is_blank(text: &str) -> bool {
    // Python counts the four separators of ASCII as white space, Unicode does not.
    text.chars().all(|c| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
}

/// A boolean, or what pydantic takes for one.
///
/// # Errors
/// Neither.
pub fn boolean(value: &Value) -> Checked<bool> {
    const TRUE: [&str; 6] = ["1", "on", "t", "true", "y", "yes"];
    const FALSE: [&str; 6] = ["0", "off", "f", "false", "n", "no"];
    let is = |words: [&str; 6], text: &str| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    let rule = match value {
        Value::Bool(value) => return Ok(*value),
        Value::Str(text) if is(TRUE, text) => return Ok(true),
        Value::Str(text) if is(FALSE, text) => return Ok(false),
        Value::Int(1) => return Ok(true),
        Value::Int(0) => return Ok(false),
        Value::Float(1.0) => return Ok(true),
        Value::Float(0.0) => return Ok(false),
        Value::Str(_) => Rule::BoolParsing,
        Value::Int(value) if i64::try_from(*value).is_ok() => Rule::BoolParsing,
        Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e18 => Rule::BoolParsing,
        _ => Rule::Bool,
    };
    Err(Issues::one(rule, value))
}

/// An integer in a path or a query. One that is larger than an `i64` saturates:
/// there is no such row, page or limit.
///
/// # Errors
/// Not an integer.
pub fn integer(value: &Value) -> Checked<i64> {
    let number = match value {
        Value::Str(text) => parse_integer(text),
        _ => None,
    };
    number.ok_or_else(|| Issues::one(Rule::IntParsing, value))
}

/// Takes what pydantic takes: `12`, `+12`, `1_000`, `12.00`, and space around.
fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, zeros) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    if zeros.is_empty() || zeros.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let mut number = 0_i64;
    for group in whole.split('_') {
        if group.is_empty() || group.bytes().any(|byte| !byte.is_ascii_digit()) {
            return None;
        }
        number = group.bytes().fold(number, |sum, digit| sum.saturating_mul(10).saturating_add((digit - b'0').into()));
    }
    Some(if negative { -number } else { number })
}

/// An integer from `min` to `max`.
///
/// # Errors
/// Not an integer, or out of range.
pub fn integer_in(value: &Value, min: i64, max: i64) -> Checked<i64> {
    match integer(value)? {
        number if number < min => Err(Issues::one(Rule::AtLeast(min), value)),
        number if number > max => Err(Issues::one(Rule::AtMost(max), value)),
        number => Ok(number),
    }
}

/// One of some words.
///
/// # Errors
/// None of them.
pub fn one_of<T>(value: &Value, choice: Choice, find: impl FnOnce(&str) -> Option<T>) -> Checked<T> {
    let found = match value {
        Value::Str(word) => find(word),
        _ => None,
    };
    found.ok_or_else(|| Issues::one(Rule::OneOf(choice), value))
}

/// A list of at most `max` items.
///
/// # Errors
/// Not a list, too long, or what `check` finds in its items.
pub fn list<T>(value: &Value, max: usize, check: impl Fn(&Value) -> Checked<T>) -> Checked<Vec<T>> {
    let Value::List(items) = value else {
        return Err(Issues::one(Rule::List, value));
    };
    if items.len() > max {
        return Err(Issues::one(Rule::ListMax { max, actual: items.len() }, value));
    }
    let mut issues = Issues::default();
    let kept: Vec<T> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| issues.keep(check(item).map_err(|found| found.at(Step::Index(index)))))
        .collect();
    if kept.len() == items.len() { Ok(kept) } else { Err(issues) }
}
