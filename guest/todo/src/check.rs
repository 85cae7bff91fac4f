//! Validation as pydantic does it: every check gives a value or the issues that
//! FastAPI would list, and the issues of all fields come together.

pub mod datetime;
mod email;
mod fields;
mod issue;
pub mod scalar;

pub use email::{Purpose, email};
pub use fields::{Fields, nullable};
pub use issue::{Choice, Issue, Issues, Rule, Step};

/// What a check gives.
pub type Checked<T> = Result<T, Issues>;

/// Both values, or the issues of both.
///
/// # Errors
/// The issues of `first`, then those of `second`.
pub fn both<A, B>(first: Checked<A>, second: Checked<B>) -> Checked<(A, B)> {
    let mut issues = Issues::default();
    match (issues.keep(first), issues.keep(second)) {
        (Some(first), Some(second)) => Ok((first, second)),
        _ => Err(issues),
    }
}
