//! Values and Postgres's binary format.
//!
//! Written here because a value's type is known only at run time, from the
//! prepared statement, where the driver's own conversions want it at compile
//! time. Numbers of the catalogue are those of `pg_type.dat`.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef};
use sqlx::{Encode, Postgres, Type, ValueRef};
use time::{Date, Month};

use super::numeric;
use crate::broker::sql::value::{Cell, Kind, Rows, Value};

/// Microseconds, and days, from 1970-01-01 to 2000-01-01, where Postgres counts from.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

/// The broker's name for a type of the catalogue; none for one it does not carry.
pub(super) fn kind(oid: u32) -> Option<Kind> {
    Some(match oid {
        16 => Kind::Bool,
        17 => Kind::Bytes,
        20 => Kind::Int8,
        21 => Kind::Int2,
        23 => Kind::Int4,
        // text, bpchar, varchar, name
        25 | 1042 | 1043 | 19 => Kind::Text,
        114 => Kind::Json,
        700 => Kind::Float4,
        701 => Kind::Float8,
        1082 => Kind::Date,
        1114 => Kind::Timestamp,
        1184 => Kind::TimestampTz,
        1700 => Kind::Numeric,
        2950 => Kind::Uuid,
        3802 => Kind::Jsonb,
        _ => return None,
    })
}

fn oid(kind: Kind) -> u32 {
    match kind {
        Kind::Bool => 16,
        Kind::Bytes => 17,
        Kind::Int8 => 20,
        Kind::Int2 => 21,
        Kind::Int4 => 23,
        Kind::Text => 25,
        Kind::Json => 114,
        Kind::Float4 => 700,
        Kind::Float8 => 701,
        Kind::Date => 1082,
        Kind::Timestamp => 1114,
        Kind::TimestampTz => 1184,
        Kind::Numeric => 1700,
        Kind::Uuid => 2950,
        Kind::Jsonb => 3802,
    }
}

/// A parameter, coerced to the type that the statement expects.
#[derive(Debug)]
pub(super) struct Param {
    kind: Kind,
    wire: Wire,
}

#[derive(Debug)]
enum Wire {
    Null,
    Bytes(Vec<u8>),
}

/// Coerces a value, or says in a phrase why it cannot be one of that type.
pub(super) fn coerce(kind: Kind, value: &Value) -> Result<Param, String> {
    let wire = match (kind, value) {
        (_, Value::Null) => Wire::Null,
        (Kind::Bool, Value::Boolean(value)) => Wire::Bytes(vec![u8::from(*value)]),
        (Kind::Int2, Value::Integer(value)) => narrow::<i16>(*value, kind)?.to_be_bytes().to_vec().into(),
        (Kind::Int4, Value::Integer(value)) => narrow::<i32>(*value, kind)?.to_be_bytes().to_vec().into(),
        (Kind::Int8, Value::Integer(value)) => value.to_be_bytes().to_vec().into(),
        (Kind::Float4 | Kind::Float8, Value::Integer(value)) => float(kind, exact(*value)?),
        (Kind::Float4 | Kind::Float8, Value::Float(value)) => float(kind, *value),
        (Kind::Numeric, Value::Integer(value)) => decimal(&value.to_string())?,
        (Kind::Numeric, Value::Decimal(text)) => decimal(text)?,
        (Kind::Text, Value::Text(text) | Value::Uuid(text) | Value::Json(text) | Value::Decimal(text)) => {
            characters(text)?
        }
        (Kind::Bytes, Value::Blob(bytes)) => Wire::Bytes(bytes.clone()),
        (Kind::TimestampTz | Kind::Timestamp, Value::Timestamp(micros)) => {
            let since = micros.checked_sub(EPOCH_MICROS).ok_or("is out of the range of timestamps")?;
            since.to_be_bytes().to_vec().into()
        }
        (Kind::Date, Value::Text(text)) => days(text)?.to_be_bytes().to_vec().into(),
        (Kind::Uuid, Value::Uuid(text) | Value::Text(text)) => {
            uuid::Uuid::try_parse(text).map_err(|_| "is not a UUID")?.as_bytes().to_vec().into()
        }
        (Kind::Json, Value::Json(text) | Value::Text(text)) => characters(text)?,
        (Kind::Jsonb, Value::Json(text) | Value::Text(text)) => {
            // One byte for the format's version goes ahead of the text.
            let mut bytes = vec![1];
            bytes.extend_from_slice(no_nul(text)?.as_bytes());
            Wire::Bytes(bytes)
        }
        _ => return Err(format!("expects {}, not {}", kind.as_str(), value.kind())),
    };
    Ok(Param { kind, wire })
}

