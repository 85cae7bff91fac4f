//! What the driver's errors mean, to a guest and while a module is loaded.

use crate::broker::sql::migration::MigrationError;
use crate::broker::sql::{ConstraintKind, SqlError};

/// What a driver's error means to a guest. Of a database's message the guest
/// gets the short text alone: DETAIL can hold the values of other rows.
pub(super) fn sql_error(error: sqlx::Error) -> SqlError {
    let sqlx::Error::Database(database) = error else {
        return SqlError::Unavailable(Some(error.into()));
    };
    let code = database.code().unwrap_or_default().into_owned();
    let constraint = |kind| SqlError::Constraint { kind, name: database.constraint().unwrap_or_default().to_owned() };
    match code.as_str() {
        "23505" => constraint(ConstraintKind::Unique),
        "23503" => constraint(ConstraintKind::ForeignKey),
        "23502" => constraint(ConstraintKind::NotNull),
        "23514" => constraint(ConstraintKind::Check),
        code if code.starts_with("23") => constraint(ConstraintKind::Other),
        "40001" | "40P01" => SqlError::Conflict,
        "55P03" | "53300" => SqlError::Busy,
        "57014" => SqlError::Timeout,
        "42501" => SqlError::Denied(database.message().to_owned()),
        // Data exceptions, cardinality violations, and sizes that the server
        // does not take: what a caller can cause with values alone.
        code if ["21", "22", "54"].contains(&code.get(..2).unwrap_or_default()) => {
            SqlError::Invalid(database.message().to_owned())
        }
        // Another replica migrated: this connection's plans are out of date, and
        // a fresh one's are not.
        "0A000" if database.message().contains("cached plan") => SqlError::Unavailable(Some(database.into())),
        // Shut down, out of space, read-only after a failover, connection lost.
        "25006" => SqlError::Unavailable(Some(database.into())),
        code if ["08", "53", "57", "58"].contains(&code.get(..2).unwrap_or_default()) => {
            SqlError::Unavailable(Some(database.into()))
        }
        _ => SqlError::Broken(database.into()),
    }
}

/// The same for what the host itself does to a schema: whatever it is, the
/// module cannot help it, and another try may.
pub(super) fn unreachable(error: sqlx::Error) -> MigrationError {
    MigrationError::Unreachable(SqlError::Unavailable(Some(error.into())))
}

/// A statement of the host's own that the database user may not be allowed.
pub(super) fn forbidden(error: sqlx::Error, what: &str, remedy: &str) -> MigrationError {
    match error {
        sqlx::Error::Database(error) if error.code().as_deref() == Some("42501") => MigrationError::Forbidden {
            what: what.to_owned(),
            reason: error.message().to_owned(),
            remedy: remedy.to_owned(),
        },
        other => unreachable(other),
    }
}

/// The database's code of an error, such as `28P01`.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}
