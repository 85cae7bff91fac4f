//! The keys of the module's `config`: where the clients in the field differ.
//! The first value of each is the default; `README.md` says who needs another.
//!
//! A value that is not allowed is never ignored: the request fails with a
//! sentence in the log, as the guest has no earlier moment to complain.

use axum::http::StatusCode;
use innkeeper_guest::config;

use crate::reply::Failure;
use crate::tasks::shape::Shape;
use crate::tools;

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

const MESSAGE_MAX: usize = 5000;
/// What is read of a conversation at once has room for ten of these.
const MESSAGE_MAX_CEILING: usize = 10_000;
/// They are sent with every request to the model.
const INSTRUCTIONS_MAX: usize = 8000;

/// Where the text of a chat's answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKey {
    /// `response`
    Response,
    /// `response`, and `message` once more.
    Both,
}

const REPLY_KEY: &Table<ReplyKey> = &[("response", ReplyKey::Response), ("both", ReplyKey::Both)];

/// Stands in `chat_approval` for the tools of other modules that do not say of
/// themselves that they only read.
pub const OTHERS: &str = "others";

/// What the operator says of the chat.
#[derive(Clone, Debug, Default)]
pub struct ChatSettings {
    /// For the model.
    pub instructions: String,
    /// Tools that wait for the user's approval.
    pub approval: Vec<String>,
    /// The alias of the model; the first that is granted when there is none.
    pub model: Option<String>,
}

impl ChatSettings {
    /// Whether the tool of this name waits for the user.
    pub fn needs_approval(&self, tool: &str) -> bool {
        self.approval.iter().any(|name| name == tool)
    }
}

/// How the chat works.
///
/// # Errors
/// When `chat_approval` names no tool, or `chat_instructions` is too long.
pub fn chat() -> Result<ChatSettings, Failure> {
    let instructions = config::get("chat_instructions").unwrap_or_default();
    if instructions.len() > INSTRUCTIONS_MAX {
        let shown: String = instructions.chars().take(40).collect();
        return Err(refuse("chat_instructions", &shown, &format!("at most {INSTRUCTIONS_MAX} bytes")));
    }
    let approval = approval_of(&config::get("chat_approval").unwrap_or_default())?;
    Ok(ChatSettings { instructions, approval, model: config::get("chat_model") })
}

fn approval_of(value: &str) -> Result<Vec<String>, Failure> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    let known = names.map(|name| (name == OTHERS || tools::find(name).is_some()).then(|| name.to_owned()));
    known.collect::<Option<_>>().ok_or_else(|| {
        let names: Vec<&str> = tools::ALL.iter().map(|tool| tool.name).collect();
        let names = names.join(", ");
        refuse("chat_approval", value, &format!("some of {names}, {OTHERS}, with commas between them"))
    })
}

/// Where the text of a chat's answer stands.
///
/// # Errors
/// When the setting is not in the table.
pub fn chat_reply_key() -> Result<ReplyKey, Failure> {
    choose("chat_reply_key", REPLY_KEY)
}

/// How many characters a message may have.
///
/// # Errors
/// When the setting is not a number from 1 to 10,000.
pub fn message_max() -> Result<usize, Failure> {
    number_of("message_max", config::get("message_max").as_deref(), MESSAGE_MAX, MESSAGE_MAX_CEILING)
}

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
    number_of("title_max", value, TITLE_MAX, TITLE_MAX_CEILING)
}

fn number_of(key: &str, value: Option<&str>, default: usize, ceiling: usize) -> Result<usize, Failure> {
    let Some(value) = value else {
        return Ok(default);
    };
    let number = value.parse().ok().filter(|number| (1..=ceiling).contains(number));
    number.ok_or_else(|| refuse(key, value, &format!("a number from 1 to {ceiling}")))
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
    fn tools_that_wait_are_named_with_commas_between_them() {
        taken(approval_of(" delete_task , update_task,"), vec!["delete_task".to_owned(), "update_task".to_owned()]);
        taken(approval_of("others"), vec!["others".to_owned()]);
        taken(approval_of(""), Vec::new());
        refused(
            approval_of("delete_tasks"),
            "the module's setting `chat_approval` is \"delete_tasks\", but must be some of add_task, list_tasks, \
             search_tasks, complete_task, complete_tasks, update_task, delete_task, others, with commas between them",
        );
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
