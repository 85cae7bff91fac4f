//! Declared statements: named by a const, written in `.sql` files, run by name.
//!
//! The host vets every statement when it loads the module, so a text that the
//! statement gate refuses is found at deployment and not in production.

pub mod text;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bindings::innkeeper::backend::sql as wit;
use crate::row;
use crate::value::Value;

pub use wit::{Constraint, ConstraintKind};

/// A statement of this module. Make it with [`statement!`](crate::statement).
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// The name it is declared under; `[a-z0-9-]`, unique in the module.
    pub name: &'static str,
    /// The text for both databases.
    pub text: &'static str,
    /// Replaces `text` on Postgres.
    pub postgres: Option<&'static str>,
    /// Replaces `text` on SQLite.
    pub sqlite: Option<&'static str>,
}

/// A [`Statement`] from a `.sql` file beside the source:
/// `statement!("create", "sql/create.sql")`, or with a text for each database:
/// `statement!("find", postgres: "sql/find.pg.sql", sqlite: "sql/find.lite.sql")`.
#[macro_export]
macro_rules! statement {
    ($name:literal, $file:literal) => {
        $crate::sql::Statement { name: $name, text: include_str!($file), postgres: None, sqlite: None }
    };
    ($name:literal, postgres: $postgres:literal, sqlite: $sqlite:literal) => {
        $crate::sql::Statement {
            name: $name,
            text: "",
            postgres: Some(include_str!($postgres)),
            sqlite: Some(include_str!($sqlite)),
        }
    };
}

impl Statement {
    /// Starts a call with the value of `$1`.
    pub fn bind(self, value: impl Into<Value>) -> Call {
        self.call().bind(value)
    }

    /// A call of a statement without parameters.
    pub fn call(self) -> Call {
        Call { statement: self.name, params: Vec::new() }
    }
}

/// A statement with its parameters, ready to run.
#[derive(Clone, Debug)]
pub struct Call {
    statement: &'static str,
    params: Vec<Value>,
}

impl Call {
    /// The value of the next parameter.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.params.push(value.into());
        self
    }

    /// Every row.
    ///
    /// # Errors
    /// What the broker answers, or [`Error::Decode`].
    pub fn all<T: DeserializeOwned>(self) -> Result<Vec<T>, Error> {
        self.rows()?.all()
    }

    /// The first row, or none.
    ///
    /// # Errors
    /// What the broker answers, or [`Error::Decode`].
    pub fn first<T: DeserializeOwned>(self) -> Result<Option<T>, Error> {
        Ok(self.all()?.into_iter().next())
    }

    /// How many rows were written.
    ///
    /// # Errors
    /// What the broker answers.
    pub fn execute(self) -> Result<u64, Error> {
        Ok(self.rows()?.affected())
    }

    /// What came back, not decoded yet: for structs that borrow from it.
    ///
    /// # Errors
    /// What the broker answers.
    pub fn rows(self) -> Result<Rows, Error> {
        Ok(Rows(wit::run(self.statement, &self.params)?))
    }
}

/// Runs all calls in one transaction, all or nothing, in one crossing of the
/// sandbox. At most 64.
///
/// # Errors
/// What the broker answers; then nothing was written.
pub fn batch(calls: impl IntoIterator<Item = Call>) -> Result<Vec<Rows>, Error> {
    let steps: Vec<wit::Step> =
        calls.into_iter().map(|call| wit::Step { statement: call.statement.to_owned(), params: call.params }).collect();
    Ok(wit::batch(&steps)?.into_iter().map(Rows).collect())
}

/// What a statement gave back.
#[derive(Clone, Debug)]
pub struct Rows(wit::Rows);

impl Rows {
    /// Every row. A struct may borrow its text from the result.
    ///
    /// # Errors
    /// [`Error::Decode`].
    pub fn all<'de, T: Deserialize<'de>>(&'de self) -> Result<Vec<T>, Error> {
        row::decode(&self.0)
    }

    /// The first row, or none.
    ///
    /// # Errors
    /// [`Error::Decode`].
    pub fn first<'de, T: Deserialize<'de>>(&'de self) -> Result<Option<T>, Error> {
        Ok(self.all()?.into_iter().next())
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> Vec<&str> {
        let name = |span: &wit::Span| self.0.heap.get(span.start as usize..(span.start + span.length) as usize);
        self.0
            .columns
            .iter()
            .map(|span| name(span).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default())
            .collect()
    }

    /// How many rows were written, or returned by a `SELECT`.
    pub fn affected(&self) -> u64 {
        self.0.affected
    }
}

/// Why a call gave no rows.
#[derive(Clone, Debug)]
pub enum Error {
    /// What the broker answers; `innkeeper:backend/sql` documents each case.
    Broker(wit::Error),
    /// A row does not fit the Rust type it is decoded into.
    Decode(String),
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        Self::Broker(error)
    }
}

impl Error {
    /// The database is away, or too busy; the same request may succeed shortly.
    pub fn is_transient(&self) -> bool {
        use wit::Error as E;
        matches!(self, Self::Broker(E::Busy | E::Unavailable | E::Timeout | E::Conflict))
    }

    /// The constraint that forbade a write, if that is what happened.
    pub fn constraint(&self) -> Option<&Constraint> {
        match self {
            Self::Broker(wit::Error::Constraint(constraint)) => Some(constraint),
            _ => None,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broker(error) => write!(f, "{error:?}"),
            Self::Decode(what) => write!(f, "a row does not fit its type: {what}"),
        }
    }
}

impl std::error::Error for Error {}
