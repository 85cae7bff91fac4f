//! `complete_task` and `complete_tasks`.

use innkeeper_guest::tool;
use innkeeper_guest::tools::{Context, Failure, Outcome, Output, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::no_task;
use super::shown::{Done, Shown};
use crate::offers::changes;
use crate::tasks::store;

/// One task.
pub(super) const ONE: Tool =
    tool!("complete_task", "Mark one task as done, or as not done with `completed` false.", one)
        .title("Complete a task")
        .idempotent();

/// Several at once.
pub(super) const MANY: Tool = tool!("complete_tasks", "Mark several tasks as done, up to 50 in one call.", many)
    .title("Complete tasks")
    .idempotent();

/// Each is a statement of one batch, which has at most 64.
const MOST: usize = 50;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct One {
    /// The task's id, as a list gives it.
    task_id: i64,
    /// Whether it is done; true when left out.
    completed: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Many {
    /// The tasks' ids, as a list gives them.
    task_ids: Vec<i64>,
}

fn one(context: &Context, One { task_id, completed }: One) -> Outcome {
    let rows = context.write([store::completion(context.owner()?, task_id, Some(completed.unwrap_or(true)))])?;
    let task = rows.first().map(|rows| rows.first::<Shown>()).transpose()?.flatten();
    let task = task.ok_or_else(|| no_task(task_id))?;
    changes::changed(task_id);
    Output::json(&Done::to(if task.completed { "completed" } else { "pending" }, &task))
}

fn many(context: &Context, Many { mut task_ids }: Many) -> Outcome {
    task_ids.sort_unstable();
    task_ids.dedup();
    if task_ids.is_empty() || task_ids.len() > MOST {
        return Err(Failure::Refused(format!("Name 1 to {MOST} tasks.")));
    }
    let owner = context.owner()?;
    let rows = context.write(task_ids.iter().map(|id| store::completion(owner, *id, Some(true))))?;
    let (mut completed, mut not_found) = (Vec::new(), Vec::new());
    for (id, rows) in task_ids.iter().zip(&rows) {
        match rows.first::<Shown>()? {
            Some(task) => {
                changes::changed(*id);
                completed.push(json!({ "task_id": id, "title": task.title }));
            }
            None => not_found.push(id),
        }
    }
    if completed.is_empty() {
        return Err(Failure::refused("None of these tasks was found. List the tasks to see which there are."));
    }
    Output::json(&json!({ "success": true, "status": "completed", "completed": completed, "not_found": not_found }))
}
