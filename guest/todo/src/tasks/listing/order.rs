//! The order of a list.

use Direction::{Ascending, Descending};

use crate::check::{Checked, Choice, Fields, Issues, scalar};
use crate::json::Value;

/// Newest first.
pub(super) const DEFAULT: &str = "created_desc";

const SORTS: Choice =
    Choice { kind: "literal_error", expected: "'created', 'title', 'due_date', 'updated' or 'priority'" };
const ORDERS: Choice = Choice { kind: "literal_error", expected: "'asc' or 'desc'" };

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

/// The first is the default: newest first.
static SORT_TABLE: [Sort; 5] = [
    sort(&["created", "created_at", "createdAt"], ["created_asc", "created_desc"], Descending),
    sort(&["title"], ["title_asc", "title_desc"], Ascending),
    sort(&["due_date", "due", "dueDate"], ["due_date_asc", "due_date_desc"], Ascending),
    sort(&["updated", "updated_at", "updatedAt"], ["updated_asc", "updated_desc"], Descending),
    sort(&["priority"], ["priority_asc", "priority_desc"], Descending),
];

const fn sort(names: &'static [&'static str], orders: [&'static str; 2], natural: Direction) -> Sort {
    Sort { names, ascending: orders[0], descending: orders[1], natural }
}

/// `sort` with `order`, or `sort_by` with `sort_order`.
pub(super) fn read(query: Fields<'_>) -> Checked<&'static str> {
    let mut issues = Issues::default();
    let mut sort = |name| issues.keep(query.given(name, sorting));
    let (sort, sort_by) = (sort("sort"), sort("sort_by"));
    let mut order = |name| issues.keep(query.given(name, direction));
    let (order, sort_order) = (order("order"), order("sort_order"));
    let (Some(sort), Some(sort_by), Some(order), Some(sort_order)) = (sort, sort_by, order, sort_order) else {
        return Err(issues);
    };
    let (sort, suffix) = sort.or(sort_by).unwrap_or((&SORT_TABLE[0], None));
    Ok(match order.or(sort_order).or(suffix).unwrap_or(sort.natural) {
        Ascending => sort.ascending,
        Descending => sort.descending,
    })
}

fn sorting(value: &Value) -> Checked<(&'static Sort, Option<Direction>)> {
    scalar::one_of(value, SORTS, |word| {
        let (name, suffix) = match word.rsplit_once('_') {
            Some((name, "asc")) => (name, Some(Ascending)),
            Some((name, "desc")) => (name, Some(Descending)),
            _ => (word, None),
        };
        SORT_TABLE.iter().find(|sort| sort.names.contains(&name)).map(|sort| (sort, suffix))
    })
}

fn direction(value: &Value) -> Checked<Direction> {
    scalar::one_of(value, ORDERS, |word| match word {
        "asc" => Some(Ascending),
        "desc" => Some(Descending),
        _ => None,
    })
}
