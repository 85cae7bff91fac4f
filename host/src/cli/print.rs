//! What commands print: data to standard output, plain and greppable.

use std::fmt::Arguments;
use std::io::Write;
use std::path::Path;

use crate::registry::{Declaration, Inspection};

/// One line of output. A reader that has left (`| head`) is no failure.
pub(super) fn line(text: Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What development mode prints at start: a token, and lines to paste.
pub(super) fn welcome(port: u16, token: &str) {
    line(format_args!("\nDevelopment mode. A token for the user `alice`, valid for a day:\n\n  {token}\n"));
    line(format_args!("Add a todo and list it:\n"));
    line(format_args!("  TOKEN={token}"));
    line(format_args!(
        "  curl -s -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{{\"title\":\"Buy milk\"}}' \
         http://localhost:{port}/api/alice/tasks && curl -s -H \"Authorization: Bearer $TOKEN\" http://localhost:{port}/api/alice/tasks\n"
    ));
}

/// What `inspect` prints.
pub(super) fn inspection(file: &Path, inspection: &Inspection) {
    line(format_args!("{}", file.display()));
    line(format_args!("sha256 {}", inspection.digest));
    section("imports", &inspection.imports);
    section("exports", &inspection.exports);
    match &inspection.declaration {
        Some(declaration) => declared(declaration),
        None => line(format_args!("\nstores nothing")),
    }
}

fn section(title: &str, items: &[String]) {
    line(format_args!("\n{title}"));
    for item in items {
        line(format_args!("  {item}"));
    }
}

fn declared(declaration: &Declaration) {
    let tables: Vec<String> = declaration.schema.tables.iter().map(|table| owned(declaration, table)).collect();
    section("tables", &tables);
    line(format_args!("\nmigrations"));
    for migration in &declaration.schema.migrations {
        line(format_args!("  {} {}", migration.version, migration.name));
    }
    line(format_args!("\nstatements, as they are sent"));
    for statement in &declaration.statements {
        let kind = if statement.vetted.writes() { "writes" } else { "reads" };
        line(format_args!("  {} ({kind})\n    {}", statement.name, statement.text));
    }
}

fn owned(declaration: &Declaration, table: &str) -> String {
    match declaration.schema.owned.iter().find(|(name, _)| name == table) {
        Some((_, owner)) => format!("{table} (rows belong to the caller in `{owner}`)"),
        None => table.to_owned(),
    }
}
