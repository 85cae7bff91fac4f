//! Literals, parameters and types.
//!
//! Only plain `'...'` strings, in which every database agrees about every
//! byte: no escapes, and no backslash even there, so that not much depends on
//! `standard_conforming_strings` staying on.

use sqlparser::ast::{CastKind, DataType, Expr, Interval, TypedString, Value};

use super::super::text::shorten;
use super::super::{Denied, Dialect, absent, lists};
use super::Walk;

impl Walk<'_> {
    pub(super) fn value(&mut self, value: &mut Value) -> Result<(), Denied> {
        match value {
            Value::Null | Value::Boolean(_) => Ok(()),
            Value::Number(digits, is_long) => check_number(digits, *is_long),
            Value::SingleQuotedString(string) => check_string(string),
            Value::Placeholder(name) => self.parameter(name),
            _ => Denied::because("only plain '...' strings and decimal numbers are allowed"),
        }
    }

    fn parameter(&mut self, name: &mut String) -> Result<(), Denied> {
        let number = name.strip_prefix('$').filter(|digits| is_decimal(digits));
        let Some(number) = number.and_then(|digits| digits.parse::<u32>().ok()) else {
            let name = shorten(name);
            return Denied::because(format!("parameter `{name}` must be written `$1`, `$2` and so on"));
        };
        absent(self.most_parameters > 0, "a parameter in a migration")?;
        if number > self.most_parameters {
            let most = self.most_parameters;
            return Denied::because(format!("parameter `${number}` is beyond the {most} that are allowed"));
        }
        self.parameters |= 1 << (number - 1);
        if self.dialect() == Dialect::Sqlite {
            *name = format!("?{number}");
        }
        Ok(())
    }

    pub(super) fn typed_string(&mut self, string: &mut TypedString) -> Result<(), Denied> {
        let TypedString { data_type, value, uses_odbc_syntax } = string;
        self.only_on(Dialect::Postgres, "a typed string")?;
        absent(!*uses_odbc_syntax, "this form of literal")?;
        check_type(data_type, self.dialect())?;
        self.string(&mut value.value)
    }

    fn string(&mut self, value: &mut Value) -> Result<(), Denied> {
        absent(matches!(value, Value::SingleQuotedString(_)), "anything but a '...' string here")?;
        self.value(value)
    }

    pub(super) fn interval(&mut self, interval: &mut Interval) -> Result<(), Denied> {
        let Interval { value, leading_field, leading_precision, last_field, fractional_seconds_precision } = interval;
        self.only_on(Dialect::Postgres, "INTERVAL")?;
        let is_plain = leading_precision.is_none() && last_field.is_none() && fractional_seconds_precision.is_none();
        absent(is_plain && leading_field.iter().all(lists::allows_unit), "this form of INTERVAL")?;
        match value.as_mut() {
            Expr::Value(value) => self.string(&mut value.value),
            _ => Denied::because("INTERVAL takes a '...' string"),
        }
    }

    /// `a::b` is written out on SQLite, which knows CAST only.
    pub(super) fn cast(&mut self, cast: &mut Expr) -> Result<(), Denied> {
        let Expr::Cast { kind, expr, data_type, format } = cast else {
            return Ok(());
        };
        absent(matches!(kind, CastKind::Cast | CastKind::DoubleColon), "TRY_CAST or SAFE_CAST")?;
        absent(format.is_none(), "CAST ... FORMAT")?;
        if self.dialect() == Dialect::Sqlite {
            *kind = CastKind::Cast;
        }
        check_type(data_type, self.dialect())?;
        self.expr(expr)
    }
}

/// Refuses a type that is not on the list.
pub(in super::super) fn check_type(data_type: &DataType, dialect: Dialect) -> Result<(), Denied> {
    if lists::allows_type(data_type, dialect) {
        return Ok(());
    }
    Denied::because(format!("type `{}` is not on the list of allowed types", shorten(&data_type.to_string())))
}

fn check_string(string: &str) -> Result<(), Denied> {
    absent(!string.contains('\\'), "a backslash in a string (bind a parameter instead)")
}

/// `12`, `1.5` or `1e-3`: what follows another form may be a name to Postgres.
fn check_number(digits: &str, is_long: bool) -> Result<(), Denied> {
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_plain = [whole, fraction, exponent].into_iter().all(is_digits);
    absent(is_plain && !is_long, "this form of number")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    is_digits(text) && !text.starts_with('0')
}
