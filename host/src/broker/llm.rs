//! The LLM broker: models behind aliases, asked by typed messages, within budgets.

mod error;
mod model;
pub mod upstream;

pub use error::{LimitInfo, LlmError, Scope, Unit, Wait};
pub use model::{
    Completion, Effort, Event, Finish, Format, Message, Part, Request, Tool, ToolCall, ToolChoice, Turn, Usage,
};
