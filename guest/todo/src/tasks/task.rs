//! A task, as the database has it and as clients see it.

use innkeeper_guest::{Json, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use crate::check::datetime;

/// One row of `tasks`; serialises to what clients get, in this order.
#[derive(Debug, Deserialize, Serialize)]
pub struct Task {
    id: i64,
    user_id: String,
    title: String,
    description: Option<String>,
    completed: bool,
    priority: String,
    #[serde(serialize_with = "datetime::write_option")]
    due_date: Option<Timestamp>,
    #[serde(serialize_with = "write_tags")]
    tags: Json<Vec<String>>,
    #[serde(serialize_with = "datetime::write")]
    created_at: Timestamp,
    #[serde(serialize_with = "datetime::write")]
    updated_at: Timestamp,
}

fn write_tags<S: Serializer>(tags: &Json<Vec<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    tags.0.serialize(serializer)
}

/// How urgent a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// `low`
    Low,
    /// `medium`, unless said otherwise.
    Medium,
    /// `high`
    High,
}

impl Priority {
    /// As the database and the clients write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The priority that is written so.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|priority| priority.word() == word)
    }
}
