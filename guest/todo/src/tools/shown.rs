//! A task as models see it. Clients of the chat get the same.

use std::borrow::Cow;

use innkeeper_guest::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::check::datetime;
use crate::tasks::task::write_tags;

/// Characters of a description that a list shows. A thousand of each would leave
/// room for a dozen tasks.
const DESCRIPTION: usize = 200;

/// One row of `tasks`. Whose it is, and when it changed, is nothing a model needs.
#[derive(Deserialize, Serialize)]
pub(super) struct Shown<'a> {
    pub(super) id: i64,
    pub(super) title: &'a str,
    #[serde(serialize_with = "shorten")]
    description: Option<&'a str>,
    pub(super) completed: bool,
    priority: &'a str,
    #[serde(serialize_with = "datetime::write_option")]
    due_date: Option<Timestamp>,
    #[serde(serialize_with = "write_tags")]
    tags: &'a str,
}

fn shorten<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let short = text.map(|text| match text.char_indices().nth(DESCRIPTION) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    });
    short.serialize(serializer)
}

/// What was done to one task, in the words of the published brief, and the task.
#[derive(Serialize)]
pub(super) struct Done<'a> {
    success: bool,
    task_id: i64,
    status: &'static str,
    title: &'a str,
    task: &'a Shown<'a>,
}

impl<'a> Done<'a> {
    pub(super) fn to(status: &'static str, task: &'a Shown<'a>) -> Self {
        Self { success: true, task_id: task.id, status, title: task.title, task }
    }
}
