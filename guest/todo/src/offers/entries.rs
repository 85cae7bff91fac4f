//! The caller's list of addresses.

use innkeeper_guest::resources::{Entry, Page};
use innkeeper_guest::tools::{Context, Failure};
use serde::Deserialize;

use super::TODOS;
use crate::tasks::listing::Listing;
use crate::tasks::store;

/// Entries of one piece.
const ENTRIES: i64 = 100;
/// Characters of a title in a list.
const TITLE: usize = 60;

/// Each task of the caller, the newest first. Who is not signed in has none.
///
/// # Errors
/// When a piece is asked for that none led to.
pub fn list(context: &Context, cursor: Option<&str>) -> Result<Page, Failure> {
    let Some(caller) = context.caller() else { return Ok(Page::default()) };
    let offset: i64 = cursor.map_or(Ok(0), str::parse).map_err(|_| Failure::refused("There is no such page."))?;
    let listing = Listing::newest(ENTRIES + 1, offset.max(0));
    #[derive(Deserialize)]
    struct Titled<'a> {
        id: i64,
        title: &'a str,
    }
    let rows = store::list(&caller.subject, &listing)?;
    let mut tasks = rows.all::<Titled>()?;
    // One more than there is room for says that there are more.
    let room = usize::try_from(ENTRIES).unwrap_or(usize::MAX);
    let next = (tasks.len() > room).then(|| (offset.max(0) + ENTRIES).to_string());
    tasks.truncate(room);
    let entries = tasks.iter().map(|Titled { id, title }| Entry {
        uri: format!("{TODOS}/{id}"),
        name: format!("todo-{id}"),
        title: Some(quoted(title)),
        mime_type: Some(super::JSON.to_owned()),
    });
    Ok(Page { entries: entries.collect(), next })
}

/// A title for a list, plainly as what somebody typed.
fn quoted(title: &str) -> String {
    let line: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TITLE).collect();
    let more = if title.chars().nth(TITLE).is_some() { "…" } else { "" };
    format!("“{line}{more}”")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_title_is_one_short_line_in_quotes() {
        assert_eq!(quoted("buy\nmilk"), "“buy milk”");
        assert_eq!(quoted(&"ä".repeat(61)), format!("“{}…”", "ä".repeat(60)));
    }
}
