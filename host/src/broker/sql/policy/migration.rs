//! The gate for migrations: table definitions and plain writes, nothing else.
//!
//! A migration runs as the owner of the module's schema, without row-level
//! security, so its names are held to what the module itself created: it is
//! replayed on [`Tables`], and a statement on any other table is refused.

use sqlparser::ast::Statement;

use super::{Denied, Dialect, Scope, Tables, text, walk};

mod alter;
mod column;
mod create;
mod drop;

const LONGEST_MIGRATION: usize = 64 * 1024;
const MOST_STATEMENTS: usize = 200;
const VERBS: &[&str] = &["CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE"];

/// Proof that a migration passed the gate. Only [`vet_migration`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VettedMigration(Vec<String>);

impl VettedMigration {
    /// The statements to run, in order, each printed from its syntax tree.
    pub fn statements(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Decides whether a migration may run, and leaves `tables` as it leaves them.
///
/// Changes nothing in `tables` when it refuses.
pub fn vet_migration(
    text: &str,
    dialect: Dialect,
    schema: &str,
    tables: &mut Tables,
) -> Result<VettedMigration, Denied> {
    let texts = text::split(text, dialect, LONGEST_MIGRATION)?;
    if texts.len() > MOST_STATEMENTS {
        return Denied::because(format!("a migration may have at most {MOST_STATEMENTS} statements"));
    }
    let mut migration = Migration { dialect, schema, tables: tables.clone() };
    let statements = texts.into_iter().map(|tokens| migration.statement(tokens));
    let vetted = VettedMigration(statements.collect::<Result<_, _>>()?);
    *tables = migration.tables;
    Ok(vetted)
}

struct Migration<'a> {
    dialect: Dialect,
    schema: &'a str,
    tables: Tables,
}

impl Migration<'_> {
    fn statement(&mut self, tokens: text::Tokens) -> Result<String, Denied> {
        text::check_verb(&tokens, VERBS)?;
        let mut statement = text::parse(tokens.clone(), self.dialect)?;
        match &mut statement {
            Statement::CreateTable(create) => self.create_table(create)?,
            Statement::CreateIndex(create) => self.create_index(create)?,
            Statement::AlterTable(alter) => self.alter_table(alter)?,
            Statement::Drop { .. } => self.drop(&mut statement)?,
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                walk::statement(&mut statement, &self.scope(), 0).map(|_| ())?;
            }
            _ => {
                return Denied::because("only tables and indexes may be created, altered or dropped");
            }
        }
        text::print(&statement, &tokens, self.dialect)
    }

    fn scope(&self) -> Scope<'_> {
        Scope { dialect: self.dialect, schema: self.schema, tables: &self.tables }
    }
}
