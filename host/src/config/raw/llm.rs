//! `[llm]` of the file: models by alias, and budgets.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub(in crate::config) struct RawLlm {
    #[serde(default)]
    pub(in crate::config) models: BTreeMap<String, RawModel>,
    #[serde(default)]
    pub(in crate::config) budgets: RawBudgets,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::config) struct RawModel {
    pub(in crate::config) model: Option<String>,
    pub(in crate::config) dialect: Option<String>,
    pub(in crate::config) base_url: Option<String>,
    pub(in crate::config) key: Option<String>,
    #[serde(default)]
    pub(in crate::config) quirks: RawQuirks,
    pub(in crate::config) max_output_tokens: Option<u32>,
    #[serde(default)]
    pub(in crate::config) timeouts: RawTimeouts,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::config) struct RawQuirks {
    pub(in crate::config) max_completion_tokens: Option<bool>,
    pub(in crate::config) tool_choice: Option<bool>,
    pub(in crate::config) parallel_tool_calls: Option<bool>,
    pub(in crate::config) strict: Option<bool>,
    pub(in crate::config) usage: Option<bool>,
    pub(in crate::config) developer_role: Option<bool>,
    pub(in crate::config) temperature: Option<bool>,
    pub(in crate::config) effort: Option<bool>,
    pub(in crate::config) images: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::config) struct RawTimeouts {
    pub(in crate::config) connect: Option<String>,
    pub(in crate::config) first_event: Option<String>,
    pub(in crate::config) idle: Option<String>,
    pub(in crate::config) total: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::config) struct RawBudgets {
    pub(in crate::config) requests_per_run: Option<u32>,
    #[serde(default)]
    pub(in crate::config) caller: RawBudget,
    #[serde(default)]
    pub(in crate::config) anonymous: RawBudget,
    #[serde(default)]
    pub(in crate::config) module: RawBudget,
    #[serde(default)]
    pub(in crate::config) host: RawBudget,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::config) struct RawBudget {
    pub(in crate::config) requests_per_minute: Option<u64>,
    pub(in crate::config) input_tokens_per_day: Option<u64>,
    pub(in crate::config) output_tokens_per_day: Option<u64>,
    pub(in crate::config) concurrency: Option<u64>,
}
