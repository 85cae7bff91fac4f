//! `list_tasks` and `search_tasks`.

use innkeeper_guest::tool;
use innkeeper_guest::tools::{Context, Outcome, Output, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shown::Shown;
use super::{Priority, given, refused};
use crate::json::Value;
use crate::tasks::listing::Listing;
use crate::tasks::store;

/// Tasks by filter.
pub(super) const LIST: Tool = tool!(
    "list_tasks",
    "List the user's tasks, newest first unless sorted. Also the way to find out the id of a task that the user means.",
    list
)
.title("List tasks")
.read_only();

/// Tasks by words.
pub(super) const SEARCH: Tool = tool!("search_tasks", "Find tasks by a part of their title or description.", search)
    .title("Search tasks")
    .read_only();

/// What a model gets at once: it pays for every byte, again in every turn.
const BYTES: usize = 16 << 10;
/// Tasks in one result, when the model does not say.
const LIMIT: i64 = 50;
/// The most of them.
const LIMIT_MAX: i64 = 100;

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Which tasks; all when left out.
    status: Option<Status>,
    /// Only of this priority.
    priority: Option<Priority>,
    /// Only with all of these tags.
    #[serde(rename(serialize = "tag"))]
    tags: Option<Vec<String>>,
    /// What to sort by.
    sort_by: Option<Sort>,
    /// At most so many, up to 100; 50 when left out.
    limit: Option<i64>,
    /// Leave out so many first, to read on.
    offset: Option<i64>,
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
struct Search {
    /// What the title or the description has in it.
    #[serde(rename(serialize = "search"))]
    query: String,
    /// Which tasks; all when left out.
    status: Option<Status>,
    /// At most so many, up to 100; 50 when left out.
    limit: Option<i64>,
    /// Leave out so many first, to read on.
    offset: Option<i64>,
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    All,
    Pending,
    Completed,
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    Created,
    Updated,
    Title,
    DueDate,
    Priority,
}

/// What both give. Clients draw a list of it when it has `success` and `tasks`.
#[derive(Serialize)]
struct Found<'a> {
    success: bool,
    tasks: &'a [Shown<'a>],
    /// In this result.
    count: usize,
    /// In all.
    total: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<i64>,
}

fn list(context: &Context, mut list: List) -> Outcome {
    list.limit = Some(limit(list.limit));
    find(context, list.offset, &list)
}

fn search(context: &Context, mut search: Search) -> Outcome {
    search.limit = Some(limit(search.limit));
    find(context, search.offset, &search)
}

/// A number out of range is no reason to ask again.
fn limit(asked: Option<i64>) -> i64 {
    asked.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
}

fn find(context: &Context, offset: Option<i64>, arguments: &impl Serialize) -> Outcome {
    let listing = Listing::read(&query(given(arguments)?)).map_err(refused)?;
    let (rows, total) = store::list_and_count(context.owner()?, &listing)?;
    fit(&rows.all()?, offset.unwrap_or(0), total)
}

/// The arguments as the parameters of a query.
fn query(fields: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let mut pairs = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        match value {
            Value::List(items) => pairs.extend(items.into_iter().map(|item| (name.clone(), item))),
            Value::Int(number) => pairs.push((name, Value::Str(number.to_string()))),
            other => pairs.push((name, other)),
        }
    }
    pairs
}

/// As many of the tasks as fit, and where to read on.
fn fit(tasks: &[Shown<'_>], offset: i64, total: i64) -> Outcome {
    let mut count = tasks.len();
    loop {
        let next = offset.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        let next_offset = (next < total && count > 0).then_some(next);
        let output = Output::json(&Found { success: true, tasks: &tasks[..count], count, total, next_offset })?;
        if output.json.len() <= BYTES || count == 0 {
            return Ok(output);
        }
        // In proportion, and always by one: a few rounds at the most.
        count = (count * BYTES / output.json.len()).min(count - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(count: i64, description: &str) -> Vec<Shown<'_>> {
        (0..count)
            .map(|id| {
                let json = serde_json::json!({
                    "id": id, "title": "t", "description": null, "completed": false,
                    "priority": "low", "due_date": null, "tags": "[]",
                });
                let text: &'static str = Box::leak(json.to_string().into_boxed_str());
                let mut task: Shown<'_> = serde_json::from_str(text).expect("a task");
                task.title = description;
                task
            })
            .collect()
    }

    fn found(tasks: &[Shown<'_>], offset: i64, total: i64) -> serde_json::Value {
        let output = fit(tasks, offset, total).expect("it serialises");
        assert!(output.json.len() <= BYTES);
        serde_json::from_str(&output.json).expect("JSON")
    }

    #[test]
    fn a_result_that_is_whole_says_so_by_having_no_next_offset() {
        let found = found(&tasks(3, "short"), 0, 3);
        assert_eq!((&found["count"], &found["total"]), (&3.into(), &3.into()));
        assert!(found.get("next_offset").is_none());
    }

    #[test]
    fn a_result_that_is_too_large_says_where_to_read_on() {
        let long = "x".repeat(1000);
        let found = found(&tasks(50, &long), 10, 100);
        let count = found["count"].as_i64().expect("a number");
        assert!((10..=15).contains(&count), "{count} fit");
        assert_eq!(found["next_offset"], 10 + count);
    }

    #[test]
    fn an_offset_past_the_end_has_nothing_to_read_on() {
        assert!(found(&[], 100, 3).get("next_offset").is_none());
    }
}
