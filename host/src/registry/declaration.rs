//! A module's declaration: vetted as a whole before anything of it is used.

use crate::bindings::schema::exports::innkeeper::backend::schema as wit;
use crate::broker::sql::migration::{Migration, checksum};
use crate::broker::sql::policy::{Dialect, Scope, Tables, vet, vet_migration};
use crate::broker::sql::{Schema, Statement};

/// Statements of one module; each costs a prepared statement per connection.
const STATEMENTS: usize = 256;
/// Migrations of one module.
const MIGRATIONS: usize = 1_000;

/// What a module declared, vetted.
pub struct Declaration {
    /// Its statements.
    pub statements: Vec<Statement>,
    /// What it stores.
    pub schema: Schema,
}

/// Vets a declaration for one database.
///
/// # Errors
/// The first thing that is not allowed, with its name and the reason.
pub(super) fn vet_all(declared: wit::Declaration, dialect: Dialect, schema: &str) -> Result<Declaration, String> {
    let wit::Declaration { statements, migrations, owned } = declared;
    if statements.len() > STATEMENTS || migrations.len() > MIGRATIONS {
        return Err(format!("declares more than {STATEMENTS} statements or {MIGRATIONS} migrations"));
    }
    let mut tables = Tables::default();
    let migrations = vet_migrations(migrations, dialect, schema, &mut tables)?;
    let scope = Scope { dialect, schema, tables: &tables };
    let statements = vet_statements(statements, &scope)?;
    for table in &owned {
        if !tables.contains(&table.table) {
            return Err(format!("declares `{}` as owned, and no migration makes a table of that name", table.table));
        }
    }
    let owned = owned.into_iter().map(|table| (table.table, table.owner_column)).collect();
    Ok(Declaration { statements, schema: Schema { name: schema.to_owned(), dialect, migrations, tables, owned } })
}

fn vet_migrations(
    declared: Vec<wit::Migration>,
    dialect: Dialect,
    schema: &str,
    tables: &mut Tables,
) -> Result<Vec<Migration>, String> {
    let mut migrations = Vec::with_capacity(declared.len());
    for (expected, wit::Migration { version, name, postgres, sqlite }) in (1..).zip(declared) {
        if version != expected {
            return Err(format!(
                "migration {version} stands where {expected} should: number them 1, 2, 3 without a gap"
            ));
        }
        let text = match dialect {
            Dialect::Postgres => postgres,
            Dialect::Sqlite => sqlite,
        };
        let vetted = vet_migration(&text, dialect, schema, tables)
            .map_err(|denied| format!("migration {version} `{}` is refused: {denied}", printable(&name)))?;
        migrations.push(Migration { version, checksum: checksum(&text), name: printable(&name), vetted });
    }
    Ok(migrations)
}

/// Every statement that is refused, told at once.
fn vet_statements(declared: Vec<wit::Statement>, scope: &Scope<'_>) -> Result<Vec<Statement>, String> {
    let mut statements: Vec<Statement> = Vec::with_capacity(declared.len());
    let mut refused = Vec::new();
    for declared in declared {
        match vet_statement(declared, scope) {
            Ok(statement) if statements.iter().any(|other| other.name == statement.name) => {
                refused.push(format!("statement `{}` is declared twice", statement.name));
            }
            Ok(statement) => statements.push(statement),
            Err(why) => refused.push(why),
        }
    }
    if refused.is_empty() { Ok(statements) } else { Err(refused.join("; ")) }
}

fn vet_statement(declared: wit::Statement, scope: &Scope<'_>) -> Result<Statement, String> {
    let wit::Statement { name, text, postgres, sqlite } = declared;
    if !valid_name(&name) {
        return Err(format!("statement `{}`: a name is [a-z0-9-], at most 64 characters", printable(&name)));
    }
    let text = match scope.dialect {
        Dialect::Postgres => postgres.unwrap_or(text),
        Dialect::Sqlite => sqlite.unwrap_or(text),
    };
    let vetted = vet(&text, scope).map_err(|denied| format!("statement `{name}` is refused: {denied}"))?;
    Ok(Statement::new(&name, vetted))
}

fn valid_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A guest's words on their way to a terminal.
fn printable(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
