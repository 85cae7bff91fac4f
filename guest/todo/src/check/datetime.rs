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
///
/// A list writes three of them for each task, so the digits are put down
/// directly, where `speedate` goes through `fmt`.
pub fn write<S: serde::Serializer>(when: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let (seconds, micros) = (when.0.div_euclid(1_000_000), when.0.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    if !(0..=9_999).contains(&year) {
        return Err(serde::ser::Error::custom("a year of more than four digits"));
    }
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    for (at, width, value) in [(0, 4, year), (5, 2, month), (8, 2, day), (20, 6, micros)] {
        digits(&mut text[at..at + width], value);
    }
    for (at, value) in [(11, second / 3_600), (14, second / 60 % 60), (17, second % 60)] {
        digits(&mut text[at..at + 2], value);
    }
    let text = if micros == 0 { [&text[..19], b"Z"].concat() } else { text.to_vec() };
    serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
}

/// A point in time as [`write`] writes it.
pub fn text(when: Timestamp) -> String {
    let written = write(&when, serde_json::value::Serializer);
    written.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The day of a point in time, as `2025-12-31`.
pub fn day(when: Timestamp) -> String {
    let (year, month, day) = civil(when.0.div_euclid(86_400_000_000));
    format!("{year:04}-{month:02}-{day:02}")
}

fn digits(text: &mut [u8], mut value: i64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar:
/// counted in eras of 400 years that begin with March, so that the leap day is
/// the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// As [`write`], or `null`.
pub fn write_option<S: serde::Serializer>(when: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match when {
        Some(when) => write(when, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    struct One(#[serde(serialize_with = "write")] Timestamp);

    fn written(micros: i64) -> String {
        serde_json::to_string(&One(Timestamp(micros))).expect("in range").replace('"', "")
    }

    /// The writer has another calendar than the reader, so each checks the other.
    #[test]
    fn what_is_written_reads_as_the_same_point_in_time() {
        let (mut micros, step) = (*RANGE.start(), 86_400_000_000 * 97 + 3_723_000_001);
        while RANGE.contains(&micros) {
            let text = written(micros);
            let read = datetime(&Value::Str(text.clone())).expect("a point in time");
            assert_eq!(read.0, micros, "{text}");
            micros += step;
        }
        assert_eq!(written(0), "1970-01-01T00:00:00Z");
        assert_eq!(written(951_782_400_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(written(*RANGE.end()), "9999-12-31T23:59:59.999999Z");
        assert_eq!(written(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(day(Timestamp(951_782_400_000_001)), "2000-02-29");
    }
}
