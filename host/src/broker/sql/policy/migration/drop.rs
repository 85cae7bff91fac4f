//! DROP TABLE and DROP INDEX.

use sqlparser::ast::{ObjectName, ObjectType, Statement};

use super::super::{Denied, absent, names};
use super::Migration;

impl Migration<'_> {
    pub(super) fn drop(&mut self, statement: &mut Statement) -> Result<(), Denied> {
        let Statement::Drop { object_type, if_exists, names, cascade, restrict, purge, temporary, table } = statement
        else {
            return Denied::because("only DROP TABLE and DROP INDEX are allowed");
        };
        absent(!*if_exists, "DROP ... IF EXISTS (migrations run once, in order)")?;
        absent(!*cascade && !*restrict && !*purge, "CASCADE or RESTRICT")?;
        absent(!*temporary && table.is_none(), "an option of DROP")?;
        let [name] = names.as_mut_slice() else {
            return Denied::because("DROP takes one name at a time");
        };
        match object_type {
            ObjectType::Table => self.drop_table(name),
            ObjectType::Index => self.drop_index(name),
            _ => Denied::because("only DROP TABLE and DROP INDEX are allowed"),
        }
    }

    fn drop_table(&mut self, name: &mut ObjectName) -> Result<(), Denied> {
        let table = self.own_table(name)?;
        self.tables.0.remove(&table);
        Ok(())
    }

    fn drop_index(&mut self, name: &mut ObjectName) -> Result<(), Denied> {
        let index = self.new_name(names::single(name)?)?;
        let mut is_own = false;
        // In all of them: a name used twice may have been recorded twice.
        for indexes in self.tables.0.values_mut() {
            is_own |= indexes.remove(&index);
        }
        if !is_own {
            return Denied::because(format!("`{index}` is not an index of this module"));
        }
        names::qualify(name, self.dialect, self.schema);
        Ok(())
    }
}
