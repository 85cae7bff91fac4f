//! Columns and constraints, in CREATE TABLE and ALTER TABLE.

use sqlparser::ast::{
    CheckConstraint, ColumnDef, ColumnOption, ColumnOptionDef, ForeignKeyConstraint, GeneratedAs, Ident,
    KeyOrIndexDisplay, NullsDistinctOption, ObjectName, PrimaryKeyConstraint, TableConstraint, UniqueConstraint,
};
use sqlparser::tokenizer::Token;

use super::super::text::shorten;
use super::super::walk::value::check_type;
use super::super::{Denied, Dialect, absent, names};
use super::Migration;

impl Migration<'_> {
    pub(super) fn column(&self, column: &mut ColumnDef) -> Result<(), Denied> {
        let ColumnDef { name, data_type, options } = column;
        self.strict(name)?;
        check_type(data_type, self.dialect)?;
        options.iter_mut().try_for_each(|ColumnOptionDef { name, option }| {
            self.optional_name(name)?;
            self.option(option)
        })
    }

    fn option(&self, option: &mut ColumnOption) -> Result<(), Denied> {
        match option {
            ColumnOption::Null | ColumnOption::NotNull => Ok(()),
            ColumnOption::Default(expr) => self.expression(expr),
            ColumnOption::PrimaryKey(key) => self.primary_key(key),
            ColumnOption::Unique(key) => self.unique(key),
            ColumnOption::ForeignKey(key) => self.foreign_key(key),
            ColumnOption::Check(check) => self.check(check),
            ColumnOption::DialectSpecific(tokens) => self.autoincrement(tokens),
            ColumnOption::Generated {
                generated_as: GeneratedAs::Always | GeneratedAs::ByDefault,
                sequence_options,
                generation_expr: None,
                generation_expr_mode: None,
                generated_keyword: true,
            } if sequence_options.iter().all(Vec::is_empty) => self.identity(),
            other => Denied::because(format!("column option `{}` is not allowed", shorten(&other.to_string()))),
        }
    }

    fn identity(&self) -> Result<(), Denied> {
        absent(self.dialect == Dialect::Postgres, "GENERATED AS IDENTITY on SQLite")
    }

    fn autoincrement(&self, tokens: &[Token]) -> Result<(), Denied> {
        let is_autoincrement =
            matches!(tokens, [Token::Word(word)] if word.value.eq_ignore_ascii_case("AUTOINCREMENT"));
        absent(is_autoincrement && self.dialect == Dialect::Sqlite, "this column option")
    }

    pub(super) fn constraint(&self, constraint: &mut TableConstraint) -> Result<(), Denied> {
        match constraint {
            TableConstraint::PrimaryKey(key) => self.primary_key(key),
            TableConstraint::Unique(key) => self.unique(key),
            TableConstraint::ForeignKey(key) => self.foreign_key(key),
            TableConstraint::Check(check) => self.check(check),
            _ => Denied::because("only PRIMARY KEY, UNIQUE, FOREIGN KEY and CHECK constraints are allowed"),
        }
    }

    fn primary_key(&self, key: &mut PrimaryKeyConstraint) -> Result<(), Denied> {
        let PrimaryKeyConstraint { name, index_name, index_type, columns, include, index_options, characteristics } =
            key;
        absent(index_name.is_none() && index_type.is_none() && index_options.is_empty(), "an index option")?;
        absent(include.is_empty(), "INCLUDE")?;
        absent(characteristics.is_none(), "DEFERRABLE")?;
        self.optional_name(name)?;
        self.index_columns(columns)
    }

    fn unique(&self, key: &mut UniqueConstraint) -> Result<(), Denied> {
        let UniqueConstraint {
            name,
            index_name,
            index_type_display,
            index_type,
            columns,
            include,
            index_options,
            characteristics,
            nulls_distinct,
        } = key;
        absent(index_name.is_none() && index_type.is_none() && index_options.is_empty(), "an index option")?;
        absent(*index_type_display == KeyOrIndexDisplay::None, "UNIQUE KEY")?;
        absent(include.is_empty(), "INCLUDE")?;
        absent(characteristics.is_none(), "DEFERRABLE")?;
        absent(*nulls_distinct == NullsDistinctOption::None, "NULLS DISTINCT")?;
        self.optional_name(name)?;
        self.index_columns(columns)
    }

    fn foreign_key(&self, key: &mut ForeignKeyConstraint) -> Result<(), Denied> {
        let ForeignKeyConstraint {
            name,
            index_name,
            columns,
            foreign_table,
            referred_columns,
            on_delete: _,
            on_update: _,
            match_kind,
            characteristics,
        } = key;
        absent(index_name.is_none() && match_kind.is_none(), "MATCH")?;
        absent(characteristics.is_none(), "DEFERRABLE")?;
        self.optional_name(name)?;
        self.own_table(foreign_table)?;
        columns.iter_mut().chain(referred_columns).try_for_each(|column| self.strict(column))
    }

    fn check(&self, check: &mut CheckConstraint) -> Result<(), Denied> {
        let CheckConstraint { name, expr, no_inherit, enforced } = check;
        absent(!*no_inherit && enforced.is_none(), "an option after CHECK")?;
        self.optional_name(name)?;
        self.expression(expr)
    }

    pub(super) fn optional_name(&self, name: &mut Option<Ident>) -> Result<(), Denied> {
        name.iter_mut().try_for_each(|name| self.strict(name))
    }

    pub(super) fn strict(&self, name: &mut Ident) -> Result<(), Denied> {
        names::rewrite_strict(name, self.dialect)
    }

    /// The name of a table or index to be.
    pub(super) fn new_name(&self, name: &mut Ident) -> Result<String, Denied> {
        names::rewrite_relation(name, self.dialect)?;
        Ok(name.value.clone())
    }

    /// One of the module's tables: checked, given its schema, and named.
    pub(super) fn own_table(&self, name: &mut ObjectName) -> Result<String, Denied> {
        let table = self.new_name(names::single(name)?)?;
        if !self.tables.contains(&table) {
            return Denied::because(format!("`{table}` is not a table of this module"));
        }
        names::qualify(name, self.dialect, self.schema);
        Ok(table)
    }
}
