//! Expressions: the listed ones, each with every part visited.

use sqlparser::ast::{AccessExpr, Array, BinaryOperator, CaseWhen, Expr, Ident, Subscript, UnaryOperator};

use super::super::{Denied, Dialect, absent, lists};
use super::{Walk, Writes};

impl Walk<'_> {
    pub(super) fn exprs(&mut self, exprs: &mut [Expr]) -> Result<(), Denied> {
        exprs.iter_mut().try_for_each(|expr| self.expr(expr))
    }

    pub(super) fn expr(&mut self, expr: &mut Expr) -> Result<(), Denied> {
        self.deeper(|walk| walk.any_expr(expr))
    }

    fn any_expr(&mut self, expr: &mut Expr) -> Result<(), Denied> {
        match expr {
            Expr::Identifier(ident) => self.name(ident),
            Expr::CompoundIdentifier(idents) => self.compound(idents),
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Expr::Value(value) => self.value(&mut value.value),
            Expr::TypedString(string) => self.typed_string(string),
            Expr::Interval(interval) => self.interval(interval),
            Expr::Array(array) => self.array(array),
            Expr::Tuple(exprs) => self.exprs(exprs),
            Expr::Nested(expr)
            | Expr::IsNull(expr)
            | Expr::IsNotNull(expr)
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr) => self.expr(expr),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.expr(left)?;
                self.expr(right)
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } | Expr::AllOp { left, compare_op, right } => {
                self.quantified(left, compare_op, right)
            }
            Expr::Exists { subquery, negated: _ } | Expr::Subquery(subquery) => self.query(subquery, Writes::Refused),
            Expr::InList { expr, list, negated: _ } => {
                self.expr(expr)?;
                self.exprs(list)
            }
            Expr::InSubquery { expr, subquery, negated: _ } => {
                self.expr(expr)?;
                self.query(subquery, Writes::Refused)
            }
            Expr::Between { expr, negated: _, low, high } => {
                self.expr(expr)?;
                self.expr(low)?;
                self.expr(high)
            }
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.case(operand.as_deref_mut(), conditions, else_result.as_deref_mut())
            }
            Expr::Like { .. } | Expr::ILike { .. } => self.like(expr),
            Expr::Cast { .. } => self.cast(expr),
            other => self.special_call(other),
        }
    }

    /// `table.column` at most: longer names would name a schema.
    fn compound(&self, idents: &mut [Ident]) -> Result<(), Denied> {
        absent(idents.len() == 2, "a name of more than two parts")?;
        self.names(idents)
    }

    /// `value[index]`. A dot after a value would be a call in disguise.
    fn access(&mut self, root: &mut Expr, chain: &mut [AccessExpr]) -> Result<(), Denied> {
        self.only_on(Dialect::Postgres, "a subscript")?;
        self.expr(root)?;
        chain.iter_mut().try_for_each(|access| match access {
            AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index),
            AccessExpr::Subscript(Subscript::Slice { .. }) | AccessExpr::Dot(_) => {
                Denied::because("only value[index] may follow a value")
            }
        })
    }

    fn array(&mut self, Array { elem, named }: &mut Array) -> Result<(), Denied> {
        self.only_on(Dialect::Postgres, "ARRAY")?;
        absent(*named, "an array without the word ARRAY")?;
        self.exprs(elem)
    }

    /// Two signs in a row would print as one: `--` opens a comment.
    fn unary(&mut self, op: UnaryOperator, expr: &mut Expr) -> Result<(), Denied> {
        match (op, &expr) {
            (UnaryOperator::Not, _) => self.expr(expr),
            (UnaryOperator::Plus | UnaryOperator::Minus, Expr::UnaryOp { .. }) => {
                Denied::because("a sign after a sign is not allowed; add parentheses")
            }
            (UnaryOperator::Plus | UnaryOperator::Minus, _) => self.expr(expr),
            _ => Denied::because(format!("operator `{op}` is not on the list of allowed operators")),
        }
    }

    fn binary(&mut self, left: &mut Expr, op: &BinaryOperator, right: &mut Expr) -> Result<(), Denied> {
        if !lists::allows_operator(op, self.dialect()) {
            return Denied::because(format!("operator `{op}` is not on the list of allowed operators"));
        }
        self.expr(left)?;
        self.expr(right)
    }

    fn quantified(&mut self, left: &mut Expr, op: &BinaryOperator, right: &mut Expr) -> Result<(), Denied> {
        self.only_on(Dialect::Postgres, "ANY or ALL")?;
        absent(lists::allows_comparison(op), "this operator before ANY or ALL")?;
        self.expr(left)?;
        self.expr(right)
    }

    fn like(&mut self, like: &mut Expr) -> Result<(), Denied> {
        let postgres = self.dialect() == Dialect::Postgres;
        absent(postgres || matches!(like, Expr::Like { .. }), "ILIKE")?;
        let (Expr::Like { negated: _, any, expr, pattern, escape_char }
        | Expr::ILike { negated: _, any, expr, pattern, escape_char }) = like
        else {
            return Ok(());
        };
        absent(!*any, "LIKE ANY")?;
        self.expr(expr)?;
        self.expr(pattern)?;
        escape_char.iter_mut().try_for_each(|escape| self.expr(escape))
    }

    fn case(
        &mut self,
        operand: Option<&mut Expr>,
        conditions: &mut [CaseWhen],
        otherwise: Option<&mut Expr>,
    ) -> Result<(), Denied> {
        operand.into_iter().chain(otherwise).try_for_each(|expr| self.expr(expr))?;
        conditions.iter_mut().try_for_each(|CaseWhen { condition, result }| {
            self.expr(condition)?;
            self.expr(result)
        })
    }
}
