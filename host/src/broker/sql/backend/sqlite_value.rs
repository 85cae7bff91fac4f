//! Values and SQLite's storage classes.
//!
//! SQLite keeps a value's class with the value. A column's declared type adds
//! the two things that no class says: BOOLEAN and TIMESTAMP (microseconds).

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteValueRef};
use sqlx::{Arguments, Decode, Sqlite, TypeInfo, ValueRef};

use super::super::value::{Cell, Kind, Rows, Value};

/// Binds a value; every one of them fits some storage class.
pub(super) fn bind(arguments: &mut SqliteArguments, value: &Value) -> Result<(), BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<i64>),
        Value::Boolean(value) => arguments.add(*value),
        Value::Integer(value) | Value::Timestamp(value) => arguments.add(*value),
        Value::Float(value) => arguments.add(*value),
        Value::Text(text) | Value::Uuid(text) | Value::Json(text) | Value::Decimal(text) => arguments.add(text.clone()),
        Value::Blob(bytes) => arguments.add(bytes.clone()),
    }
}

/// What a column's declared type adds to a value's storage class.
pub(super) fn kind(declared: &str) -> Option<Kind> {
    match declared {
        "BOOLEAN" => Some(Kind::Bool),
        "DATETIME" => Some(Kind::Timestamp),
        _ => None,
    }
}

/// A column's value; its bytes go into the heap.
pub(super) fn read(kind: Option<Kind>, value: SqliteValueRef<'_>, rows: &mut Rows) -> Result<Cell, BoxDynError> {
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let class = value.type_info().name().to_owned();
    Ok(match class.as_str() {
        "INTEGER" | "BOOLEAN" | "DATETIME" => {
            let number = <i64 as Decode<Sqlite>>::decode(value)?;
            match kind {
                Some(Kind::Bool) => Cell::Boolean(number != 0),
                Some(Kind::Timestamp) => Cell::Timestamp(number),
                _ => Cell::Integer(number),
            }
        }
        "REAL" => Cell::Float(<f64 as Decode<Sqlite>>::decode(value)?),
        "BLOB" => Cell::Blob(rows.keep(<&[u8] as Decode<Sqlite>>::decode(value)?)),
        _ => Cell::Text(rows.keep(<&str as Decode<Sqlite>>::decode(value)?.as_bytes())),
    })
}
