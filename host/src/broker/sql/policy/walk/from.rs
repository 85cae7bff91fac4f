//! FROM: the module's tables, WITH names, subqueries and plain joins.
//! Nothing else is a source of rows, so there are no table functions.

use sqlparser::ast::{Join, JoinConstraint, JoinOperator, TableFactor, TableWithJoins};

use super::super::{Denied, Dialect, absent};
use super::{Walk, Writes};

impl Walk<'_> {
    pub(super) fn from(&mut self, tables: &mut [TableWithJoins]) -> Result<(), Denied> {
        tables.iter_mut().try_for_each(|table| self.joined(table))
    }

    fn joined(&mut self, table: &mut TableWithJoins) -> Result<(), Denied> {
        let TableWithJoins { relation, joins } = table;
        self.deeper(|walk| walk.factor(relation))?;
        joins.iter_mut().try_for_each(|join| self.join(join))
    }

    fn join(&mut self, join: &mut Join) -> Result<(), Denied> {
        let Join { relation, global, join_operator } = join;
        absent(!*global, "GLOBAL")?;
        self.deeper(|walk| walk.factor(relation))?;
        use JoinOperator::{CrossJoin, FullOuter, Inner, Join as Plain, Left, LeftOuter, Right, RightOuter};
        match join_operator {
            Plain(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on) | FullOuter(on)
            | CrossJoin(on) => self.constraint(on),
            _ => Denied::because("this kind of JOIN is not allowed"),
        }
    }

    fn constraint(&mut self, constraint: &mut JoinConstraint) -> Result<(), Denied> {
        match constraint {
            JoinConstraint::On(expr) => self.expr(expr),
            JoinConstraint::Using(columns) => columns.iter_mut().try_for_each(|name| self.column(name)),
            JoinConstraint::None => Ok(()),
            JoinConstraint::Natural => Denied::because("NATURAL JOIN is not allowed"),
        }
    }

    fn factor(&mut self, factor: &mut TableFactor) -> Result<(), Denied> {
        match factor {
            TableFactor::Table { name, .. } => {
                self.relation(name)?;
                self.table_options(factor)
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                absent(sample.is_none(), "TABLESAMPLE")?;
                absent(!*lateral || self.dialect() == Dialect::Postgres, "LATERAL")?;
                self.query(subquery, Writes::Refused)?;
                alias.iter_mut().try_for_each(|alias| self.alias(alias))
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                absent(alias.is_none(), "an alias of a join")?;
                self.joined(table_with_joins)
            }
            _ => Denied::because("only tables, WITH names and subqueries may stand in FROM"),
        }
    }

    /// The table that a statement changes: no WITH name, and no join.
    pub(super) fn target(&self, target: &mut TableWithJoins) -> Result<(), Denied> {
        let TableWithJoins { relation, joins } = target;
        absent(joins.is_empty(), "a JOIN in the target of a write")?;
        let TableFactor::Table { name, .. } = relation else {
            return Denied::because("only a table may be written to");
        };
        self.table(name)?;
        self.table_options(relation)
    }

    fn table_options(&self, factor: &mut TableFactor) -> Result<(), Denied> {
        let TableFactor::Table {
            name: _,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } = factor
        else {
            return Ok(());
        };
        absent(args.is_none() && !*with_ordinality, "a function in FROM")?;
        absent(with_hints.is_empty() && index_hints.is_empty(), "an index hint")?;
        absent(version.is_none() && partitions.is_empty(), "a table version")?;
        absent(json_path.is_none(), "a path in FROM")?;
        absent(sample.is_none(), "TABLESAMPLE")?;
        alias.iter_mut().try_for_each(|alias| self.alias(alias))
    }
}
