//! What commands print: data to standard output, plain and greppable.

use std::fmt::Arguments;
use std::io::Write;

use crate::config::Location;
use crate::registry::{Declaration, Difference, Inspection, Manifest, hash};

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

/// What `innkeeper dev` prints when it begins to serve.
pub(super) fn at_work(token: &str) {
    line(format_args!("\nA token for the user `alice`, valid for a day:\n\n  {token}\n"));
}

/// What `inspect` prints.
pub(super) fn inspection(source: &Location, inspection: &Inspection) {
    line(format_args!("{source}"));
    if let Some(manifest) = &inspection.manifest_digest {
        line(format_args!("manifest {manifest}"));
    }
    line(format_args!("sha256 {}", inspection.digest));
    line(format_args!("grants = {}", inspection.grants));
    section("imports", &inspection.imports);
    section("exports", &inspection.exports);
    match &inspection.declaration {
        Some(declaration) => declared(declaration),
        None => line(format_args!("\nstores nothing")),
    }
    if !inspection.manifest.is_empty() {
        offered(&inspection.manifest);
    }
}

/// What `inspect` prints of two versions: what the newer one asks for beyond the older
/// one, then what else is different.
pub(super) fn differences((older, before): (&Location, &Inspection), (newer, now): (&Location, &Inspection)) {
    line(format_args!("{older} sha256 {}", before.digest));
    line(format_args!("{newer} sha256 {}", now.digest));
    line(format_args!("grants = {}", now.grants));
    let (more, rest): (Vec<Difference>, Vec<Difference>) =
        now.asks.since(&before.asks).into_iter().partition(Difference::is_more);
    for (title, list) in [("asks for more", more), ("else", rest)] {
        line(format_args!("\n{title}{}", if list.is_empty() { ": nothing" } else { "" }));
        for difference in list {
            line(format_args!("  {difference}"));
            if !difference.text.is_empty() {
                line(format_args!("      {}", difference.text));
            }
        }
    }
}

/// What clients and models read, all of it: whoever approves a module approves this.
fn offered(manifest: &Manifest) {
    line(format_args!("\ncatalogue sha256 {}", hash(manifest)));
    let offered = manifest.describe();
    for (title, list) in [("tools", "tools"), ("prompts", "prompts"), ("templates of resources", "templates")] {
        let items = offered[list].as_array().map(Vec::as_slice).unwrap_or_default();
        if !items.is_empty() {
            line(format_args!("\n{title}"));
        }
        for item in items {
            line(format_args!("  {}", item["name"].as_str().unwrap_or_default()));
            let told =
                item.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && !is_nothing(value));
            for (key, value) in told {
                line(format_args!("    {key}: {value}"));
            }
        }
    }
    let prefixes = offered["prefixes"].as_array().map(Vec::as_slice).unwrap_or_default();
    section(
        "resources below",
        &prefixes.iter().filter_map(|prefix| prefix.as_str().map(str::to_owned)).collect::<Vec<_>>(),
    );
}

fn is_nothing(value: &serde_json::Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
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
