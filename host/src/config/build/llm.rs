//! The models that guests may ask, and the budgets over them.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::limits::parse_duration;
use crate::config::llm::{Dialect, Llm, LlmBudget, LlmBudgets, LlmModel, LlmTimeouts, Quirks};
use crate::config::raw::{RawBudget, RawBudgets, RawLlm, RawModel, RawQuirks, RawTimeouts};
use crate::config::{Env, Grants, Problems};

/// The alias that the environment alone configures.
pub(super) const DEFAULT_ALIAS: &str = "default";
/// What its name is at OpenAI. It does not reason, so it calls tools by the
/// interface that every server has, and it costs little.
const DEFAULT_MODEL: &str = "gpt-4.1-mini";
const OPENAI: &str = "https://api.openai.com/v1";
/// What an answer gets when the guest does not say, and the most of it. Each
/// request reserves as much of its budgets.
const MAX_OUTPUT_TOKENS: u32 = 4_096;
const MAX_OUTPUT_TOKENS_MOST: u32 = 1 << 20;
/// A wait that is longer holds an instance that nobody uses.
const TIMEOUT_MOST: Duration = Duration::from_secs(60 * 60);
/// So that no sum of budgets leaves the database's integers.
const BUDGET_MOST: u64 = 1 << 50;
const REQUESTS_PER_RUN_MOST: u32 = 1_000;

pub(super) fn build(raw: RawLlm, env: &Env, problems: &mut Problems) -> Llm {
    let RawLlm { models, budgets } = raw;
    let from_env = if models.contains_key(DEFAULT_ALIAS) { None } else { of_environment(env, problems) };
    let mut all: Vec<LlmModel> = from_env.into_iter().collect();
    for (alias, raw) in models {
        let key = format!("llm.models.{alias}");
        if !valid_alias(&alias) {
            problems.push(
                &key,
                "not an alias",
                "use lower-case letters, digits and dashes, at most 31, a letter first",
            );
        }
        all.push(build_model(&key, alias, raw, env, problems));
    }
    Llm { models: all, budgets: build_budgets(budgets, problems) }
}

/// Every alias that a module was granted has a model. The default one need not:
/// without a key the rest of such a module is served all the same.
pub(super) fn check_grants(key: &str, grants: &Grants, llm: &Llm, problems: &mut Problems) {
    for alias in grants.llm.iter().flatten() {
        if alias != DEFAULT_ALIAS && !llm.models.iter().any(|model| model.alias == *alias) {
            let hint = format!("add [llm.models.{alias}] to the file, or take it out of the grant");
            problems.push(format!("{key}.llm"), format!("no model `{alias}` is configured"), hint);
        }
    }
}

fn valid_alias(alias: &str) -> bool {
    alias.len() <= 31
        && alias.starts_with(|first: char| first.is_ascii_lowercase())
        && alias.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `OPENAI_MODEL`, as every client of
/// OpenAI reads them. Never mixed with the file's own model of that alias: a key
/// must not reach a server that it was not meant for.
fn of_environment(env: &Env, problems: &mut Problems) -> Option<LlmModel> {
    let key = env.secret("OPENAI_API_KEY", problems);
    let base = env.get("OPENAI_BASE_URL");
    if key.is_none() && base.is_none() {
        return None;
    }
    let model = env.get("OPENAI_MODEL").unwrap_or(DEFAULT_MODEL).trim().to_owned();
    if key.is_none() && env.get("OPENAI_MODEL").is_none() {
        let what = "OPENAI_BASE_URL names a server without a key, and nothing says which of its models to ask";
        problems.push(
            "OPENAI_MODEL",
            what,
            "set it to the name of a model there, such as llama3.2, or set OPENAI_API_KEY",
        );
    }
    let base_url = base_url("OPENAI_BASE_URL", base, problems);
    let dialect = dialect("INNKEEPER_LLM_DIALECT", env.get("INNKEEPER_LLM_DIALECT"), problems);
    Some(LlmModel {
        alias: DEFAULT_ALIAS.to_owned(),
        model,
        dialect,
        quirks: usual_quirks(&base_url),
        base_url,
        key: key.and_then(|key| clean_key("OPENAI_API_KEY", &key, problems)),
        max_output_tokens: MAX_OUTPUT_TOKENS,
        timeouts: LlmTimeouts::default(),
    })
}

fn build_model(key: &str, alias: String, raw: RawModel, env: &Env, problems: &mut Problems) -> LlmModel {
    let RawModel { model, dialect: named, base_url: base, key: secret, quirks, max_output_tokens, timeouts } = raw;
    let model = model.unwrap_or_default().trim().to_owned();
    if model.is_empty() {
        problems.push(format!("{key}.model"), "missing", "name the model as its server calls it, such as gpt-4.1-mini");
    }
    let base_url = base_url(&format!("{key}.base_url"), base.as_deref(), problems);
    let secret_key = format!("{key}.key");
    let secret = secret.and_then(|reference| env.reference(&secret_key, &reference, problems));
    let max_output_tokens = max_output_tokens.unwrap_or(MAX_OUTPUT_TOKENS);
    if !(1..=MAX_OUTPUT_TOKENS_MOST).contains(&max_output_tokens) {
        let what = format!("not from 1 to {MAX_OUTPUT_TOKENS_MOST}");
        problems.push(format!("{key}.max_output_tokens"), what, format!("leave it out for {MAX_OUTPUT_TOKENS}"));
    }
    LlmModel {
        alias,
        model,
        dialect: dialect(&format!("{key}.dialect"), named.as_deref(), problems),
        quirks: build_quirks(quirks, usual_quirks(&base_url)),
        base_url,
        key: secret.and_then(|secret| clean_key(&secret_key, &secret, problems)),
        max_output_tokens,
        timeouts: build_timeouts(&format!("{key}.timeouts"), &timeouts, problems),
    }
}

/// A key travels in a header. What is wrong with it is told without showing it.
fn clean_key(name: &str, key: &SecretString, problems: &mut Problems) -> Option<SecretString> {
    let key = key.expose_secret().trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        problems.push(name, "empty, or holds a character that no key has", "set the key alone, on one line");
        return None;
    }
    Some(SecretString::from(key))
}

