//! A task, as the database has it and as clients see it.

use std::borrow::Cow;

use innkeeper_guest::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::check::datetime;

/// One row of `tasks`; serialises to what clients get, in this order. Its text
/// stays in the result that it was decoded from.
#[derive(Debug, Deserialize, Serialize)]
pub struct Task<'a> {
    id: i64,
    user_id: &'a str,
    title: &'a str,
    description: Option<&'a str>,
    completed: bool,
    priority: &'a str,
    #[serde(serialize_with = "datetime::write_option")]
    due_date: Option<Timestamp>,
    #[serde(serialize_with = "write_tags")]
    tags: &'a str,
    #[serde(serialize_with = "datetime::write")]
    created_at: Timestamp,
    #[serde(serialize_with = "datetime::write")]
    updated_at: Timestamp,
}

/// The JSON text of the tags as it is stored, without the spaces that Postgres
/// puts between the elements.
pub(crate) fn write_tags<S: Serializer>(tags: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let compact = compact(tags);
    let raw: &RawValue = serde_json::from_str(&compact).map_err(serde::ser::Error::custom)?;
    raw.serialize(serializer)
}

/// A JSON text without the spaces outside of its strings.
fn compact(json: &str) -> Cow<'_, str> {
    if !json.contains(' ') {
        return Cow::Borrowed(json);
    }
    let (mut compact, mut quoted, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if c == ' ' && !quoted {
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        compact.push(c);
    }
    Cow::Owned(compact)
}

/// How urgent a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// `low`
    Low,
    /// `medium`, unless said otherwise.
    Medium,
    /// `high`
    High,
}

impl Priority {
    /// As the database and the clients write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The priority that is written so.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High].into_iter().find(|priority| priority.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn only_spaces_between_elements_go() {
        assert_eq!(compact(r#"["a b", "c\" , d", "\\", "e"]"#), r#"["a b","c\" , d","\\","e"]"#);
        assert_eq!(compact("[]"), "[]");
    }
}
