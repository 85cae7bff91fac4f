//! Identifiers: folded, checked, and quoted so that no keyword is left in one.
//!
//! Unquoted names fold to lower case on both databases. Every print quotes
//! with `"` on Postgres and with a back-tick on SQLite, where a `"name"` that
//! is no column would silently become a string.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::text::shorten;
use super::{Denied, Dialect};

/// Postgres cuts longer names off, so that two of them may become one.
const LONGEST_NAME: usize = 63;

const POSTGRES_SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
const SQLITE_SYSTEM_COLUMNS: &[&str] = &["rowid", "oid", "_rowid_"];

/// Not for tables: catalogues live under the first two, the host's own rows
/// under the third.
const RESERVED_PREFIXES: &[&str] = &["pg_", "sqlite_", "innkeeper_"];

/// Checks a name of a column or an alias and rewrites it for printing.
pub(super) fn rewrite(ident: &mut Ident, dialect: Dialect) -> Result<(), Denied> {
    match (ident.quote_style, dialect) {
        // The parser takes the `ISNULL` of `x ISNULL` for an alias of `x`.
        (None, _) if ident.value.eq_ignore_ascii_case("isnull") => {
            return Denied::because("ISNULL is not allowed; write IS NULL");
        }
        (None, _) => ident.value.make_ascii_lowercase(),
        (Some('"'), _) | (Some('`' | '['), Dialect::Sqlite) => {}
        (Some(_), _) => return Denied::because(format!("{} is not a name", shown(ident))),
    }
    check_shape(ident)?;
    check_system(ident, dialect)?;
    ident.quote_style = Some(quote(dialect));
    Ok(())
}

/// Like [`rewrite`], for what a migration creates and for what shadows it:
/// lower case only, because SQLite compares names without regard to case.
pub(super) fn rewrite_strict(ident: &mut Ident, dialect: Dialect) -> Result<(), Denied> {
    rewrite(ident, dialect)?;
    if ident.value.bytes().any(|b| b.is_ascii_uppercase()) {
        return Denied::because(format!("name {} must be lower case", shown(ident)));
    }
    Ok(())
}

/// Like [`rewrite_strict`], for tables, indexes and names beside them.
pub(super) fn rewrite_relation(ident: &mut Ident, dialect: Dialect) -> Result<(), Denied> {
    rewrite_strict(ident, dialect)?;
    match RESERVED_PREFIXES.iter().find(|prefix| ident.value.starts_with(**prefix)) {
        Some(prefix) => Denied::because(format!("names starting with `{prefix}` are reserved")),
        None => Ok(()),
    }
}

/// The one identifier of a name that must not be qualified.
pub(super) fn single(name: &mut ObjectName) -> Result<&mut Ident, Denied> {
    let shown = shorten(&name.to_string());
    match name.0.as_mut_slice() {
        [ObjectNamePart::Identifier(ident)] => Ok(ident),
        _ => Denied::because(format!("name `{shown}` must not be qualified")),
    }
}

/// Puts the module's schema before a table or index name, where there are schemas.
pub(super) fn qualify(name: &mut ObjectName, dialect: Dialect, schema: &str) {
    if dialect == Dialect::Postgres {
        let schema = Ident { quote_style: Some('"'), ..Ident::new(schema) };
        name.0.insert(0, ObjectNamePart::Identifier(schema));
    }
}

fn check_shape(ident: &Ident) -> Result<(), Denied> {
    let mut bytes = ident.value.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let is_plain = starts_well && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_plain && ident.value.len() <= LONGEST_NAME {
        return Ok(());
    }
    Denied::because(format!("name {} is not plain ASCII of at most {LONGEST_NAME} characters", shown(ident)))
}

fn check_system(ident: &Ident, dialect: Dialect) -> Result<(), Denied> {
    let name = ident.value.to_ascii_lowercase();
    let is_system = match dialect {
        // `row.pg_typeof` is another spelling of the call `pg_typeof(row)`.
        Dialect::Postgres => name.starts_with("pg_") || POSTGRES_SYSTEM_COLUMNS.contains(&name.as_str()),
        Dialect::Sqlite => SQLITE_SYSTEM_COLUMNS.contains(&name.as_str()),
    };
    if is_system {
        return Denied::because(format!("system name {} is not allowed", shown(ident)));
    }
    Ok(())
}

fn quote(dialect: Dialect) -> char {
    match dialect {
        Dialect::Postgres => '"',
        Dialect::Sqlite => '`',
    }
}

fn shown(ident: &Ident) -> String {
    format!("`{}`", shorten(&ident.value))
}
