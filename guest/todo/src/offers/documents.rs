//! What stands at the addresses.

use innkeeper_guest::resources::{Document, Read, Variables};
use innkeeper_guest::tools::{Context, Failure};
use serde::Serialize;

use crate::json::Value;
use crate::tasks::listing::Listing;
use crate::tasks::store;
use crate::tasks::task::Task;

/// Tasks in one document. A model reads, and its user pays for, all of it; what is
/// left out has addresses of its own.
const TASKS: i64 = 200;

/// Some tasks, and how many there are.
#[derive(Serialize)]
struct Todos<'a> {
    todos: &'a [Task<'a>],
    count: usize,
    total: i64,
}

pub(super) fn all(context: &Context, _: &Variables) -> Read {
    some(context, &[("sort_by", "updated_at")]).map(Some)
}

pub(super) fn open(context: &Context, _: &Variables) -> Read {
    pending(context, None).map(Some)
}

pub(super) fn tagged(context: &Context, of: &Variables) -> Read {
    pending(context, Some(&of["tag"])).map(Some)
}

pub(super) fn one(context: &Context, of: &Variables) -> Read {
    let Ok(id) = of["id"].parse() else { return Ok(None) };
    let rows = store::find(context.owner()?, id)?;
    rows.first::<Task>()?.map(|task| Document::json(&task)).transpose()
}

/// What is to be done, soonest first.
pub(super) fn pending(context: &Context, tag: Option<&str>) -> Result<Document, Failure> {
    let mut query = vec![("status", "pending"), ("sort_by", "due_date")];
    query.extend(tag.map(|tag| ("tag", tag)));
    some(context, &query)
}

/// The tasks of a query of the REST API.
pub(super) fn some(context: &Context, query: &[(&str, &str)]) -> Result<Document, Failure> {
    let owner = context.owner()?;
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), Value::Str((*value).to_owned())));
    // A tag that is none has no tasks; whoever wrote the address may read why.
    let listing = Listing::read(&query.collect::<Vec<_>>()).map_err(crate::tools::refused)?;
    let (rows, total) = store::list_and_count(owner, &listing.at_most(TASKS))?;
    let todos = rows.all::<Task>()?;
    Document::json(&Todos { todos: &todos, count: todos.len(), total })
}