impl From<Vec<u8>> for Wire {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

fn narrow<T: TryFrom<i64>>(value: i64, kind: Kind) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{value} is out of the range of {}", kind.as_str()))
}

/// A whole number as a double, when a double holds it exactly.
#[expect(clippy::cast_precision_loss, reason = "checked by the range")]
fn exact(value: i64) -> Result<f64, String> {
    let exact = value.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS;
    if exact { Ok(value as f64) } else { Err(format!("{value} is not exact as a floating-point number")) }
}

#[expect(clippy::cast_possible_truncation, reason = "real is what the statement asks for")]
fn float(kind: Kind, value: f64) -> Wire {
    match kind {
        Kind::Float4 => (value as f32).to_be_bytes().to_vec().into(),
        _ => value.to_be_bytes().to_vec().into(),
    }
}

fn decimal(text: &str) -> Result<Wire, String> {
    numeric::encode(text).map(Wire::Bytes).ok_or_else(|| "is not a decimal number".to_owned())
}

fn characters(text: &str) -> Result<Wire, String> {
    Ok(Wire::Bytes(no_nul(text)?.as_bytes().to_vec()))
}

/// Postgres stores every character but this one.
fn no_nul(text: &str) -> Result<&str, String> {
    if text.contains('\0') { Err("holds a NUL character, which Postgres does not store".to_owned()) } else { Ok(text) }
}

fn days(text: &str) -> Result<i32, String> {
    let invalid = || format!("`{text}` is not a date of the form 2026-01-31");
    let mut parts = text.splitn(3, '-').map(str::parse::<u16>);
    let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) = (parts.next(), parts.next(), parts.next()) else {
        return Err(invalid());
    };
    let month = u8::try_from(month).ok().and_then(|month| Month::try_from(month).ok()).ok_or_else(invalid)?;
    let day = u8::try_from(day).map_err(|_| invalid())?;
    let date = Date::from_calendar_date(year.into(), month, day).map_err(|_| invalid())?;
    Ok(date.to_julian_day() - UNIX_JULIAN_DAY - EPOCH_DAYS)
}

/// The Julian day of 1970-01-01.
const UNIX_JULIAN_DAY: i32 = 2_440_588;

impl Type<Postgres> for Param {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(oid(Kind::Text)))
    }
}

impl Encode<'_, Postgres> for Param {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.wire {
            Wire::Null => return Ok(IsNull::Yes),
            Wire::Bytes(bytes) => buffer.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(oid(self.kind))))
    }
}

/// A column's value, read by the column's type; its bytes go into the heap.
pub(super) fn read(kind: Kind, value: PgValueRef<'_>, rows: &mut Rows) -> Result<Cell, BoxDynError> {
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let bytes = value.as_bytes()?;
    Ok(match kind {
        Kind::Bool => Cell::Boolean(bytes != [0]),
        Kind::Int2 => Cell::Integer(i16::from_be_bytes(bytes.try_into()?).into()),
        Kind::Int4 => Cell::Integer(i32::from_be_bytes(bytes.try_into()?).into()),
        Kind::Int8 => Cell::Integer(i64::from_be_bytes(bytes.try_into()?)),
        Kind::Float4 => Cell::Float(f32::from_be_bytes(bytes.try_into()?).into()),
        Kind::Float8 => Cell::Float(f64::from_be_bytes(bytes.try_into()?)),
        Kind::Text => Cell::Text(rows.keep(bytes)),
        Kind::Bytes => Cell::Blob(rows.keep(bytes)),
        Kind::TimestampTz | Kind::Timestamp => {
            // ±infinity are the ends of the range, and stay there.
            Cell::Timestamp(i64::from_be_bytes(bytes.try_into()?).saturating_add(EPOCH_MICROS))
        }
        Kind::Date => Cell::Text(rows.keep(date(i32::from_be_bytes(bytes.try_into()?))?.as_bytes())),
        Kind::Uuid => Cell::Uuid(rows.keep(uuid::Uuid::from_slice(bytes)?.to_string().as_bytes())),
        Kind::Json => Cell::Json(rows.keep(bytes)),
        // Behind one byte for the format's version.
        Kind::Jsonb => Cell::Json(rows.keep(bytes.get(1..).unwrap_or_default())),
        Kind::Numeric => Cell::Decimal(rows.keep(numeric::decode(bytes)?.as_bytes())),
    })
}

fn date(days: i32) -> Result<String, BoxDynError> {
    let julian = days.checked_add(EPOCH_DAYS + UNIX_JULIAN_DAY).ok_or("a date out of range")?;
    Ok(Date::from_julian_day(julian)?.to_string())
}
