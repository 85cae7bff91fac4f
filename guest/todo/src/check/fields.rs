//! Named values: the fields of a body, the parameters of a query.

use super::{Checked, Issues, Rule, Step};
use crate::json::Value;

/// Fields, by name.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// What an absent field reports as its input.
    whole: &'a Value,
    fields: &'a [(String, Value)],
}

impl<'a> Fields<'a> {
    /// The fields of a body.
    ///
    /// # Errors
    /// When it is absent or not an object.
    pub fn of_body(body: Option<&'a Value>) -> Checked<Self> {
        match body {
            Some(whole @ Value::Map(fields)) => Ok(Self { whole, fields }),
            Some(other) => Err(Issues::one(Rule::Object, other)),
            None => Err(Issues::one(Rule::Missing, &Value::Null)),
        }
    }

    /// The parameters of a query.
    pub fn of_query(pairs: &'a [(String, Value)]) -> Self {
        Self { whole: &Value::Null, fields: pairs }
    }

    /// The value of a field; the last one when a query repeats it.
    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.every(name).last()
    }

    /// Every value of a parameter that may be repeated.
    pub fn every(self, name: &str) -> impl Iterator<Item = &'a Value> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value)
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// What `check` finds, or that it is absent.
    pub fn required<T>(self, name: &'static str, check: impl FnOnce(&Value) -> Checked<T>) -> Checked<T> {
        let value = self.get(name).ok_or_else(|| Issues::one(Rule::Missing, self.whole));
        value.and_then(check).map_err(|issues| issues.at(Step::Name(name)))
    }

    /// A field that may be absent.
    ///
    /// # Errors
    /// What `check` finds.
    pub fn given<T>(self, name: &'static str, check: impl FnOnce(&Value) -> Checked<T>) -> Checked<Option<T>> {
        let value = self.get(name).map(check).transpose();
        value.map_err(|issues| issues.at(Step::Name(name)))
    }
}

/// A check that takes `null` for none, as `Optional[…]` does.
pub fn nullable<T>(check: impl FnOnce(&Value) -> Checked<T>) -> impl FnOnce(&Value) -> Checked<Option<T>> {
    |value| match value {
        Value::Null => Ok(None),
        value => check(value).map(Some),
    }
}
