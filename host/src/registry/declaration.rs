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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a hostile module runs as a text that it has written; here it declares it.
    const ATTACKS: &str = include_str!("../../../tests/it/isolation/attacks.txt");
    /// Classes of attacks on more than rows.
    const CLASSES: [&str; 7] = [
        "transaction control",
        "session settings",
        "roles and grants",
        "definitions",
        "prepared statements, cursors, channels, copies",
        "locks",
        "forbidden functions",
    ];
    const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];
    /// Steps of attacks that are what every module does, and where they are: by
    /// themselves they meet the caller's own rows.
    const HARMLESS: [(&str, &[Dialect]); 9] = [
        ("SELECT owner, body FROM secrets", &BOTH),
        ("SELECT owner, body FROM secrets WHERE owner = 'alice'", &BOTH),
        ("SELECT owner FROM secrets WHERE owner <> 'mallory'", &BOTH),
        ("SELECT body FROM secrets", &BOTH),
        ("SELECT body FROM secrets WHERE owner = NULL", &BOTH),
        ("SELECT count(*) FROM secrets", &BOTH),
        ("INSERT INTO secrets (owner, body) VALUES ('alice', 'forged')", &BOTH),
        ("SELECT row_to_json(secrets), secrets::text FROM secrets", &[Dialect::Postgres]),
        // There are no users on SQLite: these are columns, which no table has.
        ("SELECT current_user, session_user, current_role, user", &[Dialect::Sqlite]),
    ];

    /// The texts of those classes.
    fn attacks() -> Vec<&'static str> {
        let (mut classes, mut is_one, mut texts) = (0, false, Vec::new());
        for line in ATTACKS.lines() {
            if let Some(class) = line.strip_prefix("## ") {
                is_one = CLASSES.contains(&class);
                classes += usize::from(is_one);
            } else if is_one && !line.is_empty() && !line.starts_with("# ") && !line.starts_with("//") {
                texts.push(line);
            }
        }
        assert_eq!(classes, CLASSES.len(), "a class has another name by now");
        texts
    }

    /// Why a statement is refused: a text, and what replaces it on Postgres and on SQLite.
    fn refused(dialect: Dialect, text: &str, overrides: [Option<&str>; 2]) -> Option<String> {
        let tables = "CREATE TABLE secrets (owner text NOT NULL, body text NOT NULL); CREATE TABLE board (note text)";
        let [postgres, sqlite] = overrides.map(|text| text.map(str::to_owned));
        let statement = wit::Statement { name: "attack".to_owned(), text: text.to_owned(), postgres, sqlite };
        let migration = wit::Migration {
            version: 1,
            name: "make the tables".to_owned(),
            postgres: tables.to_owned(),
            sqlite: tables.to_owned(),
        };
        let declared = wit::Declaration { statements: vec![statement], migrations: vec![migration], owned: Vec::new() };
        vet_all(declared, dialect, "hostile").err()
    }

    #[test]
    fn no_attack_is_taken_for_a_statement_or_for_the_text_of_one_database() {
        let attacks = attacks();
        assert!(attacks.len() > 250, "{} attacks", attacks.len());
        for text in &attacks {
            for dialect in BOTH {
                let is_harmless = HARMLESS.iter().any(|(harmless, on)| harmless == text && on.contains(&dialect));
                let [on_postgres, on_sqlite] =
                    [[Some(*text), None], [None, Some(*text)]].map(|texts| refused(dialect, "SELECT 1", texts));
                let (its_own, the_others) = match dialect {
                    Dialect::Postgres => (on_postgres, on_sqlite),
                    Dialect::Sqlite => (on_sqlite, on_postgres),
                };
                assert_eq!(the_others, None, "{text} is never sent to {dialect:?}");
                for why in [refused(dialect, text, [None, None]), its_own] {
                    let sentence = "statement `attack` is refused: ";
                    let is_refused = why.as_ref().is_some_and(|why| why.starts_with(sentence));
                    assert_eq!(is_refused, !is_harmless, "{text} on {dialect:?}: {why:?}");
                }
            }
        }
        for (text, _) in HARMLESS {
            assert!(attacks.contains(&text), "no attack has the step {text}");
        }
    }
}
