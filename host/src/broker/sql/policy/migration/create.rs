//! CREATE TABLE and CREATE INDEX.

use sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use sqlparser::ast::{CreateIndex, CreateTable, IndexColumn, IndexType, OrderByExpr, OrderByOptions};

use super::super::{Denied, Dialect, absent, names, walk};
use super::Migration;

impl Migration<'_> {
    pub(super) fn create_table(&mut self, create: &mut CreateTable) -> Result<(), Denied> {
        check_is_plain(create)?;
        absent(!create.columns.is_empty(), "a table without columns")?;
        let name = self.new_name(names::single(&mut create.name)?)?;
        if self.tables.contains(&name) && !create.if_not_exists {
            return Denied::because(format!("`{name}` exists already"));
        }
        self.tables.0.entry(name).or_default();
        names::qualify(&mut create.name, self.dialect, self.schema);
        create.columns.iter_mut().try_for_each(|column| self.column(column))?;
        create.constraints.iter_mut().try_for_each(|constraint| self.constraint(constraint))
    }

    pub(super) fn create_index(&mut self, create: &mut CreateIndex) -> Result<(), Denied> {
        let CreateIndex {
            name,
            table_name,
            using,
            columns,
            unique: _,
            concurrently,
            r#async,
            if_not_exists: _,
            include,
            nulls_distinct,
            with,
            predicate,
            index_options,
            alter_options,
        } = create;
        absent(!*concurrently && !*r#async, "CONCURRENTLY")?;
        absent(include.is_empty(), "INCLUDE")?;
        absent(nulls_distinct.is_none(), "NULLS DISTINCT")?;
        absent(with.is_empty() && index_options.is_empty() && alter_options.is_empty(), "an index option")?;
        self.method(using.as_ref())?;
        let Some(name) = name else {
            return Denied::because("an index needs a name");
        };
        let table = self.own_table(table_name)?;
        self.index_columns(columns)?;
        predicate.iter_mut().try_for_each(|predicate| self.expression(predicate))?;
        let name = self.new_name(names::single(name)?)?;
        // Whether it exists is left to the database: dropping a column drops
        // indexes too, which is not followed here.
        self.tables.0.entry(table).or_default().insert(name);
        Ok(())
    }

    fn method(&self, using: Option<&IndexType>) -> Result<(), Denied> {
        match (using, self.dialect) {
            (None, _) | (Some(IndexType::BTree | IndexType::GIN), Dialect::Postgres) => Ok(()),
            (Some(_), _) => Denied::because("this kind of index is not allowed"),
        }
    }

    pub(super) fn index_columns(&self, columns: &mut [IndexColumn]) -> Result<(), Denied> {
        columns.iter_mut().try_for_each(|IndexColumn { column, operator_class }| {
            absent(operator_class.is_none(), "an operator class")?;
            let OrderByExpr { expr, options: OrderByOptions { sort: _, nulls_first: _ }, with_fill } = column;
            absent(with_fill.is_none(), "WITH FILL")?;
            self.expression(expr)
        })
    }

    pub(super) fn expression(&self, expr: &mut sqlparser::ast::Expr) -> Result<(), Denied> {
        walk::expression(expr, &self.scope())
    }
}

/// Builds the table again from what is allowed: whatever else the parser knows
/// or will know (temporary, AS, LIKE, INHERITS, PARTITION, WITH...) differs.
fn check_is_plain(create: &CreateTable) -> Result<(), Denied> {
    let plain = CreateTableBuilder::new(create.name.clone())
        .if_not_exists(create.if_not_exists)
        .columns(create.columns.clone())
        .constraints(create.constraints.clone())
        .without_rowid(create.without_rowid)
        .strict(create.strict)
        .build();
    absent(plain == *create, "an option of CREATE TABLE beyond columns and constraints")
}
