//! The bodies of the task API, checked.

use innkeeper_guest::Timestamp;

use super::task::Priority;
use crate::check::datetime::datetime;
use crate::check::{Checked, Choice, Fields, Issues, Rule, Step, both, nullable, scalar};
use crate::json::Value;

const DESCRIPTION_MAX: usize = 1000;
const TAGS_MAX: usize = 20;
const TAG_MAX: usize = 50;

/// The words for a priority, as FastAPI's message lists them.
pub const PRIORITIES: Choice = Choice { kind: "enum", expected: "'low', 'medium' or 'high'" };

/// The body of POST.
#[derive(Debug, PartialEq)]
pub struct NewTask {
    pub(super) title: String,
    pub(super) others: Others,
}

/// The body of PUT and PATCH: an absent field stays as it is.
#[derive(Debug, PartialEq)]
pub struct Change {
    pub(super) title: Option<String>,
    pub(super) others: Others,
}

/// The fields that POST, too, may leave out.
#[derive(Debug, PartialEq)]
pub(super) struct Others {
    /// `Some(None)` is an explicit `null`; likewise for the due date.
    pub(super) description: Option<Option<String>>,
    pub(super) completed: Option<bool>,
    pub(super) priority: Option<Priority>,
    pub(super) due_date: Option<Option<Timestamp>>,
    pub(super) tags: Option<Vec<String>>,
}

impl NewTask {
    /// Checks a body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(body: Option<&Value>, title_max: usize) -> Checked<Self> {
        in_body(body, |fields| Self::of(fields, title_max))
    }

    pub(crate) fn of(fields: Fields<'_>, title_max: usize) -> Checked<Self> {
        let title = fields.required("title", |value| title(value, title_max));
        let (title, others) = both(title, Others::of(fields))?;
        Ok(Self { title, others })
    }
}

impl Change {
    /// Checks a body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(body: Option<&Value>, title_max: usize) -> Checked<Self> {
        in_body(body, |fields| Self::of(fields, title_max))
    }

    pub(crate) fn of(fields: Fields<'_>, title_max: usize) -> Checked<Self> {
        let title = fields.given("title", |value| title(value, title_max));
        let (title, others) = both(title, Others::of(fields))?;
        Ok(Self { title, others })
    }
}

impl Others {
    fn of(fields: Fields<'_>) -> Checked<Self> {
        let mut issues = Issues::default();
        let description = |value: &Value| scalar::text(value, 0, DESCRIPTION_MAX);
        let read = (
            issues.keep(fields.given("description", nullable(description))),
            issues.keep(fields.given("completed", scalar::boolean)),
            issues.keep(fields.given("priority", priority)),
            issues.keep(fields.given("due_date", nullable(datetime))),
            issues.keep(fields.given("tags", tags)),
        );
        let (Some(description), Some(completed), Some(priority), Some(due_date), Some(tags)) = read else {
            return Err(issues);
        };
        Ok(Self { description, completed, priority, due_date, tags })
    }
}

/// The body of PATCH `…/complete`: what to set the flag to, or none to toggle
/// it. A body is optional there, and so is its only field.
///
/// # Errors
/// A body that is neither, or a flag that is no boolean.
pub fn completion(body: Option<&Value>) -> Checked<Option<bool>> {
    match body {
        None | Some(Value::Null) => Ok(None),
        body => in_body(body, |fields| fields.given("completed", nullable(scalar::boolean)).map(Option::flatten)),
    }
}

fn in_body<T>(body: Option<&Value>, read: impl FnOnce(Fields<'_>) -> Checked<T>) -> Checked<T> {
    Fields::of_body(body).and_then(read).map_err(|issues| issues.at(Step::Name("body")))
}

fn title(value: &Value, max: usize) -> Checked<String> {
    let title = scalar::text(value, 1, max)?;
    if scalar::is_blank(&title) {
        return Err(Issues::one(Rule::Own("Title cannot be empty"), value));
    }
    Ok(title)
}

/// A priority, in a body or a query.
///
/// # Errors
/// Another word.
pub fn priority(value: &Value) -> Checked<Priority> {
    scalar::one_of(value, PRIORITIES, Priority::of_word)
}

/// Each tag once, in the order given.
fn tags(value: &Value) -> Checked<Vec<String>> {
    let given = scalar::list(value, TAGS_MAX, |value| {
        let text = scalar::text(value, 1, TAG_MAX)?;
        tag(value).map(|_| text)
    })?;
    let mut unique: Vec<String> = Vec::with_capacity(given.len());
    for tag in given {
        if !unique.contains(&tag) {
            unique.push(tag);
        }
    }
    Ok(unique)
}

/// A tag, in a body or a query: without control characters, as one of them
/// separates the tags in their index.
///
/// # Errors
/// A control character in it.
pub fn tag(value: &Value) -> Checked<String> {
    match value {
        Value::Str(text) if !text.chars().any(char::is_control) => Ok(text.clone()),
        _ => Err(Issues::one(Rule::Own("Tags cannot contain control characters"), value)),
    }
}

#[cfg(test)]
impl NewTask {
    /// What the fields of the task will be, as clients see them.
    pub(crate) fn preview(&self) -> serde_json::Value {
        let due = self.others.due_date.flatten();
        serde_json::json!({
            "title": self.title,
            "description": self.others.description.clone().flatten(),
            "completed": self.others.completed.unwrap_or(false),
            "priority": self.others.priority.unwrap_or(Priority::Medium).word(),
            "due_date": crate::check::datetime::write_option(&due, serde_json::value::Serializer).expect("in range"),
            "tags": self.others.tags.clone().unwrap_or_default(),
        })
    }
}
