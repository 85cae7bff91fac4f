//! `update_task`.

use innkeeper_guest::tool;
use innkeeper_guest::tools::{Context, Failure, Outcome, Output, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shown::{Done, Shown};
use super::{Priority, given, no_task, refused};
use crate::check::Fields;
use crate::json::Value;
use crate::offers::changes;
use crate::settings;
use crate::tasks::{body::Change, store};

/// Some fields of a task.
pub(super) const UPDATE: Tool =
    tool!("update_task", "Change a task. Whatever is left out, or null, stays as it is.", update)
        .title("Change a task")
        .idempotent();

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Update {
    /// The task's id, as a list gives it.
    task_id: i64,
    /// A new title.
    title: Option<String>,
    /// A new description; an empty text removes it.
    description: Option<String>,
    /// Whether it is done.
    completed: Option<bool>,
    /// How urgent it is.
    priority: Option<Priority>,
    /// When it is due: a date such as 2025-12-31, or a date and time in UTC such as 2025-12-31T10:00:00Z; an empty text removes it.
    due_date: Option<String>,
    /// All its tags from now on.
    tags: Option<Vec<String>>,
}

fn update(context: &Context, update: Update) -> Outcome {
    let mut fields = given(&update)?;
    fields.retain(|(name, _)| name != "task_id");
    if fields.is_empty() {
        return Err(Failure::refused("Nothing to change was named."));
    }
    for (name, value) in &mut fields {
        if matches!(name.as_str(), "description" | "due_date") && *value == Value::Str(String::new()) {
            *value = Value::Null;
        }
    }
    let title_max = settings::title_max().map_err(|_| Failure::broken("the setting `title_max` is wrong"))?;
    let body = Value::Map(fields);
    let change = Fields::of_body(Some(&body)).and_then(|fields| Change::of(fields, title_max)).map_err(refused)?;
    let rows = context.write([store::alteration(context.owner()?, update.task_id, change)])?;
    let task = rows.first().map(|rows| rows.first::<Shown>()).transpose()?.flatten();
    let task = task.ok_or_else(|| no_task(update.task_id))?;
    changes::changed(update.task_id);
    Output::json(&Done::to("updated", &task))
}
