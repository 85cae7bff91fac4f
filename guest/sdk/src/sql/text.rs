//! SQL that is written while the guest runs, for what cannot be declared. Needs
//! the grant `sql = { database = "main", free = true }`. Values belong into
//! parameters here too: a text that is always the same is parsed once.

use serde::de::DeserializeOwned;

use super::{Error, Rows};
use crate::bindings::innkeeper::backend::sql_text as wit;
use crate::value::Value;

/// A text with its parameters, ready to run.
#[derive(Clone, Debug)]
pub struct Text(wit::TextStep);

/// Starts a call: one `SELECT`, `INSERT`, `UPDATE` or `DELETE`.
pub fn text(text: impl Into<String>) -> Text {
    Text(wit::TextStep { text: text.into(), params: Vec::new() })
}

impl Text {
    /// The value of the next parameter.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.0.params.push(value.into());
        self
    }

    /// Every row.
    ///
    /// # Errors
    /// What the broker answers, or [`Error::Decode`].
    pub fn all<T: DeserializeOwned>(self) -> Result<Vec<T>, Error> {
        self.rows()?.all()
    }

    /// How many rows were written.
    ///
    /// # Errors
    /// What the broker answers.
    pub fn execute(self) -> Result<u64, Error> {
        Ok(self.rows()?.affected())
    }

    /// What came back, not decoded yet.
    ///
    /// # Errors
    /// What the broker answers.
    pub fn rows(self) -> Result<Rows, Error> {
        Ok(Rows(wit::run(&self.0.text, &self.0.params)?))
    }
}

/// Runs all texts in one transaction, all or nothing. At most 64.
///
/// # Errors
/// What the broker answers; then nothing was written.
pub fn batch(texts: impl IntoIterator<Item = Text>) -> Result<Vec<Rows>, Error> {
    let steps: Vec<wit::TextStep> = texts.into_iter().map(|text| text.0).collect();
    Ok(wit::batch(&steps)?.into_iter().map(Rows).collect())
}
