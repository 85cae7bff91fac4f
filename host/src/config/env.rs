//! The environment, as a value: the process's own, or a test's map.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use super::problems::{Problems, nearest};

/// Where variables are read from.
#[derive(Clone, Debug, Default)]
pub struct Env(BTreeMap<String, String>);

/// Variables of this product, for finding misspelled ones.
const OWN: [&str; 26] = [
    "INNKEEPER_SIGNATURE_KEYS",
    "INNKEEPER_REGISTRY_USERNAME",
    "INNKEEPER_REGISTRY_USERNAME_FILE",
    "INNKEEPER_REGISTRY_PASSWORD",
    "INNKEEPER_REGISTRY_PASSWORD_FILE",
    "INNKEEPER_WATCH",
    "INNKEEPER_GENERATION_HEADER",
    "INNKEEPER_TOKEN",
    "INNKEEPER_TOKEN_FILE",
    "INNKEEPER_PUBLIC_URL",
    "INNKEEPER_MCP_HOSTS",
    "INNKEEPER_MCP_REQUIRE_AUTH",
    "INNKEEPER_LISTEN",
    "INNKEEPER_ADMIN_LISTEN",
    "INNKEEPER_CONFIG",
    "INNKEEPER_MODULE",
    "INNKEEPER_DATA_DIR",
    "INNKEEPER_CACHE_DIR",
    "INNKEEPER_DEV",
    "INNKEEPER_H2C",
    "INNKEEPER_MAX_IN_FLIGHT",
    "INNKEEPER_TRUSTED_PROXIES",
    "INNKEEPER_LOG_FORMAT",
    "INNKEEPER_ISOLATION",
    "INNKEEPER_DATABASE_POOLED",
    "INNKEEPER_LLM_DIALECT",
];

impl Env {
    /// The process's environment. Variables that are not UTF-8 are not ours.
    pub fn process() -> Self {
        Self(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect())
    }

    /// A given environment.
    pub fn of<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(vars.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// The same with one variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A variable's value. An empty variable counts as not set, as it does in
    /// a ConfigMap that leaves a key blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A secret, from `NAME` or from the file that `NAME_FILE` names. One
    /// trailing line break of the file is not part of it.
    pub fn secret(&self, name: &str, problems: &mut Problems) -> Option<SecretString> {
        let file_key = format!("{name}_FILE");
        match (self.get(name), self.get(&file_key)) {
            (Some(_), Some(_)) => {
                problems.push(&file_key, format!("{name} is set too"), "keep one of the two");
                None
            }
            (Some(value), None) => Some(SecretString::from(value)),
            (None, Some(path)) => read_secret(&file_key, path, problems),
            (None, None) => None,
        }
    }

    /// A reference as the configuration file writes it: `env:NAME` or `file:PATH`.
    pub fn reference(&self, key: &str, value: &str, problems: &mut Problems) -> Option<SecretString> {
        if let Some(name) = value.strip_prefix("env:") {
            let found = self.get(name).map(SecretString::from);
            if found.is_none() {
                problems.push(key, format!("the variable {name} is not set"), format!("set {name}"));
            }
            found
        } else if let Some(path) = value.strip_prefix("file:") {
            read_secret(key, path, problems)
        } else {
            problems.push(key, "a secret is written out in the file", "use \"env:NAME\" or \"file:PATH\"");
            None
        }
    }

    /// Variables that carry our prefix and mean nothing: a misspelled setting
    /// must not be a setting that silently stays at its default.
    pub fn check_own_names(&self, problems: &mut Problems) {
        let unknown =
            self.0.keys().filter(|name| name.starts_with("INNKEEPER_") && !name.starts_with("INNKEEPER_TEST_"));
        for name in unknown.filter(|name| !OWN.contains(&name.as_str())) {
            let hint = match nearest(name, OWN) {
                Some(known) => format!("did you mean {known}?"),
                None => "remove it, or see docs/configuration.md for what there is".to_owned(),
            };
            problems.push(name, "no such setting", hint);
        }
    }
}

fn read_secret(key: &str, path: &str, problems: &mut Problems) -> Option<SecretString> {
    match std::fs::read_to_string(Path::new(path)) {
        Ok(text) => {
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Some(SecretString::from(text.strip_suffix('\r').unwrap_or(text)))
        }
        Err(error) => {
            problems.push(key, format!("cannot read {path}: {error}"), "mount the secret there, or correct the path");
            None
        }
    }
}
