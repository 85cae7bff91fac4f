//! SELECT, up to and including HAVING.

use sqlparser::ast::{
    Distinct, GroupByExpr, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::super::{Denied, Dialect, absent};
use super::Walk;

impl Walk<'_> {
    pub(super) fn select(&mut self, select: &mut Select) -> Result<(), Denied> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        absent(optimizer_hints.is_empty() && select_modifiers.is_none(), "a hint")?;
        absent(top.is_none(), "TOP")?;
        absent(exclude.is_none(), "EXCLUDE")?;
        absent(into.is_none(), "SELECT INTO")?;
        absent(lateral_views.is_empty(), "LATERAL VIEW")?;
        absent(prewhere.is_none(), "PREWHERE")?;
        absent(connect_by.is_empty(), "CONNECT BY")?;
        absent(cluster_by.is_empty() && distribute_by.is_empty() && sort_by.is_empty(), "SORT BY")?;
        absent(named_window.is_empty(), "WINDOW")?;
        absent(qualify.is_none(), "QUALIFY")?;
        absent(value_table_mode.is_none(), "SELECT AS")?;
        absent(*flavor == SelectFlavor::Standard, "FROM before SELECT")?;
        absent(!projection.is_empty(), "an empty SELECT list")?;
        distinct.iter_mut().try_for_each(|distinct| self.distinct(distinct))?;
        self.select_items(projection)?;
        self.from(from)?;
        self.optional(selection)?;
        self.group_by(group_by)?;
        self.optional(having)
    }

    fn distinct(&mut self, distinct: &mut Distinct) -> Result<(), Denied> {
        match distinct {
            Distinct::All | Distinct::Distinct => Ok(()),
            Distinct::On(exprs) => {
                self.only_on(Dialect::Postgres, "DISTINCT ON")?;
                self.exprs(exprs)
            }
        }
    }

    fn group_by(&mut self, group_by: &mut GroupByExpr) -> Result<(), Denied> {
        match group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => self.exprs(exprs),
            GroupByExpr::Expressions(_, _) | GroupByExpr::All(_) => {
                Denied::because("GROUP BY takes a list of expressions only")
            }
        }
    }

    pub(super) fn select_items(&mut self, items: &mut [SelectItem]) -> Result<(), Denied> {
        items.iter_mut().try_for_each(|item| self.select_item(item))
    }

    fn select_item(&mut self, item: &mut SelectItem) -> Result<(), Denied> {
        match item {
            SelectItem::UnnamedExpr(expr) => self.expr(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                self.expr(expr)?;
                self.name(alias)
            }
            SelectItem::Wildcard(options) => check_wildcard(options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                check_wildcard(options)?;
                self.column(name)
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _)
            | SelectItem::ExprWithAliases { .. } => Denied::because("(row).* is not allowed"),
        }
    }
}

fn check_wildcard(options: &WildcardAdditionalOptions) -> Result<(), Denied> {
    absent(*options == WildcardAdditionalOptions::default(), "an option after *")
}
