//! The keys of the module's `config`: where the clients in the field differ.
//! The first value of each is the default; `README.md` says who needs another.
//!
//! A value that is not allowed is never ignored: the request fails with a
//! sentence in the log, as the guest has no earlier moment to complain.

use axum::http::StatusCode;
use innkeeper_guest::config;

use crate::reply::Failure;
use crate::tasks::shape::Shape;

/// What a setting may be, and what that means.
type Table<T> = [(&'static str, T)];

const CREATE_STATUS: &Table<StatusCode> = &[("201", StatusCode::CREATED), ("200", StatusCode::OK)];
const DELETE_STATUS: &Table<StatusCode> = &[("200", StatusCode::OK), ("204", StatusCode::NO_CONTENT)];
const LIST_SHAPE: &Table<Shape> = &[
    ("array", Shape::Array),
    ("tasks", Shape::Tasks),
    ("tasks_count", Shape::TasksCount),
    ("tasks_total", Shape::TasksTotal),
    ("tasks_total_limit_offset", Shape::TasksTotalLimitOffset),
    ("items_total_page", Shape::ItemsTotalPage),
];

const REGISTER_STATUS: &Table<StatusCode> = CREATE_STATUS;
const DUPLICATE_STATUS: &Table<StatusCode> = &[("400", StatusCode::BAD_REQUEST), ("409", StatusCode::CONFLICT)];

const TITLE_MAX: usize = 200;
/// A title is not a document; the description takes no more either.
const TITLE_MAX_CEILING: usize = 1000;

/// How a task's creation is answered.
///
/// # Errors
/// When the setting is neither 201 nor 200.
pub fn create_status() -> Result<StatusCode, Failure> {
    choose("create_status", CREATE_STATUS)
}

/// How a task's deletion is answered.
///
/// # Errors
/// When the setting is neither 200 nor 204.
pub fn delete_status() -> Result<StatusCode, Failure> {
    choose("delete_status", DELETE_STATUS)
}

/// How a list is wrapped.
///
/// # Errors
/// When the setting is not in the table.
pub fn list_shape() -> Result<Shape, Failure> {
    choose("list_shape", LIST_SHAPE)
}

/// How a registration is answered.
///
/// # Errors
/// When the setting is neither 201 nor 200.
pub fn register_status() -> Result<StatusCode, Failure> {
    choose("register_status", REGISTER_STATUS)
}

/// How a registration is answered when the address has an account.
///
/// # Errors
/// When the setting is neither 400 nor 409.
pub fn duplicate_status() -> Result<StatusCode, Failure> {
    choose("duplicate_status", DUPLICATE_STATUS)
}

/// How many characters a title may have.
///
/// # Errors
/// When the setting is not a number from 1 to 1000.
pub fn title_max() -> Result<usize, Failure> {
    title_max_of(config::get("title_max").as_deref())
}

fn title_max_of(value: Option<&str>) -> Result<usize, Failure> {
    let Some(value) = value else {
        return Ok(TITLE_MAX);
    };
    let number = value.parse().ok().filter(|number| (1..=TITLE_MAX_CEILING).contains(number));
    number.ok_or_else(|| refuse("title_max", value, &format!("a number from 1 to {TITLE_MAX_CEILING}")))
}

fn choose<T: Copy>(key: &str, table: &Table<T>) -> Result<T, Failure> {
    choice_of(key, config::get(key).as_deref(), table)
}

fn choice_of<T: Copy>(key: &str, value: Option<&str>, table: &Table<T>) -> Result<T, Failure> {
    let found = match value {
        None => table.first(),
        Some(value) => table.iter().find(|(name, _)| *name == value),
    };
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        refuse(key, value.unwrap_or_default(), &format!("one of {}", names.join(", ")))
    })
}

fn refuse(key: &str, value: &str, expected: &str) -> Failure {
    Failure::Broken(format!("the module's setting `{key}` is {value:?}, but must be {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T, Failure>, sentence: &str) {
        let Err(Failure::Broken(why)) = result else { panic!("{result:?} is not refused") };
        assert_eq!(why, sentence);
    }

    #[track_caller]
    fn taken<T: std::fmt::Debug + PartialEq>(result: Result<T, Failure>, expected: T) {
        assert_eq!(result.expect("the setting is allowed"), expected);
    }

    #[test]
    fn a_missing_setting_is_the_first_of_its_table() {
        taken(choice_of("delete_status", None, DELETE_STATUS), StatusCode::OK);
        taken(choice_of("create_status", None, CREATE_STATUS), StatusCode::CREATED);
        taken(choice_of("list_shape", None, LIST_SHAPE), Shape::Array);
        taken(title_max_of(None), 200);
    }

    #[test]
    fn a_setting_that_is_allowed_counts() {
        taken(choice_of("delete_status", Some("204"), DELETE_STATUS), StatusCode::NO_CONTENT);
        taken(choice_of("list_shape", Some("tasks_total"), LIST_SHAPE), Shape::TasksTotal);
        taken(title_max_of(Some("255")), 255);
    }

    #[test]
    fn a_setting_that_is_not_allowed_is_never_ignored() {
        refused(
            choice_of("delete_status", Some("201"), DELETE_STATUS),
            "the module's setting `delete_status` is \"201\", but must be one of 200, 204",
        );
        refused(
            title_max_of(Some("0")),
            "the module's setting `title_max` is \"0\", but must be a number from 1 to 1000",
        );
    }
}
