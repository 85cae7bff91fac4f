//! Addresses with variables: `todo://todos/{id}`.

use std::collections::BTreeMap;
use std::ops::Index;

/// What stands in an address for the names in its template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<&'static str, String>);

impl Index<&str> for Variables {
    type Output = str;

    /// Empty for a name that the template has not.
    fn index(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// The variables, when the address is one of the template. A variable is one
/// segment: not empty, and without a slash.
pub(super) fn matches(mut template: &'static str, mut uri: &str) -> Option<Variables> {
    let mut variables = BTreeMap::new();
    while let Some((before, rest)) = template.split_once('{') {
        let (name, after) = rest.split_once('}')?;
        uri = uri.strip_prefix(before)?;
        let end = match after.chars().next() {
            Some(next) => uri.find([next, '/'])?,
            None => uri.len(),
        };
        let (value, left) = uri.split_at(end);
        if value.is_empty() || value.contains('/') {
            return None;
        }
        variables.insert(name, decode(value)?);
        (template, uri) = (after, left);
    }
    (template == uri).then_some(Variables(variables))
}

/// Without the percent signs of RFC 3986.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, left)) = rest.split_first() {
        rest = left;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, left) = rest.split_at_checked(2)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(digits[0])? << 4 | digit(digits[1])?);
        rest = left;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &'static str, uri: &str, expected: Option<&[(&str, &str)]>) {
        let found = matches(template, uri);
        assert_eq!(found.is_some(), expected.is_some(), "{uri}: {found:?}");
        for (name, value) in expected.into_iter().flatten() {
            assert_eq!(&found.as_ref().expect("found")[name], *value, "{uri}");
        }
    }

    #[test]
    fn a_variable_is_one_segment() {
        check("todo://todos/{id}", "todo://todos/5", Some(&[("id", "5"), ("other", "")]));
        check("todo://todos/{id}", "todo://todos/a%20b%2Fc", Some(&[("id", "a b/c")]));
        check("x://{a}/{b}.json", "x://1/2.json", Some(&[("a", "1"), ("b", "2")]));
        check("todo://todos", "todo://todos", Some(&[]));
        for none in [
            "todo://todos",
            "todo://todos/",
            "todo://todos/5/6",
            "todo://other/5",
            "todo://todos/%zz",
            "todo://todos/%f",
        ] {
            check("todo://todos/{id}", none, None);
        }
        check("x://{a}/{b}.json", "x://1/2/3.json", None);
        check("todo://todos", "todo://todos/5", None);
    }
}
