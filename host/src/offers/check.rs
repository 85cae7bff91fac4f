//! What guests answer, held to what clients may rely on. Pure. The texts are said
//! of the answer, for the log: `has an image without a MIME type`.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::bindings::offers::innkeeper::backend::types::{
    Annotations, Body, Content, ContentKind, Media, ResourceContents, ResourceLink,
};

/// Bytes of one answer, before base64; the same as of an HTTP answer's.
const ANSWER_BYTES: usize = 8 << 20;
/// Parts of one answer.
const PARTS: usize = 1_000;
/// Bytes of one JSON text in an answer.
const JSON_BYTES: usize = 4 << 20;
/// Bytes of an address.
const URI_BYTES: usize = 8 << 10;
/// Bytes of an error's words.
const WORDS_BYTES: usize = 1 << 10;

pub(super) fn contents(parts: &[Content]) -> Result<(), String> {
    if parts.len() > PARTS {
        return Err(format!("has more than {PARTS} parts"));
    }
    let mut left = ANSWER_BYTES;
    parts.iter().try_for_each(|part| content(part, &mut left))
}

fn content(part: &Content, left: &mut usize) -> Result<(), String> {
    let Content { kind, annotations, meta } = part;
    annotations.as_ref().map_or(Ok(()), self::annotations)?;
    optional_object(meta.as_ref())?;
    match kind {
        ContentKind::Text(text) => take(left, text.len()),
        ContentKind::Image(media) => self::media(media, "image/", left),
        ContentKind::Audio(media) => self::media(media, "audio/", left),
        ContentKind::ResourceLink(link) => self::link(link),
        ContentKind::Embedded(contents) => resource(contents, left),
    }
}

/// What a resource consists of, within one answer.
pub(super) fn resources(parts: &[ResourceContents]) -> Result<(), String> {
    if parts.is_empty() || parts.len() > PARTS {
        return Err(format!("has no parts, or more than {PARTS}"));
    }
    let mut left = ANSWER_BYTES;
    parts.iter().try_for_each(|part| resource(part, &mut left))
}

fn resource(contents: &ResourceContents, left: &mut usize) -> Result<(), String> {
    let ResourceContents { uri, mime_type, body, meta } = contents;
    address(uri)?;
    mime_type.as_deref().map_or(Ok(()), |mime| self::mime(mime, ""))?;
    optional_object(meta.as_ref())?;
    match body {
        Body::Text(text) => take(left, text.len()),
        Body::Blob(bytes) => take(left, bytes.len()),
    }
}

fn media(media: &Media, family: &str, left: &mut usize) -> Result<(), String> {
    mime(&media.mime_type, family)?;
    take(left, media.data.len())
}

fn link(link: &ResourceLink) -> Result<(), String> {
    address(&link.uri)?;
    optional_object(link.descriptor.meta.as_ref())?;
    link.mime_type.as_deref().map_or(Ok(()), |mime| self::mime(mime, ""))
}

pub(super) fn annotations(annotations: &Annotations) -> Result<(), String> {
    let Annotations { audience: _, priority, last_modified } = annotations;
    if priority.is_some_and(|priority| !(0.0..=1.0).contains(&priority)) {
        return Err("has a priority that is not from 0 to 1".to_owned());
    }
    match last_modified {
        Some(text) if OffsetDateTime::parse(text, &Rfc3339).is_err() => {
            Err("has a last-modified that is no date of RFC 3339".to_owned())
        }
        _ => Ok(()),
    }
}

/// An absolute address.
pub(super) fn address(uri: &str) -> Result<(), String> {
    let good = uri.len() <= URI_BYTES && Url::parse(uri).is_ok();
    if good { Ok(()) } else { Err("has an address that is no absolute URI".to_owned()) }
}

pub(super) fn mime(mime: &str, family: &str) -> Result<(), String> {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let essence = mime.split(';').next().unwrap_or_default().trim();
    let good = mime.len() <= 256
        && mime.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && essence.starts_with(family)
        && essence.split_once('/').is_some_and(|(kind, of)| token(kind) && token(of));
    if good { Ok(()) } else { Err(format!("has a MIME type that is not one of {family}…")) }
}

fn take(left: &mut usize, bytes: usize) -> Result<(), String> {
    match left.checked_sub(bytes) {
        Some(rest) => {
            *left = rest;
            Ok(())
        }
        None => Err(format!("is larger than {} MiB", ANSWER_BYTES >> 20)),
    }
}

/// A JSON text. It is parsed to at most 128 levels.
pub(super) fn json(text: &str, what: &str) -> Result<Value, String> {
    let parsed = if text.len() <= JSON_BYTES { serde_json::from_str(text).ok() } else { None };
    parsed.ok_or_else(|| format!("has a {what} that is not JSON, or larger than {} MiB", JSON_BYTES >> 20))
}

pub(super) fn object(text: &str, what: &str) -> Result<Map<String, Value>, String> {
    match json(text, what)? {
        Value::Object(map) => Ok(map),
        _ => Err(format!("has a {what} that is no object")),
    }
}

fn optional_object(text: Option<&String>) -> Result<(), String> {
    text.map_or(Ok(()), |text| object(text, "meta").map(|_| ()))
}

/// A guest's words, cut to what somebody reads.
pub(super) fn cut(words: &str) -> String {
    words[..words.floor_char_boundary(WORDS_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: ContentKind) -> Content {
        Content { kind, annotations: None, meta: None }
    }

    #[test]
    fn media_say_what_they_are() {
        for (mime_type, good) in [
            ("image/png", true),
            ("image/svg+xml", true),
            ("text/html", false),
            ("image/", false),
            ("image/a\nb", false),
            ("", false),
        ] {
            let image = of(ContentKind::Image(Media { data: vec![1], mime_type: mime_type.into() }));
            assert_eq!(contents(&[image]).is_ok(), good, "{mime_type}");
        }
    }

    #[test]
    fn addresses_are_absolute() {
        for (uri, good) in [
            ("todo://1", true),
            ("https://example.com/a", true),
            ("data:,x", true),
            ("relative", false),
            ("", false),
            ("//a/b", false),
        ] {
            assert_eq!(address(uri).is_ok(), good, "{uri}");
        }
    }

    #[test]
    fn an_answer_has_a_size() {
        let text = of(ContentKind::Text("x".repeat(ANSWER_BYTES / 2)));
        assert!(contents(&[text.clone(), text.clone()]).is_ok());
        assert!(contents(&[text.clone(), text, of(ContentKind::Text("x".into()))]).is_err());
        assert!(contents(&vec![of(ContentKind::Text(String::new())); PARTS + 1]).is_err());
    }

    #[test]
    fn annotations_are_in_their_ranges() {
        let with = |priority, last_modified: Option<&str>| {
            annotations(&Annotations { audience: Vec::new(), priority, last_modified: last_modified.map(Into::into) })
                .is_ok()
        };
        assert!(with(Some(1.0), Some("2026-01-12T15:00:58Z")));
        assert!(!with(Some(1.1), None) && !with(Some(f64::NAN), None) && !with(None, Some("yesterday")));
    }

    #[test]
    fn deep_json_is_refused() {
        assert!(json(&"[".repeat(100_000), "x").is_err());
        assert!(object("[]", "x").is_err());
    }
}
