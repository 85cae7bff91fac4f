//! The configuration file as it is written. Nothing here is valid yet:
//! `config.rs` turns it into the one form that is.

mod llm;

use std::collections::BTreeMap;

use serde::Deserialize;

pub(super) use llm::{RawBudget, RawBudgets, RawLlm, RawModel, RawQuirks, RawTimeouts};

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawFile {
    pub(super) listen: Option<String>,
    pub(super) admin_listen: Option<String>,
    pub(super) data_dir: Option<String>,
    pub(super) cache_dir: Option<String>,
    pub(super) h2c: Option<bool>,
    pub(super) max_in_flight: Option<u32>,
    pub(super) trusted_proxies: Option<u8>,
    #[serde(default)]
    pub(super) database: RawDatabase,
    #[serde(default)]
    pub(super) auth: RawAuth,
    #[serde(default)]
    pub(super) cors: RawCors,
    #[serde(default)]
    pub(super) llm: RawLlm,
    #[serde(default)]
    pub(super) mcp: RawMcp,
    #[serde(default)]
    pub(super) compile: RawCompile,
    #[serde(default)]
    pub(super) swap: RawSwap,
    #[serde(default)]
    pub(super) dev: RawDev,
    #[serde(default)]
    pub(super) registry: RawRegistry,
    pub(super) signature: Option<RawSignature>,
    #[serde(default, rename = "module")]
    pub(super) modules: Vec<RawModule>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawDatabase {
    pub(super) url: Option<String>,
    pub(super) connections: Option<u32>,
    pub(super) isolation: Option<String>,
    pub(super) pooled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawAuth {
    pub(super) secret: Option<String>,
    pub(super) url: Option<String>,
    pub(super) jwks_url: Option<String>,
    pub(super) session_cache: Option<u32>,
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) local: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawCors {
    pub(super) origins: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawMcp {
    pub(super) public_url: Option<String>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) require_auth: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawCompile {
    pub(super) memory: Option<String>,
    pub(super) cpu: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawSwap {
    pub(super) watch: Option<bool>,
    pub(super) rollback_failures: Option<u32>,
    pub(super) rollback_window: Option<String>,
    pub(super) generation_header: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawDev {
    pub(super) build: Option<String>,
    pub(super) watch: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawRegistry {
    pub(super) insecure: Option<Vec<String>>,
    pub(super) ca: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawSignature {
    pub(super) keys: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawModule {
    pub(super) name: Option<String>,
    pub(super) source: Option<String>,
    pub(super) route: Option<String>,
    #[serde(default)]
    pub(super) grants: RawGrants,
    #[serde(default)]
    pub(super) limits: RawLimits,
    #[serde(default)]
    pub(super) config: BTreeMap<String, String>,
    pub(super) smoke: Option<String>,
    pub(super) signature: Option<RawSignature>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawGrants {
    pub(super) sql: Option<RawSqlGrant>,
    pub(super) accounts: Option<bool>,
    pub(super) llm: Option<Vec<String>>,
    pub(super) toolbox: Option<Vec<String>>,
    #[serde(default)]
    pub(super) keyvalue: bool,
    pub(super) http: Option<Vec<RawHttpGrant>>,
}

/// `"api.example.com"`, or `{ host = "api.example.com", … }`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a server is \"api.example.com\", or { host = \"api.example.com\", … } with methods, \
    header, private or ca"
)]
pub(super) enum RawHttpGrant {
    Open(String),
    Named(RawHttpServer),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttpServer {
    pub(super) host: String,
    #[serde(default)]
    pub(super) methods: Vec<String>,
    #[serde(default)]
    pub(super) header: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) private: bool,
    pub(super) ca: Option<String>,
}

/// `"main"`, or `{ database = "main", free = true }`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "sql is \"main\", or { database = \"main\", free = true }")]
pub(super) enum RawSqlGrant {
    Declared(String),
    Named(RawNamedSql),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNamedSql {
    pub(super) database: String,
    #[serde(default)]
    pub(super) free: bool,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawLimits {
    pub(super) memory: Option<String>,
    pub(super) cpu: Option<String>,
    pub(super) wall: Option<String>,
    pub(super) concurrency: Option<u32>,
    pub(super) host_calls: Option<u32>,
    pub(super) sql_rows: Option<u32>,
    pub(super) sql_bytes: Option<String>,
    pub(super) sql_time: Option<String>,
    pub(super) llm_time: Option<String>,
    pub(super) http_requests: Option<u32>,
    pub(super) http_bytes: Option<String>,
}
