//! Where modules come from, whose signature they need, and how registries are asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use crate::config::raw::{RawRegistry, RawSignature};
use crate::config::registries::Login;
use crate::config::{Env, Location, ModuleConfig, Problems, PublicKey, Registries, certificates};

/// Keys of one module. More are not rotated at once.
const KEYS: usize = 16;

/// A path or a reference.
pub(super) fn location(key: &str, text: &str, problems: &mut Problems) -> Location {
    Location::parse(text).unwrap_or_else(|wrong| {
        problems.push(key, wrong.what, wrong.hint);
        Location::Path(PathBuf::new())
    })
}

/// Whose signatures all modules need that do not say it themselves.
pub(super) fn keys_of_all(raw: Option<RawSignature>, env: &Env, problems: &mut Problems) -> Vec<PublicKey> {
    const VARIABLE: &str = "INNKEEPER_SIGNATURE_KEYS";
    match env.get(VARIABLE) {
        Some(files) => read(VARIABLE, files.split(',').map(str::trim), problems),
        None => keys("signature", raw, problems).unwrap_or_default(),
    }
}

/// None: nothing is said.
pub(super) fn keys(key: &str, raw: Option<RawSignature>, problems: &mut Problems) -> Option<Vec<PublicKey>> {
    let RawSignature { keys } = raw?;
    Some(read(&format!("{key}.keys"), keys.iter().map(String::as_str), problems))
}

fn read<'a>(key: &str, files: impl Iterator<Item = &'a str>, problems: &mut Problems) -> Vec<PublicKey> {
    let mut keys = Vec::new();
    for file in files {
        match PublicKey::read(Path::new(file)) {
            Ok(read) => keys.push(read),
            Err(why) => {
                problems.push(
                    key,
                    why,
                    "name a file with a public key: openssl pkey -in private.pem -pubout -out key.pem",
                );
                // What was wrong is told; that none is left is not another mistake.
                return keys;
            }
        }
    }
    if keys.is_empty() || keys.len() > KEYS {
        let what = format!("{} keys", keys.len());
        problems.push(
            key,
            what,
            format!("name 1 to {KEYS} files with public keys, or leave it out: no signature is needed then"),
        );
    }
    keys
}

pub(super) fn registries(raw: RawRegistry, modules: &[ModuleConfig], env: &Env, problems: &mut Problems) -> Registries {
    let RawRegistry { insecure, ca } = raw;
    let insecure = insecure.unwrap_or_default();
    for registry in &insecure {
        if registry.parse::<http::uri::Authority>().is_err() || registry.contains('@') {
            let what = format!("`{registry}` is no registry");
            problems.push("registry.insecure", what, "write it as references do: \"registry.lan:5000\"");
        }
    }
    let home = env.get("HOME").map(|home| Path::new(home).join(".docker"));
    let docker = env.get("DOCKER_CONFIG").map(PathBuf::from).or(home).map(|dir| dir.join("config.json"));
    let authorities = ca.map(|path| certificates::read_for("registry.ca", &path, problems)).unwrap_or_default();
    Registries { insecure, authorities, login: login(modules, env, problems), docker }
}

/// A password is for one registry: which one has to be clear.
fn login(modules: &[ModuleConfig], env: &Env, problems: &mut Problems) -> Option<Login> {
    const USERNAME: &str = "INNKEEPER_REGISTRY_USERNAME";
    const PASSWORD: &str = "INNKEEPER_REGISTRY_PASSWORD";
    let (username, password) = match (env.secret(USERNAME, problems), env.secret(PASSWORD, problems)) {
        (Some(username), Some(password)) => (username.expose_secret().to_owned(), password),
        (None, None) => return None,
        (Some(_), None) => {
            problems.push(PASSWORD, format!("{USERNAME} is set without it"), "set both, or neither");
            return None;
        }
        (None, Some(_)) => {
            problems.push(USERNAME, format!("{PASSWORD} is set without it"), "set both, or neither");
            return None;
        }
    };
    let named = modules.iter().filter_map(|module| match &module.source {
        Location::Oci(reference) => Some(&reference.registry),
        Location::Path(_) => None,
    });
    let named: BTreeSet<&String> = named.collect();
    if named.len() > 1 {
        let all = named.iter().map(|registry| registry.as_str()).collect::<Vec<_>>().join("`, `");
        let what = format!("it is one user's, and modules come from `{all}`");
        problems.push(USERNAME, what, "remove it, and have DOCKER_CONFIG name a folder with Docker's config.json");
    }
    Some(Login { registry: named.first().map(|registry| (*registry).clone()), username, password })
}
