//! The models that guests may ask, and how much of them.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// Every model, and the budgets over all of them.
#[derive(Clone, Debug, Default)]
pub struct Llm {
    /// One for each alias. `default` comes from `OPENAI_API_KEY`, `OPENAI_BASE_URL`
    /// and `OPENAI_MODEL`, unless the file has one of that name.
    pub models: Vec<LlmModel>,
    /// What callers, modules and the host may use.
    pub budgets: LlmBudgets,
}

/// One model behind an alias.
#[derive(Clone, Debug)]
pub struct LlmModel {
    /// What guests call it; `[a-z][a-z0-9-]{0,30}`.
    pub alias: String,
    /// What its server calls it.
    pub model: String,
    /// Which of OpenAI's two interfaces its server is asked by.
    pub dialect: Dialect,
    /// Without a slash at the end; `/chat/completions` or `/responses` is appended.
    pub base_url: Url,
    /// Sent as a Bearer token; none for servers that ask for none.
    pub key: Option<SecretString>,
    /// What this server differs in.
    pub quirks: Quirks,
    /// The most tokens of one answer, and what an answer gets when the guest does
    /// not say. Too low: answers are cut. Too high: each request reserves as much.
    pub max_output_tokens: u32,
    /// How long it may take.
    pub timeouts: LlmTimeouts,
}

/// OpenAI's interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `/chat/completions`, which every server of the kind has.
    #[default]
    Chat,
    /// `/responses`, which OpenAI's reasoning models want when there are tools.
    Responses,
}

/// What servers differ in. The defaults suit OpenAI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact about a server, and a line of the file")]
pub struct Quirks {
    /// `max_completion_tokens`; older servers know `max_tokens` alone.
    pub max_completion_tokens: bool,
    /// `tool_choice` is understood.
    pub tool_choice: bool,
    /// `parallel_tool_calls` is understood.
    pub parallel_tool_calls: bool,
    /// `strict` in tools and schemas is understood.
    pub strict: bool,
    /// `stream_options.include_usage` is understood.
    pub usage: bool,
    /// The system message is sent as `developer`.
    pub developer_role: bool,
    /// `temperature` is understood; reasoning models refuse it.
    pub temperature: bool,
    /// `reasoning_effort`, or `reasoning.effort`, is understood.
    pub effort: bool,
    /// Images are understood.
    pub images: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            max_completion_tokens: true,
            tool_choice: true,
            parallel_tool_calls: true,
            strict: true,
            usage: true,
            developer_role: false,
            temperature: true,
            effort: false,
            images: true,
        }
    }
}

/// How long an upstream may take. Lower: slow models are cut off. Higher: a dead
/// upstream holds its caller, and the caller's instance, for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LlmTimeouts {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From the request to the first event of the answer, retries included.
    pub first_event: Duration,
    /// Between two events.
    pub idle: Duration,
    /// From the request to the last event.
    pub total: Duration,
}

impl Default for LlmTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_event: Duration::from_secs(30),
            idle: Duration::from_secs(20),
            total: Duration::from_secs(120),
        }
    }
}

/// Budgets. Each counts per window and is kept in the database; zero: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LlmBudgets {
    /// Of one signed-in caller, in one module.
    pub caller: LlmBudget,
    /// Of all callers without a credential together, in one module.
    pub anonymous: LlmBudget,
    /// Of one module.
    pub module: LlmBudget,
    /// Of the host with all its modules and replicas.
    pub host: LlmBudget,
    /// Requests that one call of a guest may make. Too low: an agent's loop ends
    /// early. Too high: a loop that does not end costs so much.
    pub requests_per_run: u32,
}

/// One budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LlmBudget {
    /// Requests in a minute.
    pub requests_per_minute: u64,
    /// Tokens that are sent in a day (UTC).
    pub input_tokens_per_day: u64,
    /// Tokens that come back in a day (UTC).
    pub output_tokens_per_day: u64,
    /// Requests at once.
    pub concurrency: u64,
}

impl Default for LlmBudgets {
    fn default() -> Self {
        Self {
            caller: LlmBudget {
                requests_per_minute: 60,
                input_tokens_per_day: 2_000_000,
                output_tokens_per_day: 200_000,
                concurrency: 4,
            },
            // A stranger's chat is somebody's bill.
            anonymous: LlmBudget {
                requests_per_minute: 10,
                input_tokens_per_day: 100_000,
                output_tokens_per_day: 10_000,
                concurrency: 2,
            },
            module: LlmBudget { requests_per_minute: 3_000, concurrency: 512, ..LlmBudget::default() },
            host: LlmBudget { requests_per_minute: 6_000, concurrency: 1_024, ..LlmBudget::default() },
            requests_per_run: 16,
        }
    }
}