fn base_url(key: &str, text: Option<&str>, problems: &mut Problems) -> Url {
    let wrong = match Url::parse(text.unwrap_or(OPENAI).trim().trim_end_matches('/')) {
        Err(_) => "not a URL",
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => "neither http:// nor https://",
        // It would end up in logs.
        Ok(url) if !url.username().is_empty() || url.password().is_some() => "holds a user or a password",
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "holds more than scheme, host, port and path",
        Ok(url) => return url,
    };
    problems.push(key, wrong, "write it as https://api.openai.com/v1 or http://ollama:11434/v1; keys go elsewhere");
    fallback()
}

/// Stands in for a URL that was refused; nothing is ever sent there.
fn fallback() -> Url {
    Url::parse(OPENAI).expect("a constant that is a URL")
}

fn dialect(key: &str, text: Option<&str>, problems: &mut Problems) -> Dialect {
    match text {
        None | Some("chat") => Dialect::Chat,
        Some("responses") => Dialect::Responses,
        Some(other) => {
            let what = format!("`{other}` is neither chat nor responses");
            problems.push(key, what, "leave it out for chat; OpenAI's reasoning models need responses to call tools");
            Dialect::Chat
        }
    }
}

/// OpenAI and Azure want `max_completion_tokens`; the others all know `max_tokens`.
fn usual_quirks(base_url: &Url) -> Quirks {
    let host = base_url.host_str().unwrap_or_default();
    let own = host == "api.openai.com" || host.ends_with(".openai.azure.com");
    Quirks { max_completion_tokens: own, ..Quirks::default() }
}

fn build_quirks(raw: RawQuirks, usual: Quirks) -> Quirks {
    let RawQuirks {
        max_completion_tokens,
        tool_choice,
        parallel_tool_calls,
        strict,
        usage,
        developer_role,
        temperature,
        effort,
        images,
    } = raw;
    Quirks {
        max_completion_tokens: max_completion_tokens.unwrap_or(usual.max_completion_tokens),
        tool_choice: tool_choice.unwrap_or(usual.tool_choice),
        parallel_tool_calls: parallel_tool_calls.unwrap_or(usual.parallel_tool_calls),
        strict: strict.unwrap_or(usual.strict),
        usage: usage.unwrap_or(usual.usage),
        developer_role: developer_role.unwrap_or(usual.developer_role),
        temperature: temperature.unwrap_or(usual.temperature),
        effort: effort.unwrap_or(usual.effort),
        images: images.unwrap_or(usual.images),
    }
}

fn build_timeouts(key: &str, raw: &RawTimeouts, problems: &mut Problems) -> LlmTimeouts {
    let RawTimeouts { connect, first_event, idle, total } = raw;
    let usual = LlmTimeouts::default();
    let mut time = |field: &str, text: &Option<String>, usual: Duration| {
        let Some(text) = text else { return usual };
        parse_duration(text).filter(|time| *time <= TIMEOUT_MOST).unwrap_or_else(|| {
            let what = format!("`{text}` is not a duration up to an hour");
            problems.push(format!("{key}.{field}"), what, "write it as 500ms, 30s or 2m");
            usual
        })
    };
    LlmTimeouts {
        connect: time("connect", connect, usual.connect),
        first_event: time("first_event", first_event, usual.first_event),
        idle: time("idle", idle, usual.idle),
        total: time("total", total, usual.total),
    }
}

fn build_budgets(raw: RawBudgets, problems: &mut Problems) -> LlmBudgets {
    let RawBudgets { requests_per_run, caller, anonymous, module, host } = raw;
    let usual = LlmBudgets::default();
    let requests_per_run = requests_per_run.unwrap_or(usual.requests_per_run);
    if !(1..=REQUESTS_PER_RUN_MOST).contains(&requests_per_run) {
        let what = format!("not from 1 to {REQUESTS_PER_RUN_MOST}");
        problems.push("llm.budgets.requests_per_run", what, format!("leave it out for {}", usual.requests_per_run));
    }
    LlmBudgets {
        caller: build_budget("caller", &caller, usual.caller, problems),
        anonymous: build_budget("anonymous", &anonymous, usual.anonymous, problems),
        module: build_budget("module", &module, usual.module, problems),
        host: build_budget("host", &host, usual.host, problems),
        requests_per_run,
    }
}

fn build_budget(whose: &str, raw: &RawBudget, usual: LlmBudget, problems: &mut Problems) -> LlmBudget {
    let RawBudget { requests_per_minute, input_tokens_per_day, output_tokens_per_day, concurrency } = raw;
    let mut count = |field: &str, value: &Option<u64>, usual: u64| {
        let value = value.unwrap_or(usual);
        if value > BUDGET_MOST {
            let what = format!("{value} is more than {BUDGET_MOST}");
            problems.push(format!("llm.budgets.{whose}.{field}"), what, "write 0 for no limit");
        }
        value
    };
    LlmBudget {
        requests_per_minute: count("requests_per_minute", requests_per_minute, usual.requests_per_minute),
        input_tokens_per_day: count("input_tokens_per_day", input_tokens_per_day, usual.input_tokens_per_day),
        output_tokens_per_day: count("output_tokens_per_day", output_tokens_per_day, usual.output_tokens_per_day),
        concurrency: count("concurrency", concurrency, usual.concurrency),
    }
}
