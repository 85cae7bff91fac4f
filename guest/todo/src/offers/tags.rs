//! Tags that the caller has used.

use std::collections::BTreeMap;

use innkeeper_guest::tools::{Context, Failure};
use serde::Deserialize;

use crate::tasks::listing::Listing;
use crate::tasks::store;

/// Tasks that are looked at, the newest: tags that have not been used since are of
/// no use now.
const TASKS: i64 = 500;

/// Tags that begin so, the most used first.
pub(super) fn begun(context: &Context, begun: &str) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Tagged<'a> {
        tags: &'a str,
    }
    let rows = store::list(context.owner()?, &Listing::newest(TASKS, 0))?;
    let lists = rows.all::<Tagged>()?;
    Ok(ranked(lists.iter().map(|row| row.tags), begun))
}

fn ranked<'a>(lists: impl Iterator<Item = &'a str>, begun: &str) -> Vec<String> {
    let begun = begun.to_lowercase();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let tags = lists.flat_map(|list| serde_json::from_str::<Vec<String>>(list).unwrap_or_default());
    for tag in tags.filter(|tag| tag.to_lowercase().starts_with(&begun)) {
        *counts.entry(tag).or_default() += 1;
    }
    let mut ranked: Vec<(String, usize)> = counts.into_iter().collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    ranked.into_iter().map(|(tag, _)| tag).collect()
}

#[cfg(test)]
mod tests {
    use super::ranked;

    #[test]
    fn tags_that_begin_so_come_by_how_often_they_are_used() {
        let lists = [r#"["work","home"]"#, r#"["Work trip","home"]"#, r#"["work"]"#, "[]"];
        assert_eq!(ranked(lists.into_iter(), "wo"), ["work", "Work trip"]);
        assert_eq!(ranked(lists.into_iter(), ""), ["home", "work", "Work trip"]);
        assert!(ranked(lists.into_iter(), "x").is_empty());
    }
}
