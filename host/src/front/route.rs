//! Which module answers a path. Pure.

use std::sync::Arc;

use crate::instance::Guest;
use crate::registry::Generation;

/// The module with the longest prefix of the path, and that prefix. A prefix ends
/// at a slash: `/notes` answers `/notes` and `/notes/1`, and not `/notebook`.
pub(super) fn find<'g>(generation: &'g Generation, path: &str) -> Option<&'g (String, Arc<Guest>)> {
    generation.routes.iter().find(|(prefix, _)| covers(prefix, path))
}

fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        for (prefix, path, expected) in [
            ("/", "/", true),
            ("/", "/anything/at/all", true),
            ("/notes", "/notes", true),
            ("/notes", "/notes/1", true),
            ("/notes", "/notebook", false),
            ("/notes", "/", false),
            // `OPTIONS *` belongs to no module.
            ("/", "*", false),
        ] {
            assert_eq!(covers(prefix, path), expected, "{prefix} {path}");
        }
    }
}
