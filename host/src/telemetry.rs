//! Logs and metrics.
//!
//! Logs go to standard error: text on a terminal, one JSON object per line
//! elsewhere. Tokens, cookies, bodies, SQL parameters, rows and connection
//! strings are never fields of an event.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

/// Requests by module, and by what became of them (`blame` is `none` for a
/// request that was served).
pub const REQUESTS: &str = "innkeeper_requests_total";
/// Seconds from the request's head to the answer's head.
pub const LATENCY: &str = "innkeeper_request_seconds";
/// Requests that are being served.
pub const IN_FLIGHT: &str = "innkeeper_requests_in_flight";
/// Guest log lines that were dropped because a call wrote too many.
pub const LOG_DROPPED: &str = "innkeeper_guest_log_lines_dropped_total";

/// Reads of Better Auth's tables, by kind: `session` or `keys`.
pub const IDENTITY_LOOKUPS: &str = "innkeeper_identity_lookups_total";
/// Calls of the accounts broker, by call (`register`, `login`, `sign-out`) and
/// by outcome: many `wrong_credentials` or `too_many` are somebody who guesses.
pub const ACCOUNT_CALLS: &str = "innkeeper_account_calls_total";
/// Requests to language models, by module, alias and outcome: `ok`, `hung-up`, or
/// the word for what went wrong.
pub const LLM_REQUESTS: &str = "innkeeper_llm_requests_total";
/// Tokens as the budgets counted them, by module, alias and kind: `input` or `output`.
pub const LLM_TOKENS: &str = "innkeeper_llm_tokens_total";
/// Seconds until an answer began, by module and alias.
pub const LLM_FIRST_EVENT: &str = "innkeeper_llm_first_event_seconds";
/// Requests that guests sent by HTTP, by module, server (`none` where it was not
/// granted) and outcome: `ok`, or the word for what went wrong.
pub const HTTP_REQUESTS: &str = "innkeeper_http_requests_total";
/// Candidates for the next generation, by what they were built for (`start`, `file`,
/// `configuration`, `operator`, `failures`) and what came of them (`published`,
/// `unchanged`, `refused`, `rolled_back`).
pub const SWAPS: &str = "innkeeper_swaps_total";
/// The generation that is served.
pub const GENERATION: &str = "innkeeper_generation";
/// Spans that the collector did not get.
pub const SPANS_LOST: &str = "innkeeper_spans_lost_total";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl Format {
    /// As `INNKEEPER_LOG_FORMAT` says (`text` or `json`), else by whether
    /// standard error is a terminal.
    pub fn choose(configured: Option<&str>) -> Self {
        match configured {
            Some("json") => Self::Json,
            Some("text") => Self::Text,
            _ if std::io::stderr().is_terminal() => Self::Text,
            _ => Self::Json,
        }
    }
}

/// Starts logging for the process. A second call changes nothing.
pub fn init(format: Format, filter: Option<&str>) {
    let _ = set_global(format, filter, std::io::stderr);
}

fn set_global<W>(
    format: Format,
    filter: Option<&str>,
    writer: W,
) -> Result<(), tracing::subscriber::SetGlobalDefaultError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A filter that does not parse falls back to the default, for a typo in
    // RUST_LOG must not silence the one log that would tell about it.
    // `EnvFilter` would print warnings of its own between the lines.
    let filter =
        filter.and_then(|text| text.parse().ok()).unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    // It tells of every request at `info`, and at `debug` what guests answered.
    let filter: Targets = filter.with_target("rmcp", LevelFilter::WARN);
    let lines = fmt::layer().with_writer(writer);
    let registry = registry().with(silence()).with(filter);
    match format {
        Format::Text => tracing::subscriber::set_global_default(registry.with(lines.with_target(false))),
        Format::Json => tracing::subscriber::set_global_default(
            registry.with(lines.json().flatten_event(true).with_current_span(false)),
        ),
    }
}

/// Whatever the operator's filter says: the client of language models logs whole
/// answers, and errors that hold parts of keys. `broker/llm` says what there is to
/// say about them.
pub(crate) fn silence() -> Targets {
    let all = Targets::new().with_default(LevelFilter::TRACE);
    all.with_target("async_openai", LevelFilter::OFF).with_target("reqwest", LevelFilter::OFF)
}

/// Starts metrics for the process; the handle renders them for `/metrics`.
/// None when they were started before, as in a process that runs several hosts.
pub fn metrics() -> Option<PrometheusHandle> {
    let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let builder = PrometheusBuilder::new().set_buckets(&seconds).ok()?;
    let handle = builder.install_recorder().ok()?;
    metrics::describe_counter!(REQUESTS, "Requests by module and blame");
    metrics::describe_histogram!(LATENCY, metrics::Unit::Seconds, "Time to the head of the answer");
    metrics::describe_gauge!(IN_FLIGHT, "Requests that are being served");
    metrics::describe_counter!(IDENTITY_LOOKUPS, "Reads of Better Auth's tables");
    metrics::describe_counter!(LOG_DROPPED, "Guest log lines over a call's limit");
    metrics::describe_counter!(LLM_REQUESTS, "Requests to language models");
    metrics::describe_counter!(HTTP_REQUESTS, "Requests that guests sent by HTTP");
    metrics::describe_counter!(LLM_TOKENS, "Tokens that language models took and gave");
    metrics::describe_histogram!(LLM_FIRST_EVENT, metrics::Unit::Seconds, "Time until an answer began");
    metrics::describe_counter!(SWAPS, "Candidates for the next generation");
    metrics::describe_gauge!(GENERATION, "The generation that is served");
    metrics::describe_counter!(SPANS_LOST, "Spans that the collector did not get");
    Some(handle)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::silence;

    #[test]
    fn the_client_of_language_models_logs_nothing() {
        for target in ["async_openai", "async_openai::client", "reqwest::connect"] {
            assert!(!silence().would_enable(target, &Level::ERROR), "{target}");
        }
        assert!(silence().would_enable("innkeeper::broker::llm::upstream", &Level::DEBUG));
    }
}
