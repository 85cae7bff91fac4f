//! The tasks in the database. Every statement has the owner as its `$1`.

use innkeeper_guest::sql::{self, Call, Error, Rows, Statement};
use innkeeper_guest::{Json, Timestamp, statement};
use serde::Deserialize;

use super::body::{Change, NewTask, Others};
use super::listing::Listing;
use super::task::Priority;

/// The newest tasks.
pub const LIST: Statement = statement!("task-list", "../../sql/task-list.sql");
/// The tasks that fit some filters, in some order.
pub const SEARCH: Statement = statement!("task-search", "../../sql/task-search.sql");
/// How many tasks fit those filters.
pub const COUNT: Statement = statement!("task-count", "../../sql/task-count.sql");
/// One task.
pub const FIND: Statement = statement!("task-find", "../../sql/task-find.sql");
/// A new task.
pub const CREATE: Statement = statement!("task-create", "../../sql/task-create.sql");
/// Some fields of a task.
pub const UPDATE: Statement = statement!("task-update", "../../sql/task-update.sql");
/// The done flag of a task.
pub const COMPLETE: Statement = statement!("task-complete", "../../sql/task-complete.sql");
/// A task's end.
pub const DELETE: Statement = statement!("task-delete", "../../sql/task-delete.sql");

/// One page of tasks.
pub fn list(owner: &str, listing: &Listing) -> Result<Rows, Error> {
    page(owner, listing).rows()
}

/// One page of tasks, and how many all pages have; of the same moment.
pub fn list_and_count(owner: &str, listing: &Listing) -> Result<(Rows, i64), Error> {
    #[derive(Deserialize)]
    struct Count {
        total: i64,
    }
    let both = sql::batch([page(owner, listing), filter(COUNT, owner, listing)])?;
    let [tasks, count] = <[Rows; 2]>::try_from(both)
        .map_err(|_| Error::Decode("two statements gave another number of results".to_owned()))?;
    let total = count.first::<Count>()?.map_or(0, |count| count.total);
    Ok((tasks, total))
}

/// The task of this id.
pub fn find(owner: &str, id: i64) -> Result<Rows, Error> {
    FIND.bind(owner).bind(id).rows()
}

/// Stores a new task.
pub fn create(owner: &str, new: NewTask) -> Result<Rows, Error> {
    creation(owner, new).rows()
}

/// [`create`], to be run.
pub fn creation(owner: &str, new: NewTask) -> Call {
    let Others { description, completed, priority, due_date, tags } = new.others;
    let tags = tags.unwrap_or_default();
    CREATE
        .bind(owner)
        .bind(new.title)
        .bind(description.flatten())
        .bind(completed.unwrap_or(false))
        .bind(priority.unwrap_or(Priority::Medium).word())
        .bind(due_date.flatten())
        .bind(Json(&tags))
        .bind(tag_index(&tags))
        .bind(Timestamp::now())
}

/// Changes some fields, and gives the task as it is then.
pub fn update(owner: &str, id: i64, change: Change) -> Result<Rows, Error> {
    alteration(owner, id, change).rows()
}

/// [`update`], to be run.
pub fn alteration(owner: &str, id: i64, change: Change) -> Call {
    let Others { description, completed, priority, due_date, tags } = change.others;
    let index = tags.as_deref().map(tag_index);
    UPDATE
        .bind(owner)
        .bind(id)
        .bind(change.title)
        .bind(description.is_some())
        .bind(description.flatten())
        .bind(completed)
        .bind(priority.map(Priority::word))
        .bind(due_date.is_some())
        .bind(due_date.flatten())
        .bind(tags.map(Json))
        .bind(index)
        .bind(Timestamp::now())
}

/// Sets the done flag, or toggles it, and gives the task as it is then.
pub fn complete(owner: &str, id: i64, completed: Option<bool>) -> Result<Rows, Error> {
    completion(owner, id, completed).rows()
}

/// [`complete`], to be run.
pub fn completion(owner: &str, id: i64, completed: Option<bool>) -> Call {
    COMPLETE.bind(owner).bind(id).bind(completed).bind(Timestamp::now())
}

/// Deletes a task; false when there was none.
pub fn delete(owner: &str, id: i64) -> Result<bool, Error> {
    Ok(deletion(owner, id).execute()? > 0)
}

/// [`delete`], to be run. Gives the title that there was.
pub fn deletion(owner: &str, id: i64) -> Call {
    DELETE.bind(owner).bind(id)
}

fn page(owner: &str, listing: &Listing) -> Call {
    let call = match listing.is_plain() {
        true => LIST.bind(owner),
        false => filter(SEARCH, owner, listing).bind(listing.order),
    };
    call.bind(listing.limit).bind(listing.offset)
}

fn filter(statement: Statement, owner: &str, listing: &Listing) -> Call {
    let search = listing.search.as_ref().map(|text| format!("%{}%", escape(text)));
    let tags = (!listing.tags.is_empty()).then(|| tag_pattern(&listing.tags));
    statement.bind(owner).bind(listing.completed).bind(listing.priority.map(Priority::word)).bind(search).bind(tags)
}

/// Encloses each tag in the index. No tag has it, as none has control characters.
const SEPARATOR: char = '\u{1f}';

/// The tags as one text: folded, sorted and each between separators. One LIKE
/// then finds any set of them, on both databases and with one statement, which
/// their own functions for JSON could not.
fn tag_index(tags: &[String]) -> String {
    folded(tags).iter().map(|tag| format!("{SEPARATOR}{tag}{SEPARATOR}")).collect()
}

/// What the index of a task with all of these tags looks like.
fn tag_pattern(tags: &[String]) -> String {
    let tags: String = folded(tags).iter().map(|tag| format!("{SEPARATOR}{}{SEPARATOR}%", escape(tag))).collect();
    format!("%{tags}")
}

fn folded(tags: &[String]) -> Vec<String> {
    let mut folded: Vec<String> = tags.iter().map(|tag| tag.to_lowercase()).collect();
    folded.sort_unstable();
    folded.dedup();
    folded
}

/// Takes their meaning from the wildcards of LIKE; `!` is the escape character
/// of our statements, as a backslash is not the same to all databases.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|&tag| tag.to_owned()).collect()
    }

    #[test]
    fn wildcards_lose_their_meaning() {
        assert_eq!(escape("100% of a_b!"), "100!% of a!_b!!");
    }

    #[test]
    fn a_tag_index_is_folded_sorted_and_enclosed() {
        assert_eq!(tag_index(&owned(&["Work", "a", "work"])), "\u{1f}a\u{1f}\u{1f}work\u{1f}");
        assert_eq!(tag_index(&[]), "");
    }

    #[test]
    fn a_tag_pattern_is_in_the_order_of_the_index() {
        assert_eq!(tag_pattern(&owned(&["b_", "A"])), "%\u{1f}a\u{1f}%\u{1f}b!_\u{1f}%");
    }
}
