//! `add_task`.

use innkeeper_guest::tool;
use innkeeper_guest::tools::{Context, Failure, Outcome, Output, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shown::{Done, Shown};
use super::{Priority, given, refused};
use crate::check::Fields;
use crate::json::Value;
use crate::offers::changes;
use crate::settings;
use crate::tasks::{body::NewTask, store};

/// A new task.
pub(super) const ADD: Tool =
    tool!("add_task", "Add a task to the user's list. One call per task.", add).title("Add a task");

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Add {
    /// What is to be done, in a few words.
    title: String,
    /// More about it, up to 1000 characters.
    description: Option<String>,
    /// How urgent it is; medium unless the user says otherwise.
    priority: Option<Priority>,
    /// When it is due: a date such as 2025-12-31, or a date and time in UTC such as 2025-12-31T10:00:00Z.
    due_date: Option<String>,
    /// Words to find it by.
    tags: Option<Vec<String>>,
}

fn add(context: &Context, mut task: Add) -> Outcome {
    // Models write an empty text for a date that nobody gave.
    task.due_date = task.due_date.filter(|date| !date.is_empty());
    let title_max = settings::title_max().map_err(|_| Failure::broken("the setting `title_max` is wrong"))?;
    let body = Value::Map(given(&task)?);
    let new = Fields::of_body(Some(&body)).and_then(|fields| NewTask::of(fields, title_max)).map_err(refused)?;
    let rows = context.write([store::creation(context.owner()?, new)])?;
    let task = rows.first().map(|rows| rows.first::<Shown>()).transpose()?.flatten();
    let task = task.ok_or_else(|| Failure::broken("an insert gave no row"))?;
    changes::counted(None);
    Output::json(&Done::to("created", &task))
}
