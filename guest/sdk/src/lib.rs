//! Write Innkeeper guests in Rust.
//!
//! A guest is an ordinary axum application. It runs in a fresh sandbox for
//! every request and holds no socket, no secret and no connection; what it may
//! use of the host is here:
//!
//! * [`sql`]: statements that live in `.sql` files, rows that decode by serde;
//! * [`schema!`]: declares those statements, and the tables they need;
//! * [`Caller`]: who is calling, as an axum extractor;
//! * [`accounts`]: users who register and sign in at this host;
//! * [`llm`]: language models that the operator granted;
//! * [`tools`]: what models and other clients can ask this module to do;
//! * [`resources`], [`prompts`], [`completions`]: what they can read, and begin with;
//! * [`toolbox`]: tools of other modules;
//! * [`notify`]: what a guest says while it works;
//! * [`streamed`]: an answer that goes out while it is made;
//! * [`config`]: settings that the operator gave this module.
//!
//! ```ignore
//! use innkeeper_guest::{schema, sql::Statement, statement, Caller};
//!
//! const NOTES: Statement = statement!("notes", "sql/notes.sql");
//! schema! { statements: [NOTES], migrations: [(1, "notes", "sql/0001.postgres.sql", "sql/0001.sqlite.sql")], owned: [("notes", "owner")] }
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Note { id: i64, text: String }
//!
//! async fn notes(caller: Caller) -> Result<axum::Json<Vec<Note>>, MyError> {
//!     Ok(axum::Json(NOTES.bind(&caller.subject).all()?))
//! }
//! ```

pub mod accounts;
mod caller;
pub mod completions;
pub mod config;
mod context;
mod http;
pub mod llm;
pub mod notify;
pub mod prompts;
pub mod resources;
mod row;
#[doc(hidden)]
pub mod schema;
mod shape;
pub mod sql;
pub mod toolbox;
pub mod tools;
mod value;
mod wire;

pub use caller::{Caller, NotAuthenticated};
pub use http::{serve, streamed};
pub use value::{Json, Timestamp, Value};

pub(crate) mod bindings {
    #![allow(missing_docs, clippy::all)]
    wit_bindgen::generate!({
        path: "../../wit",
        world: "innkeeper:backend/imports",
        generate_all,
    });
}
