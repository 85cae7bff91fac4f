//! The span of one call of the broker: which statement, on which database, and
//! how it went. Names come from the declaration and never from the call, for a
//! guest may put what it likes into a name that nobody declared. Values, rows,
//! SQL and the database's own words stay out.

use super::{SqlError, Store};
use crate::call::trace::{Span, Trace};

/// Bytes of a batch's summary, as the conventions advise. Cut at a name.
const SUMMARY_BYTES: usize = 255;

/// One statement.
pub fn run(trace: &Trace, store: &Store, statement: &str) -> Span {
    let mut span = begin(trace, store);
    if let Some(name) = declared(store, statement).filter(|_| span.is_recording()) {
        span.rename(|| name.to_owned());
        span.set("db.operation.name", name.to_owned());
    }
    span
}

/// Several statements in one transaction.
pub fn batch<'s>(trace: &Trace, store: &Store, statements: impl ExactSizeIterator<Item = &'s str>) -> Span {
    let mut span = begin(trace, store);
    if span.is_recording() {
        let size = statements.len();
        let mut summary = String::new();
        for name in statements.filter_map(|name| declared(store, name)) {
            if summary.len() + name.len() >= SUMMARY_BYTES {
                break;
            }
            summary.extend([if summary.is_empty() { "" } else { " " }, name]);
        }
        span.rename(|| "BATCH".to_owned());
        span.set("db.operation.name", "BATCH");
        span.set("db.operation.batch.size", i64::try_from(size).unwrap_or(i64::MAX));
        span.set("db.query.summary", summary);
    }
    span
}

/// Texts that nobody declared. What is in them stays out.
pub fn text(trace: &Trace, store: &Store, steps: usize) -> Span {
    let mut span = begin(trace, store);
    span.rename(|| "TEXT".to_owned());
    span.set("db.operation.name", "TEXT");
    if steps > 1 {
        span.set("db.operation.batch.size", i64::try_from(steps).unwrap_or(i64::MAX));
    }
    span
}

/// How it went.
pub fn end<T>(mut span: Span, result: &Result<T, SqlError>) {
    if let Err(error) = result {
        span.fail(kind(error));
    }
}

fn begin(trace: &Trace, store: &Store) -> Span {
    let mut span = trace.client(|| store.system().into());
    span.set("db.system.name", store.system());
    span
}

fn declared<'s>(store: &'s Store, name: &str) -> Option<&'s str> {
    store.statements.get(name).map(|statement| &*statement.name)
}

/// The same words as in `wit/sql.wit`.
fn kind(error: &SqlError) -> &'static str {
    match error {
        SqlError::UnknownStatement(_) => "unknown-statement",
        SqlError::Denied(_) => "denied",
        SqlError::Invalid(_) => "invalid",
        SqlError::Constraint { .. } => "constraint",
        SqlError::Conflict => "conflict",
        SqlError::Busy => "busy",
        SqlError::Timeout => "timeout",
        SqlError::TooLarge(_) => "too-large",
        SqlError::Unavailable(_) => "unavailable",
        SqlError::Broken(_) => "broken",
    }
}
