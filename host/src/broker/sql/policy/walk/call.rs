//! Function calls, with and without a grammar of their own.

use sqlparser::ast::{
    CeilFloorKind, DateTimeField, Expr, ExtractSyntax, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, WindowFrame, WindowFrameBound, WindowSpec, WindowType,
};

use super::super::text::shorten;
use super::super::{Denied, Dialect, absent, lists, names};
use super::Walk;

impl Walk<'_> {
    /// What is left of the expressions: calls, and everything refused.
    pub(super) fn special_call(&mut self, expr: &mut Expr) -> Result<(), Denied> {
        match expr {
            Expr::Function(function) => self.function(function),
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) }
            | Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => self.expr(expr),
            Expr::Extract { field, syntax: ExtractSyntax::From, expr } => {
                self.only_on(Dialect::Postgres, "EXTRACT")?;
                absent(lists::allows_field(field), "this field of EXTRACT")?;
                self.expr(expr)
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                self.only_on(Dialect::Postgres, "AT TIME ZONE")?;
                self.expr(timestamp)?;
                self.expr(time_zone)
            }
            Expr::Substring { expr, substring_from, substring_for, special, shorthand: _ } => {
                absent(*special || self.dialect() == Dialect::Postgres, "SUBSTRING ... FROM")?;
                self.expr(expr)?;
                let rest = substring_from.iter_mut().chain(substring_for);
                rest.into_iter().try_for_each(|expr| self.expr(expr))
            }
            Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
                let is_call = trim_where.is_none() && trim_what.is_none();
                absent(is_call || self.dialect() == Dialect::Postgres, "TRIM ... FROM")?;
                self.expr(expr)?;
                trim_what.iter_mut().try_for_each(|what| self.expr(what))?;
                trim_characters.iter_mut().try_for_each(|characters| self.exprs(characters))
            }
            other => Denied::because(format!("{} is not allowed", describe(other))),
        }
    }

    fn function(&mut self, function: &mut Function) -> Result<(), Denied> {
        let Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment, over } =
            function;
        absent(!*uses_odbc_syntax && *parameters == FunctionArguments::None, "this form of call")?;
        absent(within_group.is_empty(), "WITHIN GROUP")?;
        absent(null_treatment.is_none(), "IGNORE NULLS")?;
        let ident = names::single(name)?;
        match args {
            FunctionArguments::None => check_clock(ident)?,
            FunctionArguments::Subquery(_) => {
                return Denied::because("a query as list of arguments is not allowed");
            }
            FunctionArguments::List(list) => {
                check_function(ident, self.dialect())?;
                self.arguments(list)?;
            }
        }
        filter.iter_mut().try_for_each(|filter| self.expr(filter))?;
        over.iter_mut().try_for_each(|over| self.over(over))
    }

    fn arguments(&mut self, list: &mut FunctionArgumentList) -> Result<(), Denied> {
        let FunctionArgumentList { duplicate_treatment: _, args, clauses } = list;
        args.iter_mut().try_for_each(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => self.expr(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Ok(()),
            _ => Denied::because("only plain arguments are allowed in a call"),
        })?;
        clauses.iter_mut().try_for_each(|clause| match clause {
            FunctionArgumentClause::OrderBy(exprs) => self.order_by_exprs(exprs),
            _ => Denied::because("only ORDER BY may follow the arguments of a call"),
        })
    }

    fn over(&mut self, over: &mut WindowType) -> Result<(), Denied> {
        let WindowType::WindowSpec(WindowSpec { window_name, partition_by, order_by, window_frame }) = over else {
            return Denied::because("a named window is not allowed; write OVER (...)");
        };
        absent(window_name.is_none(), "a named window")?;
        self.exprs(partition_by)?;
        self.order_by_exprs(order_by)?;
        window_frame.iter_mut().try_for_each(|WindowFrame { units: _, start_bound, end_bound }| {
            self.bound(start_bound)?;
            end_bound.iter_mut().try_for_each(|bound| self.bound(bound))
        })
    }

    fn bound(&mut self, bound: &mut WindowFrameBound) -> Result<(), Denied> {
        match bound {
            WindowFrameBound::CurrentRow => Ok(()),
            WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => {
                distance.iter_mut().try_for_each(|distance| self.expr(distance))
            }
        }
    }
}

/// Printed without quotes: to Postgres, `"coalesce"` is not COALESCE.
fn check_function(name: &mut Ident, dialect: Dialect) -> Result<(), Denied> {
    name.value.make_ascii_lowercase();
    if name.quote_style.is_none() && lists::allows_function(&name.value, dialect) {
        return Ok(());
    }
    let shown = shorten(&name.value);
    Denied::because(format!("function `{shown}` is not on the list of allowed functions"))
}

fn check_clock(name: &mut Ident) -> Result<(), Denied> {
    name.value.make_ascii_lowercase();
    if name.quote_style.is_none() && lists::allows_clock(&name.value) {
        return Ok(());
    }
    let shown = shorten(&name.value);
    Denied::because(format!("`{shown}` is not on the list of allowed values"))
}

/// Names what authors are likely to try; the rest needs no word of its own.
fn describe(expr: &Expr) -> &'static str {
    match expr {
        Expr::Collate { .. } => "COLLATE",
        Expr::SimilarTo { .. } | Expr::RLike { .. } => "a regular expression",
        Expr::Overlay { .. } => "OVERLAY",
        Expr::Extract { .. } => "this form of EXTRACT",
        Expr::Ceil { .. } | Expr::Floor { .. } => "CEIL or FLOOR with a second argument",
        Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => "GROUPING SETS, CUBE or ROLLUP",
        Expr::IsJson { .. } => "IS JSON",
        Expr::IsNormalized { .. } => "IS NORMALIZED",
        Expr::Convert { .. } => "CONVERT",
        Expr::MatchAgainst { .. } | Expr::MemberOf(_) => "MATCH",
        Expr::Wildcard(_) | Expr::QualifiedWildcard(_, _) => "* as a value",
        Expr::InUnnest { .. } => "UNNEST",
        _ => "this kind of expression",
    }
}
