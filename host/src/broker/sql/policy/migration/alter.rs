//! ALTER TABLE.

use sqlparser::ast::{AlterColumnOperation, AlterTable, AlterTableOperation as Operation, RenameTableNameKind};

use super::super::walk::value::check_type;
use super::super::{Denied, Dialect, absent, names};
use super::Migration;

impl Migration<'_> {
    pub(super) fn alter_table(&mut self, alter: &mut AlterTable) -> Result<(), Denied> {
        let AlterTable { name, if_exists, only, operations, location, on_cluster, table_type, end_token: _ } = alter;
        absent(!*if_exists && !*only, "IF EXISTS or ONLY")?;
        absent(location.is_none() && on_cluster.is_none() && table_type.is_none(), "an option of ALTER TABLE")?;
        let table = self.own_table(name)?;
        if let [Operation::RenameTable { table_name }] = operations.as_mut_slice() {
            return self.rename_table(&table, table_name);
        }
        absent(operations.len() == 1 || self.dialect == Dialect::Postgres, "more than one change at a time")?;
        operations.iter_mut().try_for_each(|operation| self.operation(operation))
    }

    fn rename_table(&mut self, old: &str, new: &mut RenameTableNameKind) -> Result<(), Denied> {
        let RenameTableNameKind::To(new) = new else {
            return Denied::because("RENAME AS is not allowed; write RENAME TO");
        };
        let new = self.new_name(names::single(new)?)?;
        if self.tables.contains(&new) {
            return Denied::because(format!("`{new}` exists already"));
        }
        let indexes = self.tables.0.remove(old).unwrap_or_default();
        self.tables.0.insert(new, indexes);
        Ok(())
    }

    fn operation(&self, operation: &mut Operation) -> Result<(), Denied> {
        match operation {
            Operation::AddColumn { column_keyword: _, if_not_exists, column_def, column_position } => {
                absent(!*if_not_exists || self.dialect == Dialect::Postgres, "IF NOT EXISTS")?;
                absent(column_position.is_none(), "FIRST or AFTER")?;
                self.column(column_def)
            }
            Operation::DropColumn { has_column_keyword: _, column_names, if_exists, drop_behavior } => {
                absent(!*if_exists && drop_behavior.is_none(), "IF EXISTS or CASCADE")?;
                column_names.iter_mut().try_for_each(|name| self.strict(name))
            }
            Operation::RenameColumn { old_column_name, new_column_name } => {
                self.strict(old_column_name)?;
                self.strict(new_column_name)
            }
            other => {
                absent(self.dialect == Dialect::Postgres, "this change of a table")?;
                self.postgres_operation(other)
            }
        }
    }

    fn postgres_operation(&self, operation: &mut Operation) -> Result<(), Denied> {
        match operation {
            Operation::AddConstraint { constraint, not_valid } => {
                absent(!*not_valid, "NOT VALID")?;
                self.constraint(constraint)
            }
            Operation::DropConstraint { if_exists, name, drop_behavior } => {
                absent(!*if_exists && drop_behavior.is_none(), "IF EXISTS or CASCADE")?;
                self.strict(name)
            }
            Operation::AlterColumn { column_name, op } => {
                self.strict(column_name)?;
                self.alter_column(op)
            }
            _ => Denied::because("this change of a table is not allowed"),
        }
    }

    fn alter_column(&self, op: &mut AlterColumnOperation) -> Result<(), Denied> {
        match op {
            AlterColumnOperation::SetNotNull
            | AlterColumnOperation::DropNotNull
            | AlterColumnOperation::DropDefault => Ok(()),
            AlterColumnOperation::SetDefault { value } => self.expression(value),
            AlterColumnOperation::SetDataType { data_type, using, had_set: _ } => {
                check_type(data_type, self.dialect)?;
                using.iter_mut().try_for_each(|using| self.expression(using))
            }
            AlterColumnOperation::AddGenerated { .. } => Denied::because("ADD GENERATED is not allowed"),
        }
    }
}
