//! The query of a list: filters, order and page, under every name that the
//! surveyed clients use.

mod order;
#[cfg(test)]
mod tests;

use super::body;
use super::task::Priority;
use crate::check::{Checked, Choice, Fields, Issues, Step, scalar};
use crate::json::Value;

/// How many rows a list has when the client sets no limit: clients of bare
/// arrays expect all their tasks, but an answer must have a bound.
pub const UNLIMITED: i64 = 1000;
/// How many rows a page has when the client asks for a page without a limit.
const PAGE: i64 = 20;
const LIMIT_MAX: i64 = 100;
const SEARCH_MAX: usize = 500;

const STATUSES: Choice = Choice { kind: "literal_error", expected: "'all', 'pending' or 'completed'" };
/// A list that a client asks for.
#[derive(Debug, PartialEq)]
pub struct Listing {
    pub(super) completed: Option<bool>,
    pub(super) priority: Option<Priority>,
    pub(super) search: Option<String>,
    /// A task must have all of them.
    pub(super) tags: Vec<String>,
    /// As `sql/task-search.sql` names it.
    pub(super) order: &'static str,
    pub(super) limit: i64,
    pub(super) offset: i64,
}

impl Listing {
    /// Reads a query.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(query: &[(String, Value)]) -> Checked<Self> {
        Self::of(Fields::of_query(query)).map_err(|issues| issues.at(Step::Name("query")))
    }

    fn of(query: Fields<'_>) -> Checked<Self> {
        let mut issues = Issues::default();
        let read = (
            issues.keep(query.given("status", status)),
            issues.keep(query.given("completed", scalar::boolean)),
            issues.keep(query.given("priority", body::priority)),
            issues.keep(tags(query)),
            issues.keep(query.given("search", |value| scalar::text(value, 0, SEARCH_MAX))),
            issues.keep(order::read(query)),
            issues.keep(Page::of(query)),
        );
        let (Some(status), Some(completed), Some(priority), Some(tags), Some(search), Some(order), Some(page)) = read
        else {
            return Err(issues);
        };
        Ok(Self {
            completed: completed.or(status.flatten()),
            priority,
            search: search.filter(|text| !text.is_empty()),
            tags,
            order,
            limit: page.limit,
            offset: page.offset,
        })
    }

    /// The newest tasks, from one on.
    pub(crate) fn newest(limit: i64, offset: i64) -> Self {
        let (completed, priority, search, tags) = (None, None, None, Vec::new());
        Self { completed, priority, search, tags, order: order::DEFAULT, limit, offset }
    }

    /// The same list, with no more tasks than these.
    pub(crate) fn at_most(self, limit: i64) -> Self {
        Self { limit: self.limit.min(limit), ..self }
    }

    /// Whether this is the list that has a statement, and an index, of its own.
    pub(super) fn is_plain(&self) -> bool {
        let Self { completed, priority, search, tags, order, limit: _, offset: _ } = self;
        completed.is_none() && priority.is_none() && search.is_none() && tags.is_empty() && *order == order::DEFAULT
    }
}

/// `all` is none.
fn status(value: &Value) -> Checked<Option<bool>> {
    scalar::one_of(value, STATUSES, |word| match word {
        "all" => Some(None),
        "pending" => Some(Some(false)),
        "completed" => Some(Some(true)),
        _ => None,
    })
}

/// `tag` is one tag, and may be repeated; `tags` may also hold some with commas
/// between them.
fn tags(query: Fields<'_>) -> Checked<Vec<String>> {
    let mut issues = Issues::default();
    let mut found = Vec::new();
    for name in ["tag", "tags"] {
        for (index, value) in query.every(name).enumerate() {
            let tag = body::tag(value).map_err(|issue| issue.at(Step::Index(index)).at(Step::Name(name)));
            let text = issues.keep(tag).unwrap_or_default();
            let parts = text.split(|c| c == ',' && name == "tags").map(str::trim);
            found.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
        }
    }
    if issues == Issues::default() { Ok(found) } else { Err(issues) }
}

struct Page {
    limit: i64,
    offset: i64,
}

impl Page {
    fn of(query: Fields<'_>) -> Checked<Self> {
        let mut issues = Issues::default();
        let mut number = |name, min, max| issues.keep(query.given(name, |value| scalar::integer_in(value, min, max)));
        let limit = number("limit", 1, LIMIT_MAX);
        let offset = number("offset", 0, i64::MAX);
        let skip = number("skip", 0, i64::MAX);
        let page = number("page", 1, i64::MAX);
        let (Some(limit), Some(offset), Some(skip), Some(page)) = (limit, offset, skip, page) else {
            return Err(issues);
        };
        let limit = limit.unwrap_or(if page.is_some() { PAGE } else { UNLIMITED });
        let before = page.map(|page| (page - 1).saturating_mul(limit));
        Ok(Self { limit, offset: offset.or(skip).or(before).unwrap_or(0) })
    }
}
