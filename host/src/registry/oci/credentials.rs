//! Who to be at a registry: by the environment, or by Docker's configuration, which is
//! read anew for each pull, because tokens in it are replaced. Programs that it names
//! (`credsStore`, `credHelpers`) are not run.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::trouble::Trouble;
use crate::config::Registries;

/// Bytes of Docker's configuration. An entry has two hundred.
const FILE_BYTES: u64 = 1 << 20;

/// Who to be at one registry.
pub(super) enum Credentials {
    /// Nobody. Docker would have asked a program that this host does not run, or there
    /// is nothing to ask.
    Anonymous { helper: bool },
    /// A user.
    Password { username: String, password: SecretString },
    /// Whoever a token of the registry's token service stands for.
    Identity(SecretString),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Docker {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, IgnoredAny>,
    creds_store: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Credentials {
    /// Reads Docker's configuration, if it has to. Asks the disk.
    pub(super) fn find(registries: &Registries, registry: &str) -> Result<Self, Trouble> {
        let own = registries.login.as_ref();
        if let Some(login) = own.filter(|login| login.registry.as_deref().is_none_or(|only| only == registry)) {
            return Ok(Self::Password { username: login.username.clone(), password: login.password.clone() });
        }
        match &registries.docker {
            Some(file) => Self::of_docker(file, registry),
            None => Ok(Self::Anonymous { helper: false }),
        }
    }

    fn of_docker(file: &Path, registry: &str) -> Result<Self, Trouble> {
        let unusable = |why: &str| Trouble::Docker(format!("{} {why}", file.display()));
        match std::fs::metadata(file) {
            Ok(metadata) if metadata.len() > FILE_BYTES => return Err(unusable("is too large to be Docker's")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::Anonymous { helper: false });
            }
            _ => {}
        }
        let text = std::fs::read(file).map_err(|error| unusable(&format!("cannot be read: {error}")))?;
        // What serde says of a mistake may have the value in it.
        let docker = serde_json::from_slice(&text).map_err(|_| unusable("is not what Docker writes"))?;
        Self::of(docker, registry).map_err(unusable)
    }

    fn of(docker: Docker, registry: &str) -> Result<Self, &'static str> {
        let names = |named: &String| host(named) == host(registry);
        let helper = docker.creds_store.is_some() || docker.cred_helpers.keys().any(names);
        let Some((_, entry)) = docker.auths.into_iter().find(|(named, _)| names(named)) else {
            return Ok(Self::Anonymous { helper });
        };
        let is_set = |secret: &String| !secret.is_empty();
        if let Some(token) = entry.identitytoken.filter(is_set) {
            return Ok(Self::Identity(token.into()));
        }
        if let Some(auth) = entry.auth.filter(is_set) {
            let wrong = "has an `auth` that is not `user:password` in base64";
            let decoded = STANDARD.decode(auth).map_err(|_| wrong)?;
            let text = String::from_utf8(decoded).map_err(|_| wrong)?;
            let (username, password) = text.split_once(':').ok_or(wrong)?;
            return Ok(Self::Password { username: username.to_owned(), password: password.into() });
        }
        match (entry.username, entry.password) {
            (Some(username), Some(password)) => Ok(Self::Password { username, password: password.into() }),
            // Docker leaves an empty entry where a program has the password.
            _ => Ok(Self::Anonymous { helper }),
        }
    }

    /// Who that is, for a message.
    pub(super) fn who(&self) -> String {
        match self {
            Self::Anonymous { .. } => "who says no name".to_owned(),
            Self::Password { username, .. } => format!("the user `{}`", username.escape_debug()),
            Self::Identity(_) => "the token of Docker's configuration".to_owned(),
        }
    }

    /// What to do when a registry refuses.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Anonymous { helper: true } => {
                "Docker's configuration leaves its password to a helper program, and this host runs none: set \
                 INNKEEPER_REGISTRY_USERNAME and INNKEEPER_REGISTRY_PASSWORD, or write it into `auths`"
            }
            Self::Anonymous { helper: false } => {
                "set INNKEEPER_REGISTRY_USERNAME and INNKEEPER_REGISTRY_PASSWORD, or DOCKER_CONFIG; or correct the name"
            }
            Self::Password { .. } | Self::Identity(_) => "correct the password, or let this user pull",
        }
    }
}

/// A registry as Docker writes it: with or without scheme, and a version behind it.
fn host(named: &str) -> &str {
    let bare = named.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    // One registry, three names.
    if bare == "index.docker.io" || bare == "registry-1.docker.io" { "docker.io" } else { bare }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[track_caller]
    fn check(file: &str, registry: &str, expected: &str) {
        let docker: Docker = serde_json::from_str(file).expect("JSON");
        let found = match Credentials::of(docker, registry) {
            Ok(Credentials::Anonymous { helper }) => format!("nobody, helper {helper}"),
            Ok(Credentials::Password { username, password }) => format!("{username}:{}", password.expose_secret()),
            Ok(Credentials::Identity(token)) => format!("token {}", token.expose_secret()),
            Err(why) => why.to_owned(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn docker_s_configuration_is_read_as_docker_reads_it() {
        // ada:secret:word
        let auth = r#"{"auths":{"ghcr.io":{"auth":"YWRhOnNlY3JldDp3b3Jk"}}}"#;
        check(auth, "ghcr.io", "ada:secret:word");
        check(auth, "ghcr.io:5000", "nobody, helper false");
        check(auth, "evil-ghcr.io", "nobody, helper false");
        let hub = r#"{"auths":{"https://index.docker.io/v1/":{"username":"ada","password":"word"}}}"#;
        check(hub, "docker.io", "ada:word");
        check(hub, "ghcr.io", "nobody, helper false");
        check(r#"{"auths":{"a.example":{"auth":"","identitytoken":"t"}}}"#, "a.example", "token t");
        check(r#"{"auths":{"a.example":{}},"credsStore":"pass"}"#, "a.example", "nobody, helper true");
        check(r#"{"credHelpers":{"a.example":"ecr-login"}}"#, "a.example", "nobody, helper true");
        check(r#"{"credHelpers":{"a.example":"ecr-login"}}"#, "b.example", "nobody, helper false");
        let wrong = "has an `auth` that is not `user:password` in base64";
        check(r#"{"auths":{"a.example":{"auth":"%%"}}}"#, "a.example", wrong);
        check(r#"{"HttpHeaders":{"x":"y"}}"#, "a.example", "nobody, helper false");
    }
}
