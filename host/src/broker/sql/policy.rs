//! The statement gate: decides which SQL texts of a guest reach a database.
//!
//! Everything is refused that is not listed, and what passes is sent as the
//! print of its syntax tree, never as the guest's bytes: a difference between
//! our parser and the database's then cannot smuggle anything past the walk.
//! Pure and bounded: no IO, no panic on any input, 16 KiB and 2,000 tokens at
//! most. Row ownership and run time are not decided here but by the database.

use std::collections::{BTreeMap, BTreeSet};

mod lists;
mod loss;
mod migration;
mod names;
#[cfg(test)]
mod tests;
mod text;
mod walk;

pub use migration::{VettedMigration, vet_migration};

/// A longer text is a guest that builds its statements instead of binding
/// parameters; a shorter limit would refuse long reports.
const LONGEST_STATEMENT: usize = 16 * 1024;

/// What a statement may open with. Checked before parsing, so that the parser
/// code of every other statement is never reached by a guest.
const VERBS: &[&str] = &["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "("];

/// The SQL a text is written in and printed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// PostgreSQL 15 and later.
    Postgres,
    /// SQLite 3.40 and later.
    Sqlite,
}

/// The tables a module owns, as its migrations leave them, with their indexes.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct Tables(BTreeMap<String, BTreeSet<String>>);

impl Tables {
    /// Whether the module owns a table of exactly this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of all tables, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// What a statement may name.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The database the statement is for.
    pub dialect: Dialect,
    /// The module's schema in Postgres, a plain name chosen by the host; unused
    /// on SQLite.
    pub schema: &'a str,
    /// The module's tables.
    pub tables: &'a Tables,
}

/// Proof that a statement passed the gate. Only [`vet`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vetted {
    sql: String,
    writes: bool,
    parameters: usize,
}

impl Vetted {
    /// The statement to send: printed from the syntax tree.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Whether it changes rows, at any level of the statement.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// How many parameters must be bound, from `$1` to `$n` without a gap.
    pub fn parameters(&self) -> usize {
        self.parameters
    }
}

/// Why a text was refused, in one sentence for the operator.
///
/// It quotes parts of the text, so it is not for strangers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Denied(String);

impl Denied {
    fn because<T>(reason: impl Into<String>) -> Result<T, Denied> {
        Err(Denied(reason.into()))
    }
}

/// Refuses `reason` where a part of the tree is present that must be absent.
fn absent(is_absent: bool, reason: &str) -> Result<(), Denied> {
    if is_absent { Ok(()) } else { Denied::because(format!("{reason} is not allowed")) }
}

/// Decides whether one statement may run, and prints it as it shall be sent.
///
/// Guests write `$1`, `$2`... and bare table names; the print carries the
/// module's schema on Postgres and `?1`, `?2`... on SQLite.
pub fn vet(text: &str, scope: &Scope<'_>) -> Result<Vetted, Denied> {
    let mut texts = text::split(text, scope.dialect, LONGEST_STATEMENT)?;
    let (Some(tokens), true) = (texts.pop(), texts.is_empty()) else {
        return Denied::because("the text must hold exactly one statement");
    };
    text::check_verb(&tokens, VERBS)?;
    let mut statement = text::parse(tokens.clone(), scope.dialect)?;
    let found = walk::statement(&mut statement, scope, walk::MOST_PARAMETERS)?;
    let sql = text::print(&statement, &tokens, scope.dialect)?;
    Ok(Vetted { sql, writes: found.writes, parameters: found.parameters })
}
