//! `delete_task`.

use innkeeper_guest::tool;
use innkeeper_guest::tools::{Context, Outcome, Output, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::no_task;
use crate::offers::changes;
use crate::tasks::store;

/// A task's end.
pub(super) const DELETE: Tool = tool!("delete_task", "Delete one task for good. It cannot be brought back.", delete)
    .title("Delete a task")
    .destructive();

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delete {
    /// The task's id, as a list gives it.
    task_id: i64,
}

fn delete(context: &Context, Delete { task_id }: Delete) -> Outcome {
    #[derive(Deserialize)]
    struct Deleted<'a> {
        title: &'a str,
    }
    let rows = context.write([store::deletion(context.owner()?, task_id)])?;
    let deleted = rows.first().map(|rows| rows.first::<Deleted>()).transpose()?.flatten();
    let Deleted { title } = deleted.ok_or_else(|| no_task(task_id))?;
    changes::counted(Some(task_id));
    Output::json(&json!({ "success": true, "task_id": task_id, "status": "deleted", "title": title }))
}
