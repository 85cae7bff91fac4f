//! The tasks as clients of the Model Context Protocol read them, what those can
//! begin a conversation with, and who is told of a change.
//!
//! Titles, descriptions and tags are what somebody typed. A model takes a prompt's
//! text for instructions, so they are in documents alone, and the text says what
//! they are.

pub mod changes;
mod documents;
mod entries;
mod plan;
mod tags;

use innkeeper_guest::completions::Completion;
use innkeeper_guest::prompts::Prompt;
use innkeeper_guest::resources::Resource;
use innkeeper_guest::{prompt, resource};

pub use entries::list;

/// What every address starts with.
pub const PREFIXES: [&str; 1] = ["todo://"];

/// All tasks.
const TODOS: &str = "todo://todos";
/// Those that are not done.
const OPEN: &str = "todo://todos/open";

const JSON: &str = "application/json";
/// Variables and arguments that are tags.
const BY_TAG: &[(&str, Completion)] = &[("tag", tags::begun)];

/// What there is to read. An address that fits two of them is of the first.
pub const RESOURCES: [Resource; 4] = [
    resource!("todo://todos", "todos", "The user's todos, the latest changed first.", documents::all)
        .title("Todos")
        .mime_type(JSON),
    resource!(
        "todo://todos/open",
        "open-todos",
        "The user's todos that are not done, the soonest due first.",
        documents::open
    )
    .title("Open todos")
    .mime_type(JSON),
    resource!("todo://todos/{id}", "todo", "One of the user's todos, by its id.", documents::one)
        .title("One todo")
        .mime_type(JSON),
    resource!(
        "todo://tags/{tag}",
        "todos-by-tag",
        "The user's todos that have a tag and are not done, the soonest due first.",
        documents::tagged
    )
    .title("Todos by tag")
    .mime_type(JSON)
    .complete(BY_TAG),
];

/// What a conversation can begin with.
pub const PROMPTS: [Prompt; 2] = [
    prompt!("plan_my_day", "Plan today from the todos that are open, or from those with a tag.", plan::day)
        .title("Plan my day")
        .complete(BY_TAG),
    prompt!("weekly_review", "Look back on a week of todos, and choose what matters in the next.", plan::review)
        .title("Weekly review"),
];
