//! The query of a list: filters, order and page, under every name that the
//! surveyed clients use.

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

const STATUSES: Choice = Choice {
    kind: "literal_error",
    expected: "'all', 'pending' or 'completed'",
};
const SORTS: Choice = Choice {
    kind: "literal_error",
    expected: "'created', 'title', 'due_date', 'updated' or 'priority'",
};
const ORDERS: Choice = Choice {
    kind: "literal_error",
    expected: "'asc' or 'desc'",
};

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

/// A column to sort by.
#[derive(Debug, PartialEq)]
struct Sort {
    /// What clients call it. Each also with `_asc` or `_desc` behind it.
    names: &'static [&'static str],
    ascending: &'static str,
    descending: &'static str,
    /// When the client does not say.
    natural: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Direction {
    Ascending,
    Descending,
}

use Direction::{Ascending, Descending};

/// The first is the default: newest first.
static SORT_TABLE: [Sort; 5] = [
    sort(
        &["created", "created_at", "createdAt"],
        ["created_asc", "created_desc"],
        Descending,
    ),
    sort(&["title"], ["title_asc", "title_desc"], Ascending),
    sort(
        &["due_date", "due", "dueDate"],
        ["due_date_asc", "due_date_desc"],
        Ascending,
    ),
    sort(
        &["updated", "updated_at", "updatedAt"],
        ["updated_asc", "updated_desc"],
        Descending,
    ),
    sort(&["priority"], ["priority_asc", "priority_desc"], Descending),
];

const fn sort(
    names: &'static [&'static str],
    orders: [&'static str; 2],
    natural: Direction,
) -> Sort {
    Sort {
        names,
        ascending: orders[0],
        descending: orders[1],
        natural,
    }
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
            issues.keep(order(query)),
            issues.keep(Page::of(query)),
        );
        let (
            Some(status),
            Some(completed),
            Some(priority),
            Some(tags),
            Some(search),
            Some(order),
            Some(page),
        ) = read
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

    /// Whether this is the list that has a statement, and an index, of its own.
    pub(super) fn is_plain(&self) -> bool {
        let Self {
            completed,
            priority,
            search,
            tags,
            order,
            limit: _,
            offset: _,
        } = self;
        completed.is_none()
            && priority.is_none()
            && search.is_none()
            && tags.is_empty()
            && *order == SORT_TABLE[0].descending
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
            let tag =
                body::tag(value).map_err(|issue| issue.at(Step::Index(index)).at(Step::Name(name)));
            let text = issues.keep(tag).unwrap_or_default();
            let parts = text.split(|c| c == ',' && name == "tags").map(str::trim);
            found.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
        }
    }
    if issues == Issues::default() {
        Ok(found)
    } else {
        Err(issues)
    }
}

/// `sort` with `order`, or `sort_by` with `sort_order`.
fn order(query: Fields<'_>) -> Checked<&'static str> {
    let mut issues = Issues::default();
    let mut sort = |name| issues.keep(query.given(name, sorting));
    let (sort, sort_by) = (sort("sort"), sort("sort_by"));
    let mut order = |name| issues.keep(query.given(name, direction));
    let (order, sort_order) = (order("order"), order("sort_order"));
    let (Some(sort), Some(sort_by), Some(order), Some(sort_order)) =
        (sort, sort_by, order, sort_order)
    else {
        return Err(issues);
    };
    let (sort, suffix) = sort.or(sort_by).unwrap_or((&SORT_TABLE[0], None));
    Ok(
        match order.or(sort_order).or(suffix).unwrap_or(sort.natural) {
            Ascending => sort.ascending,
            Descending => sort.descending,
        },
    )
}

fn sorting(value: &Value) -> Checked<(&'static Sort, Option<Direction>)> {
    scalar::one_of(value, SORTS, |word| {
        let (name, suffix) = match word.rsplit_once('_') {
            Some((name, "asc")) => (name, Some(Ascending)),
            Some((name, "desc")) => (name, Some(Descending)),
            _ => (word, None),
        };
        SORT_TABLE
            .iter()
            .find(|sort| sort.names.contains(&name))
            .map(|sort| (sort, suffix))
    })
}

fn direction(value: &Value) -> Checked<Direction> {
    scalar::one_of(value, ORDERS, |word| match word {
        "asc" => Some(Ascending),
        "desc" => Some(Descending),
        _ => None,
    })
}

struct Page {
    limit: i64,
    offset: i64,
}

impl Page {
    fn of(query: Fields<'_>) -> Checked<Self> {
        let mut issues = Issues::default();
        let mut number = |name, min, max| {
            issues.keep(query.given(name, |value| scalar::integer_in(value, min, max)))
        };
        let limit = number("limit", 1, LIMIT_MAX);
        let offset = number("offset", 0, i64::MAX);
        let skip = number("skip", 0, i64::MAX);
        let page = number("page", 1, i64::MAX);
        let (Some(limit), Some(offset), Some(skip), Some(page)) = (limit, offset, skip, page)
        else {
            return Err(issues);
        };
        let limit = limit.unwrap_or(if page.is_some() { PAGE } else { UNLIMITED });
        let before = page.map(|page| (page - 1).saturating_mul(limit));
        Ok(Self {
            limit,
            offset: offset.or(skip).or(before).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Listing {
        Listing::read(&crate::incoming::pairs(query)).expect(query)
    }

    #[track_caller]
    fn orders(query: &str, order: &str) {
        assert_eq!(read(query).order, order, "{query}");
    }

    #[track_caller]
    fn pages(query: &str, limit: i64, offset: i64) {
        let listing = read(query);
        assert_eq!((listing.limit, listing.offset), (limit, offset), "{query}");
    }

    #[test]
    fn each_sort_has_its_natural_order() {
        orders("", "created_desc");
        orders("sort=created", "created_desc");
        orders("sort=title", "title_asc");
        orders("sort=due_date", "due_date_asc");
        orders("sort=priority", "priority_desc");
        orders("sort=updated", "updated_desc");
    }

    #[test]
    fn an_order_is_a_suffix_or_a_parameter_and_the_parameter_wins() {
        orders("sort=created_asc", "created_asc");
        orders("sort=created_at_asc", "created_asc");
        orders("sort_by=createdAt&sort_order=asc", "created_asc");
        orders("sort=due_date_desc", "due_date_desc");
        orders("sort=title_asc&order=desc", "title_desc");
        orders("order=asc", "created_asc");
        orders("sort=title&sort_by=priority", "title_asc");
    }

    #[test]
    fn pages_count_from_one() {
        pages("", 1000, 0);
        pages("page=1", 20, 0);
        pages("page=3&limit=50", 50, 100);
        pages("skip=7", 1000, 7);
        pages("offset=5&skip=7&page=9", 20, 5);
        pages("page=9223372036854775807&limit=100", 100, i64::MAX);
    }

    #[test]
    fn filters_combine_and_empty_ones_are_off() {
        assert!(read("status=all&search=&tags=&tag=&limit=5&unknown=1").is_plain());
        assert!(!read("status=pending").is_plain());
        assert!(!read("sort=title").is_plain());
        assert_eq!(read("status=completed").completed, Some(true));
        assert_eq!(read("status=all&completed=no").completed, Some(false));
        assert_eq!(
            read("tag=a,b&tag=c&tags=d, e&tags=f").tags,
            ["a,b", "c", "d", "e", "f"]
        );
        assert_eq!(read("search=a&search=b").search.as_deref(), Some("b"));
    }
}
