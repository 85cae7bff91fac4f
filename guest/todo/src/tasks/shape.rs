//! How a list is wrapped: a bare array, or one of the objects in the field.

use serde::Serialize;

use super::listing::Listing;
use super::task::Task;

/// The setting `list_shape`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[…]`
    Array,
    /// `{"tasks"}`
    Tasks,
    /// `{"tasks","count"}`; how many are in this answer.
    TasksCount,
    /// `{"tasks","total"}`; how many there are.
    TasksTotal,
    /// `{"tasks","total","limit","offset"}`
    TasksTotalLimitOffset,
    /// `{"items","total","page","size","pages"}`, as `fastapi-pagination` has it.
    ItemsTotalPage,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Wrapped<'a> {
    Array(&'a [Task<'a>]),
    Tasks { tasks: &'a [Task<'a>] },
    TasksCount { tasks: &'a [Task<'a>], count: usize },
    TasksTotal { tasks: &'a [Task<'a>], total: i64 },
    TasksTotalLimitOffset { tasks: &'a [Task<'a>], total: i64, limit: i64, offset: i64 },
    ItemsTotalPage { items: &'a [Task<'a>], total: i64, page: i64, size: i64, pages: i64 },
}

impl Shape {
    /// Whether the shape says how many tasks there are in all.
    pub fn has_total(self) -> bool {
        match self {
            Self::Array | Self::Tasks | Self::TasksCount => false,
            Self::TasksTotal | Self::TasksTotalLimitOffset | Self::ItemsTotalPage => true,
        }
    }

    /// Wraps the tasks of one answer; `total` counts only where the shape has it.
    pub fn wrap<'a>(self, tasks: &'a [Task<'a>], listing: &Listing, total: i64) -> impl Serialize + use<'a> {
        let (limit, offset) = (listing.limit, listing.offset);
        match self {
            Self::Array => Wrapped::Array(tasks),
            Self::Tasks => Wrapped::Tasks { tasks },
            Self::TasksCount => Wrapped::TasksCount { tasks, count: tasks.len() },
            Self::TasksTotal => Wrapped::TasksTotal { tasks, total },
            Self::TasksTotalLimitOffset => Wrapped::TasksTotalLimitOffset { tasks, total, limit, offset },
            Self::ItemsTotalPage => {
                let (page, pages) = (offset / limit + 1, (total + limit - 1) / limit);
                Wrapped::ItemsTotalPage { items: tasks, total, page, size: limit, pages }
            }
        }
    }
}
