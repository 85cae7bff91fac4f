//! INSERT, UPDATE and DELETE, wherever they stand.

use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, DoUpdate, Expr, FromTable, Insert, OnConflict,
    OnConflictAction, OnInsert, Query, SetExpr, Statement, TableObject, Update, UpdateTableFromKind,
};

use super::super::{Denied, Dialect, absent};
use super::{Walk, Writes};

impl Walk<'_> {
    pub(super) fn write(&mut self, statement: &mut Statement) -> Result<(), Denied> {
        self.writes = true;
        self.deeper(|walk| match statement {
            Statement::Insert(insert) => walk.insert(insert),
            Statement::Update(update) => walk.update(update),
            Statement::Delete(delete) => walk.delete(delete),
            _ => Denied::because("only INSERT, UPDATE and DELETE may write"),
        })
    }

    fn insert(&mut self, insert: &mut Insert) -> Result<(), Denied> {
        let Insert {
            insert_token: _,
            optimizer_hints,
            or,
            ignore,
            into,
            table,
            table_alias,
            columns,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns,
            has_table_keyword,
            on,
            returning,
            output,
            replace_into,
            priority,
            insert_alias,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        absent(or.is_none() && !*replace_into && !*ignore && !*overwrite, "INSERT OR or REPLACE")?;
        absent(*into && !*has_table_keyword, "INSERT without INTO")?;
        absent(optimizer_hints.is_empty() && priority.is_none(), "a hint")?;
        absent(assignments.is_empty(), "INSERT ... SET")?;
        absent(partitioned.is_none() && after_columns.is_empty(), "PARTITION")?;
        absent(output.is_none(), "OUTPUT")?;
        absent(insert_alias.is_none(), "an alias after VALUES")?;
        absent(settings.is_none() && format_clause.is_none(), "SETTINGS or FORMAT")?;
        absent(multi_table_insert_type.is_none() && multi_table_into_clauses.is_empty(), "INSERT ALL")?;
        absent(multi_table_when_clauses.is_empty() && multi_table_else_clause.is_none(), "INSERT ALL")?;
        let TableObject::TableName(name) = table else {
            return Denied::because("only a table may be inserted into");
        };
        self.table(name)?;
        if let Some(alias) = table_alias {
            alias.explicit = true;
            self.name(&mut alias.alias)?;
        }
        columns.iter_mut().try_for_each(|name| self.column(name))?;
        source.iter_mut().try_for_each(|source| self.source(source))?;
        on.iter_mut().try_for_each(|on| self.on_insert(on))?;
        returning.iter_mut().try_for_each(|items| self.select_items(items))
    }

    /// What is inserted. `DEFAULT` reads as a column name here, which must not
    /// be quoted, so it is put aside for the walk.
    fn source(&mut self, source: &mut Query) -> Result<(), Denied> {
        let defaults = match (self.dialect(), source.body.as_mut()) {
            (Dialect::Postgres, SetExpr::Values(values)) => {
                values.rows.iter_mut().flat_map(|row| &mut row.content).map(take_default).collect()
            }
            _ => Vec::new(),
        };
        self.query(source, Writes::Refused)?;
        if let SetExpr::Values(values) = source.body.as_mut() {
            let exprs = values.rows.iter_mut().flat_map(|row| &mut row.content);
            exprs.zip(defaults).for_each(|(expr, default)| put_back(expr, default));
        }
        Ok(())
    }

    fn on_insert(&mut self, on: &mut OnInsert) -> Result<(), Denied> {
        let OnInsert::OnConflict(OnConflict { conflict_target, action }) = on else {
            return Denied::because("ON DUPLICATE KEY is not allowed");
        };
        match conflict_target {
            Some(ConflictTarget::Columns(columns)) => self.names(columns)?,
            Some(ConflictTarget::OnConstraint(name)) => self.column(name)?,
            None => {}
        }
        match action {
            OnConflictAction::DoNothing => Ok(()),
            OnConflictAction::DoUpdate(DoUpdate { assignments, selection }) => {
                self.assignments(assignments)?;
                self.optional(selection)
            }
        }
    }

    fn update(&mut self, update: &mut Update) -> Result<(), Denied> {
        let Update {
            update_token: _,
            optimizer_hints,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
        } = update;
        absent(or.is_none(), "UPDATE OR")?;
        absent(optimizer_hints.is_empty(), "a hint")?;
        absent(output.is_none(), "OUTPUT")?;
        absent(order_by.is_empty() && limit.is_none(), "ORDER BY or LIMIT in UPDATE")?;
        self.target(table)?;
        self.assignments(assignments)?;
        match from {
            Some(UpdateTableFromKind::AfterSet(tables)) => self.from(tables)?,
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Denied::because("FROM before SET is not allowed");
            }
            None => {}
        }
        self.optional(selection)?;
        returning.iter_mut().try_for_each(|items| self.select_items(items))
    }

    fn delete(&mut self, delete: &mut Delete) -> Result<(), Denied> {
        let Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        absent(optimizer_hints.is_empty(), "a hint")?;
        absent(output.is_none(), "OUTPUT")?;
        absent(order_by.is_empty() && limit.is_none(), "ORDER BY or LIMIT in DELETE")?;
        let (FromTable::WithFromKeyword(targets), true) = (from, tables.is_empty()) else {
            return Denied::because("DELETE takes one table, after FROM");
        };
        let [target] = targets.as_mut_slice() else {
            return Denied::because("DELETE takes one table, after FROM");
        };
        self.target(target)?;
        using.iter_mut().try_for_each(|tables| self.from(tables))?;
        self.optional(selection)?;
        returning.iter_mut().try_for_each(|items| self.select_items(items))
    }

    fn assignments(&mut self, assignments: &mut [Assignment]) -> Result<(), Denied> {
        assignments.iter_mut().try_for_each(|Assignment { target, value }| {
            match target {
                AssignmentTarget::ColumnName(name) => self.column(name)?,
                AssignmentTarget::Tuple(names) => names.iter_mut().try_for_each(|name| self.column(name))?,
            }
            let default = match self.dialect() {
                Dialect::Postgres => take_default(value),
                Dialect::Sqlite => None,
            };
            self.expr(value)?;
            put_back(value, default);
            Ok(())
        })
    }
}

/// Takes an expression that is the bare word `DEFAULT`, leaving NULL.
fn take_default(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default") => {
            let null = Expr::Value(sqlparser::ast::Value::Null.into());
            Some(std::mem::replace(expr, null))
        }
        _ => None,
    }
}

fn put_back(expr: &mut Expr, default: Option<Expr>) {
    if let Some(default) = default {
        *expr = default;
    }
}
