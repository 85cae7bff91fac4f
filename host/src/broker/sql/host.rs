//! `innkeeper:backend/sql`: converts, delegates, converts.

pub mod text;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use super::value::{Cell, Rows, Span, Value};
use super::{ConstraintKind, SqlError, Store, span};
use crate::bindings::imports::innkeeper::backend::sql as wit;
use crate::instance::State;

/// Gives a guest the interface.
///
/// # Errors
/// When it was given before.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

pub(super) type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

impl wit::Host for State {
    async fn run(&mut self, statement: String, params: Vec<wit::Value>) -> Answer<wit::Rows> {
        let store = self.sql_call()?;
        let span = span::run(&self.call.trace, &store, &statement);
        let params = params.into_iter().map(Value::from).collect();
        let result = store.run(&self.call, &statement, params).await;
        span::end(span, &result);
        self.answer(&statement, result.map(wit::Rows::from))
    }

    async fn batch(&mut self, steps: Vec<wit::Step>) -> Answer<Vec<wit::Rows>> {
        let store = self.sql_call()?;
        let span = span::batch(&self.call.trace, &store, steps.iter().map(|step| step.statement.as_str()));
        let label = steps.iter().map(|step| step.statement.as_str()).collect::<Vec<_>>().join(", ");
        let convert = |step: wit::Step| (step.statement, step.params.into_iter().map(Value::from).collect());
        let result = store.batch(&self.call, steps.into_iter().map(convert).collect()).await;
        span::end(span, &result);
        self.answer(&label, result.map(|all| all.into_iter().map(wit::Rows::from).collect()))
    }
}

impl State {
    /// Counts the call and finds the store. The interface is linked only for
    /// modules that have one, so a missing store is a mistake of the host.
    fn sql_call(&mut self) -> wasmtime::Result<Arc<Store>> {
        self.host_call()?;
        self.profile.sql.clone().ok_or_else(|| wasmtime::format_err!("`sql` was linked without a store"))
    }

    /// An answer that the guest can act on, or a trap when the host is broken.
    fn answer<T>(&self, statement: &str, result: Result<T, SqlError>) -> Answer<T> {
        match result {
            Ok(value) => Ok(Ok(value)),
            // A vetted and prepared statement cannot cause it, so it is not the
            // guest's to handle.
            Err(error @ SqlError::Broken(_)) => Err(wasmtime::Error::new(error)),
            Err(error) => {
                self.note(statement, &error);
                Ok(Err(error.into()))
            }
        }
    }

    /// A guest answers its client in its own words; what the host knows of a
    /// database that is away or too slow is in the log.
    fn note(&self, statement: &str, error: &SqlError) {
        if matches!(error, SqlError::Unavailable(_) | SqlError::Busy | SqlError::Timeout | SqlError::Denied(_)) {
            let reason = crate::fault::chain(error);
            tracing::warn!(module.name = %self.profile.name, request.id = %self.call.id,
                trace_id = self.call.trace.id(), sql.statement = statement, blame = "host",
                "statement `{statement}` of `{}` did not run: {reason}", self.profile.name);
        }
    }
}

impl From<wit::Value> for Value {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Null => Self::Null,
            wit::Value::Boolean(value) => Self::Boolean(value),
            wit::Value::Integer(value) => Self::Integer(value),
            wit::Value::Float(value) => Self::Float(value),
            wit::Value::Text(value) => Self::Text(value),
            wit::Value::Blob(value) => Self::Blob(value),
            wit::Value::Timestamp(value) => Self::Timestamp(value),
            wit::Value::Uuid(value) => Self::Uuid(value),
            wit::Value::Json(value) => Self::Json(value),
            wit::Value::Decimal(value) => Self::Decimal(value),
        }
    }
}

impl From<Span> for wit::Span {
    fn from(Span { start, length }: Span) -> Self {
        Self { start, length }
    }
}

impl From<Cell> for wit::Cell {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Boolean(value) => Self::Boolean(value),
            Cell::Integer(value) => Self::Integer(value),
            Cell::Float(value) => Self::Float(value),
            Cell::Text(span) => Self::Text(span.into()),
            Cell::Blob(span) => Self::Blob(span.into()),
            Cell::Timestamp(value) => Self::Timestamp(value),
            Cell::Uuid(span) => Self::Uuid(span.into()),
            Cell::Json(span) => Self::Json(span.into()),
            Cell::Decimal(span) => Self::Decimal(span.into()),
        }
    }
}

impl From<Rows> for wit::Rows {
    fn from(rows: Rows) -> Self {
        Self {
            columns: rows.columns.into_iter().map(wit::Span::from).collect(),
            cells: rows.cells.into_iter().map(wit::Cell::from).collect(),
            heap: rows.heap,
            affected: rows.affected,
        }
    }
}

impl From<SqlError> for wit::Error {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::UnknownStatement(name) => Self::UnknownStatement(name),
            SqlError::Denied(what) => Self::Denied(what),
            SqlError::Invalid(what) => Self::Invalid(what),
            SqlError::Constraint { kind, name } => {
                let kind = match kind {
                    ConstraintKind::Unique => wit::ConstraintKind::Unique,
                    ConstraintKind::ForeignKey => wit::ConstraintKind::ForeignKey,
                    ConstraintKind::NotNull => wit::ConstraintKind::NotNull,
                    ConstraintKind::Check => wit::ConstraintKind::Check,
                    ConstraintKind::Other => wit::ConstraintKind::Other,
                };
                Self::Constraint(wit::Constraint { kind, name })
            }
            SqlError::Conflict => Self::Conflict,
            SqlError::Busy => Self::Busy,
            SqlError::Timeout => Self::Timeout,
            SqlError::TooLarge(what) => Self::TooLarge(what),
            SqlError::Unavailable(_) | SqlError::Broken(_) => Self::Unavailable,
        }
    }
}
