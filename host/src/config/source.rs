//! Where a module comes from, as it is written.

use std::fmt;
use std::path::{Path, PathBuf};

/// What a reference to a registry starts with.
const OCI: &str = "oci://";
/// Characters of a repository's name; registries take no longer ones.
const REPOSITORY: usize = 255;
/// Characters of a tag, by the same specification.
const TAG: usize = 128;

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A `.wasm` file, or a directory that has exactly one.
    Path(PathBuf),
    /// An artifact in a registry.
    Oci(Reference),
}

/// An artifact in a registry, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `host` or `host:port`.
    pub registry: String,
    /// `team/name`.
    pub repository: String,
    /// Which of the repository's artifacts.
    pub pin: Pin,
    text: String,
}

/// Which of a repository's artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The one that has this name at the moment.
    Tag(String),
    /// Always the same: the digest of its manifest, `sha256:` and 64 hexadecimal digits.
    Digest(String),
}

/// What is wrong with a text, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {hint}")]
pub struct NotALocation {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl Location {
    /// Reads a path or a reference.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, NotALocation> {
        if let Some(reference) = text.strip_prefix(OCI) {
            return Reference::parse(text, reference).map(Self::Oci);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            let what = format!("modules do not come by `{scheme}://`");
            let hint = "download it and name the file, or push it to a registry and write oci://registry/name@sha256:…";
            return Err(NotALocation { what, hint });
        }
        Ok(Self::Path(text.into()))
    }

    /// What a module from there is called, unless it has a name of its own.
    pub fn stem(&self) -> &str {
        match self {
            Self::Path(path) => Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default(),
            Self::Oci(reference) => reference.repository.rsplit('/').next().unwrap_or_default(),
        }
    }
}

impl Reference {
    fn parse(text: &str, rest: &str) -> Result<Self, NotALocation> {
        let wrong = |what: &str, hint| NotALocation { what: format!("`{text}`: {what}"), hint };
        const FORM: &str = "write it as oci://registry/name@sha256:… or oci://registry/name:tag";
        let (registry, path) = rest.split_once('/').ok_or_else(|| wrong("there is no name in it", FORM))?;
        let is_registry = registry
            .parse::<http::uri::Authority>()
            .is_ok_and(|authority| !authority.host().is_empty() && !registry.contains('@') && !registry.ends_with(':'));
        if !is_registry {
            return Err(wrong("its registry is no host name, with or without a port", FORM));
        }
        let (named, digest) = match path.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (path, None),
        };
        let (repository, tag) = match named.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (named, None),
        };
        if repository.len() > REPOSITORY || !repository.split('/').all(is_segment) {
            let what = "its name is not made of lower-case letters, digits, dots, dashes and underscores";
            return Err(wrong(what, FORM));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("its tag is none", FORM));
        }
        let pin = match (digest, tag) {
            (Some(digest), _) if !is_digest(digest) => {
                return Err(wrong("its digest is not `sha256:` and 64 hexadecimal digits in lower case", FORM));
            }
            // A tag beside a digest is for people.
            (Some(digest), _) => Pin::Digest(digest.to_owned()),
            (None, Some(tag)) => Pin::Tag(tag.to_owned()),
            (None, None) => return Err(wrong("it has neither a digest nor a tag", FORM)),
        };
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        Ok(Self { registry, repository, pin, text: text.to_owned() })
    }
}

fn is_segment(segment: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = segment.as_bytes();
    bytes.first().is_some_and(is_alphanumeric)
        && bytes.last().is_some_and(is_alphanumeric)
        && bytes.iter().all(|byte| is_alphanumeric(byte) || b"._-".contains(byte))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= TAG && tag.bytes().next().is_some_and(is_word) && tag.bytes().all(|b| is_word(b) || b".-".contains(&b))
}

/// Whether this is a digest as registries write it, of the one kind that is used.
pub fn is_digest(text: &str) -> bool {
    let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hexadecimal))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Oci(reference) => reference.fmt(f),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(text: &str, registry: &str, repository: &str, pin: Pin) {
        let Ok(Location::Oci(read)) = Location::parse(text) else { panic!("{:?}", Location::parse(text)) };
        assert_eq!((&*read.registry, &*read.repository, read.pin.clone()), (registry, repository, pin));
        assert_eq!(read.to_string(), text);
    }

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let wrong = Location::parse(text).expect_err("refused");
        assert!(wrong.what.contains(part), "{}", wrong.what);
    }

    #[test]
    fn references_are_taken_apart() {
        let (tag, digest) = (|tag: &str| Pin::Tag(tag.to_owned()), Pin::Digest(DIGEST.to_owned()));
        check("oci://ghcr.io/acme/todo:1.2", "ghcr.io", "acme/todo", tag("1.2"));
        check("oci://127.0.0.1:5000/todo:v1_a-b", "127.0.0.1:5000", "todo", tag("v1_a-b"));
        check("oci://[::1]:5000/a/b/c_d.e:1", "[::1]:5000", "a/b/c_d.e", tag("1"));
        check(&format!("oci://r.example/todo@{DIGEST}"), "r.example", "todo", digest.clone());
        check(&format!("oci://r.example/todo:1@{DIGEST}"), "r.example", "todo", digest);
    }

    #[test]
    fn what_is_no_reference_is_refused_with_its_reason() {
        refused("https://example.com/todo.wasm", "do not come by `https://`");
        refused("docker://example.com/todo:1", "do not come by `docker://`");
        refused("oci://example.com", "no name");
        refused("oci://example.com/todo", "neither a digest nor a tag");
        refused("oci:///todo:1", "registry");
        refused("oci://ada:secret@example.com/todo:1", "registry");
        refused("oci://example.com:/todo:1", "registry");
        for name in ["Todo", "../todo", "a//b", "-a", "a/", "%2e%2e/a", "a?b", "a b"] {
            refused(&format!("oci://example.com/{name}:1"), "its name");
        }
        refused("oci://example.com/todo:", "its tag");
        refused("oci://example.com/todo:a/b", "its tag");
        refused("oci://example.com/todo:a:b", "its tag");
        refused("oci://example.com/todo@sha256:abc", "its digest");
        refused(&format!("oci://example.com/todo@{}", DIGEST.to_uppercase()), "its digest");
        refused(&format!("oci://example.com/todo@{}", DIGEST.replace("256", "512")), "its digest");
    }

    #[test]
    fn a_module_is_named_after_its_file_or_repository() {
        let stem = |text: &str| Location::parse(text).expect("valid").stem().to_owned();
        assert_eq!(stem("modules/My_Notes.wasm"), "My_Notes");
        assert_eq!(stem("guests/"), "guests");
        assert_eq!(stem("oci://ghcr.io/acme/todo:1.2"), "todo");
    }
}
