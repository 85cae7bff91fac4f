//! Dates: read as pydantic reads them, written as pydantic writes UTC.

use innkeeper_guest::Timestamp;
use speedate::{
    Date, DateConfig, DateTime, DateTimeConfig, MicrosecondsPrecisionOverflowBehavior, ParseError, TimeConfig,
    TimestampUnit,
};
use strum::EnumMessage;

use super::{Checked, Issues, Rule};
use crate::json::Value;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z, the range of Python.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// A point in time: an ISO 8601 text with or without time and offset, or a Unix
/// time in seconds or milliseconds. Without an offset it is UTC.
///
/// # Errors
/// Not a point in time, or one that Python's `datetime` cannot hold.
pub fn datetime(value: &Value) -> Checked<Timestamp> {
    let found = match value {
        Value::Str(text) => from_text(text),
        Value::Int(number) => from_integer(*number).map_err(|error| Rule::DatetimeParsing(words(&error))),
        Value::Float(number) => DateTime::from_float_with_config(*number, &config(TimestampUnit::Infer))
            .map_err(|error| Rule::DatetimeParsing(words(&error))),
        _ => Err(Rule::Datetime),
    };
    found.and_then(in_range).map_err(|rule| Issues::one(rule, value))
}

/// pydantic reports why the text is no *date* when it is no date and time.
fn from_text(text: &str) -> Result<DateTime, Rule> {
    DateTime::parse_str_with_config(text, &config(TimestampUnit::Infer)).or_else(|_| {
        let date = Date::parse_str_with_config(text, &DateConfig::default());
        let date = date.map_err(|error| Rule::DateParsing(words(&error)))?;
        let time = speedate::Time { hour: 0, minute: 0, second: 0, microsecond: 0, tz_offset: None };
        Ok(DateTime { date, time })
    })
}

fn from_integer(number: i128) -> Result<DateTime, ParseError> {
    let out_of_range = if number < 0 { ParseError::DateTooSmall } else { ParseError::DateTooLarge };
    let number = i64::try_from(number).map_err(|_| out_of_range)?;
    DateTime::from_timestamp_with_config(number, 0, &config(TimestampUnit::Infer))
}

/// pydantic drops the digits after the sixth of a fraction.
fn config(timestamp_unit: TimestampUnit) -> DateTimeConfig {
    let microseconds_precision_overflow_behavior = MicrosecondsPrecisionOverflowBehavior::Truncate;
    let time_config = TimeConfig { microseconds_precision_overflow_behavior, unix_timestamp_offset: Some(0) };
    DateTimeConfig { timestamp_unit, time_config }
}

fn in_range(when: DateTime) -> Result<Timestamp, Rule> {
    if when.date.year == 0 {
        return Err(Rule::DatetimeParsing("year 0 is out of range"));
    }
    let micros = when.timestamp_tz() * 1_000_000 + i64::from(when.time.microsecond);
    if RANGE.contains(&micros) {
        Ok(Timestamp(micros))
    } else {
        // FastAPI fails with 500 here, when the handler converts to UTC.
        Err(Rule::DatetimeParsing("date value out of range"))
    }
}

fn words(error: &ParseError) -> &'static str {
    error.get_documentation().unwrap_or("invalid datetime")
}

/// Writes a point in time with `Z`, and with six digits of fraction or none.
pub fn write<S: serde::Serializer>(when: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let (seconds, micros) = (when.0.div_euclid(1_000_000), when.0.rem_euclid(1_000_000));
    let micros = u32::try_from(micros).map_err(serde::ser::Error::custom)?;
    let utc = DateTime::from_timestamp_with_config(seconds, micros, &config(TimestampUnit::Second))
        .map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&utc)
}

/// As [`write`], or `null`.
pub fn write_option<S: serde::Serializer>(when: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match when {
        Some(when) => write(when, serializer),
        None => serializer.serialize_none(),
    }
}
