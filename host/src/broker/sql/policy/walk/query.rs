//! Queries: WITH, SELECT, UNION and their kin, ORDER BY, LIMIT.

use sqlparser::ast::{
    Cte, Expr, LimitClause, Offset, OffsetRows, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, OrderBySort, Query,
    SetExpr, SetOperator, SetQuantifier, TableAlias, Values, With,
};

use super::super::{Denied, Dialect, absent, names};
use super::{Walk, Writes};

impl Walk<'_> {
    pub(super) fn query(&mut self, query: &mut Query, writes: Writes) -> Result<(), Denied> {
        let outer = self.visible.len();
        self.deeper(|walk| walk.query_parts(query, writes))?;
        self.visible.truncate(outer);
        Ok(())
    }

    fn query_parts(&mut self, query: &mut Query, writes: Writes) -> Result<(), Denied> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        absent(locks.is_empty(), "FOR UPDATE or FOR SHARE")?;
        absent(fetch.is_none(), "FETCH FIRST")?;
        absent(for_clause.is_none(), "FOR XML or FOR JSON")?;
        absent(settings.is_none(), "SETTINGS")?;
        absent(format_clause.is_none(), "FORMAT")?;
        absent(pipe_operators.is_empty(), "operator `|>`")?;
        with.iter_mut().try_for_each(|with| self.with(with, writes))?;
        self.set_expr(body, writes)?;
        order_by.iter_mut().try_for_each(|order_by| self.order_by(order_by))?;
        limit_clause.iter_mut().try_for_each(|limit| self.limit(limit))
    }

    fn with(&mut self, with: &mut With, writes: Writes) -> Result<(), Denied> {
        let With { with_token: _, recursive, cte_tables } = with;
        absent(!*recursive, "RECURSIVE")?;
        cte_tables.iter_mut().try_for_each(|cte| self.cte(cte, writes))
    }

    /// A name becomes visible after its own query: SQLite would otherwise take
    /// it for a recursion, without being told so.
    fn cte(&mut self, cte: &mut Cte, writes: Writes) -> Result<(), Denied> {
        let Cte { alias, query, from, materialized: _, closing_paren_token: _ } = cte;
        absent(from.is_none(), "WITH ... FROM")?;
        let writes = match self.dialect() {
            Dialect::Postgres => writes,
            Dialect::Sqlite => Writes::Refused,
        };
        self.query(query, writes)?;
        names::rewrite_relation(&mut alias.name, self.dialect())?;
        let name = alias.name.value.clone();
        self.alias(alias)?;
        if self.scope.tables.contains(&name) || !self.declared.insert(name.clone()) {
            return Denied::because(format!("WITH name `{name}` is taken by a table or by another WITH"));
        }
        self.visible.push(name);
        Ok(())
    }

    fn set_expr(&mut self, body: &mut SetExpr, writes: Writes) -> Result<(), Denied> {
        self.deeper(|walk| match body {
            SetExpr::Select(select) => walk.select(select),
            SetExpr::Query(query) => walk.query(query, Writes::Refused),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                check_set_operation(*op, *set_quantifier)?;
                walk.set_expr(left, Writes::Refused)?;
                walk.set_expr(right, Writes::Refused)
            }
            SetExpr::Values(values) => walk.values(values),
            SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
                absent(writes == Writes::Allowed, "a write inside a query")?;
                walk.write(statement)
            }
            SetExpr::Merge(_) => Denied::because("MERGE is not allowed"),
            SetExpr::Table(_) => Denied::because("TABLE is not allowed; write SELECT * FROM"),
        })
    }

    pub(super) fn values(&mut self, values: &mut Values) -> Result<(), Denied> {
        let Values { explicit_row, value_keyword, rows } = values;
        absent(!*explicit_row && !*value_keyword, "VALUE or ROW")?;
        rows.iter_mut().try_for_each(|row| self.exprs(&mut row.content))
    }

    fn order_by(&mut self, order_by: &mut OrderBy) -> Result<(), Denied> {
        let OrderBy { kind, interpolate } = order_by;
        absent(interpolate.is_none(), "INTERPOLATE")?;
        match kind {
            OrderByKind::Expressions(exprs) => self.order_by_exprs(exprs),
            OrderByKind::All(_) => Denied::because("ORDER BY ALL is not allowed"),
        }
    }

    pub(super) fn order_by_exprs(&mut self, exprs: &mut [OrderByExpr]) -> Result<(), Denied> {
        exprs.iter_mut().try_for_each(|order| {
            let OrderByExpr { expr, options, with_fill } = order;
            absent(with_fill.is_none(), "WITH FILL")?;
            let OrderByOptions { sort, nulls_first: _ } = options;
            absent(!matches!(sort, Some(OrderBySort::Using(_))), "ORDER BY ... USING")?;
            self.expr(expr)
        })
    }

    fn limit(&mut self, limit: &mut LimitClause) -> Result<(), Denied> {
        let LimitClause::LimitOffset { limit, offset, limit_by } = limit else {
            return Denied::because("LIMIT a, b is not allowed; write LIMIT b OFFSET a");
        };
        absent(limit_by.is_empty(), "LIMIT BY")?;
        self.optional(limit)?;
        offset.iter_mut().try_for_each(|Offset { value, rows }| {
            absent(*rows == OffsetRows::None, "OFFSET ... ROWS")?;
            self.expr(value)
        })
    }

    pub(super) fn optional(&mut self, expr: &mut Option<Expr>) -> Result<(), Denied> {
        expr.iter_mut().try_for_each(|expr| self.expr(expr))
    }

    pub(super) fn alias(&self, alias: &mut TableAlias) -> Result<(), Denied> {
        let TableAlias { explicit: _, name, columns, at } = alias;
        absent(at.is_none(), "AT")?;
        self.name(name)?;
        columns.iter_mut().try_for_each(|column| {
            absent(column.data_type.is_none(), "a type in an alias")?;
            self.name(&mut column.name)
        })
    }
}

fn check_set_operation(op: SetOperator, quantifier: SetQuantifier) -> Result<(), Denied> {
    let is_plain = matches!(quantifier, SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None);
    absent(op != SetOperator::Minus && is_plain, "MINUS or BY NAME")
}
