//! Who reads a task hears of it when it changes, however it was changed. Clients are
//! told of their caller's own tasks alone. Lists by tag are not told of: which tags a
//! task had before is not known after a write.

use innkeeper_guest::notify::{Audience, Listing, list_changed, resource_updated};

use super::{OPEN, TODOS};

/// There is one task more, or one less.
pub fn counted(id: Option<i64>) {
    list_changed(Listing::Resources, Audience::Caller);
    lists();
    if let Some(id) = id {
        resource_updated(&format!("{TODOS}/{id}"), Audience::Caller);
    }
}

/// A task is another one than before.
pub fn changed(id: i64) {
    lists();
    resource_updated(&format!("{TODOS}/{id}"), Audience::Caller);
}

fn lists() {
    for list in [TODOS, OPEN] {
        resource_updated(list, Audience::Caller);
    }
}
