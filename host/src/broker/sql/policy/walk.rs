//! The walk: visits every part of a statement and lets only listed ones by.
//!
//! Structs are taken apart without `..`, so that a field added by a newer
//! parser does not compile until someone has decided about it; enums end in a
//! refusal. On the way names are rewritten for printing. The depth is bounded
//! here, because chains such as `a + a + ...` cost the parser no recursion.

use std::collections::BTreeSet;

use sqlparser::ast::{Expr, Ident, ObjectName, Statement};

use super::text::shorten;
use super::{Denied, Dialect, Scope, names};

mod call;
mod expr;
mod from;
mod query;
mod select;
pub(super) mod value;
mod write;

/// Far more than a hand-written statement binds.
pub(super) const MOST_PARAMETERS: u32 = 64;

/// Deeper trees come from generators; the walk recurses once per level.
const DEEPEST: usize = 64;

/// What a walk found out about a statement it let by.
pub(super) struct Found {
    pub(super) writes: bool,
    pub(super) parameters: usize,
}

/// Walks one SELECT, INSERT, UPDATE or DELETE.
pub(super) fn statement(statement: &mut Statement, scope: &Scope<'_>, most_parameters: u32) -> Result<Found, Denied> {
    let mut walk = Walk::new(scope, most_parameters);
    walk.statement(statement)?;
    let parameters = walk.count_parameters()?;
    Ok(Found { writes: walk.writes, parameters })
}

/// Walks an expression of a table definition: no parameters, no subqueries of
/// anyone's rows but the module's own.
pub(super) fn expression(expr: &mut Expr, scope: &Scope<'_>) -> Result<(), Denied> {
    Walk::new(scope, 0).expr(expr)
}

/// Whether a nested query may change rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Allowed,
    Refused,
}

struct Walk<'a> {
    scope: &'a Scope<'a>,
    most_parameters: u32,
    /// Bit `n - 1` is set when `$n` was seen.
    parameters: u64,
    /// The `WITH` names that can be seen from here.
    visible: Vec<String>,
    /// All `WITH` names of the statement.
    declared: BTreeSet<String>,
    depth: usize,
    writes: bool,
}

impl<'a> Walk<'a> {
    fn new(scope: &'a Scope<'a>, most_parameters: u32) -> Self {
        Walk {
            scope,
            most_parameters,
            parameters: 0,
            visible: Vec::new(),
            declared: BTreeSet::new(),
            depth: 0,
            writes: false,
        }
    }

    fn statement(&mut self, statement: &mut Statement) -> Result<(), Denied> {
        match statement {
            Statement::Query(query) => self.query(query, Writes::Allowed),
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => self.write(statement),
            _ => Denied::because("only SELECT, INSERT, UPDATE and DELETE are allowed"),
        }
    }

    /// One level down. An error ends the walk, so only success comes back up.
    fn deeper(&mut self, visit: impl FnOnce(&mut Self) -> Result<(), Denied>) -> Result<(), Denied> {
        if self.depth == DEEPEST {
            return Denied::because(format!("the statement nests deeper than {DEEPEST} levels"));
        }
        self.depth += 1;
        visit(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn dialect(&self) -> Dialect {
        self.scope.dialect
    }

    fn only_on(&self, dialect: Dialect, construct: &str) -> Result<(), Denied> {
        if self.dialect() == dialect {
            return Ok(());
        }
        Denied::because(format!("{construct} is not allowed on {:?}", self.dialect()))
    }

    fn name(&self, ident: &mut Ident) -> Result<(), Denied> {
        names::rewrite(ident, self.dialect())
    }

    fn names(&self, idents: &mut [Ident]) -> Result<(), Denied> {
        idents.iter_mut().try_for_each(|ident| self.name(ident))
    }

    /// A column that must not be qualified, such as the target of an assignment.
    fn column(&self, name: &mut ObjectName) -> Result<(), Denied> {
        self.name(names::single(name)?)
    }

    /// A relation to read: a `WITH` name that is visible here, or a table.
    fn relation(&self, name: &mut ObjectName) -> Result<(), Denied> {
        let ident = names::single(name)?;
        self.name(ident)?;
        if self.visible.contains(&ident.value) {
            return Ok(());
        }
        self.table(name)
    }

    /// One of the module's tables, given its schema where there are schemas.
    fn table(&self, name: &mut ObjectName) -> Result<(), Denied> {
        let ident = names::single(name)?;
        self.name(ident)?;
        if !self.scope.tables.contains(&ident.value) {
            let name = shorten(&ident.value);
            return Denied::because(format!("`{name}` is not a table of this module"));
        }
        names::qualify(name, self.dialect(), self.scope.schema);
        Ok(())
    }

    /// The highest parameter. A gap would leave a value that nobody reads, and
    /// Postgres could not tell its type.
    fn count_parameters(&self) -> Result<usize, Denied> {
        let highest = u64::BITS - self.parameters.leading_zeros();
        let used = self.parameters.count_ones();
        if used == highest {
            return Ok(used as usize);
        }
        let missing = self.parameters.trailing_ones() + 1;
        Denied::because(format!("parameter `${missing}` is not used although `${highest}` is"))
    }
}
