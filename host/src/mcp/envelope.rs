//! A message, as far as the host has to know it before the protocol's library
//! does: whether it is one, of which era, and what it wants. Pure.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Levels of a message. Three of them are the protocol's own.
const DEPTH: usize = 64;

/// Protocol versions that are served without sessions.
const MODERN: &str = "2026-07-28";
/// And with them.
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// Which rules a message goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Sessions, and `initialize`.
    Legacy,
    /// Every message says everything.
    Modern,
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// It wants an answer.
    Request {
        /// Its id, as it was written.
        id: String,
        /// Its method.
        method: String,
        /// The tool's or prompt's name.
        name: Option<String>,
        /// By its own words.
        era: Era,
    },
    /// It wants none, or it is one.
    Other,
}

/// Why it is none: the code of JSON-RPC, and the id, when there is one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) code: i32,
    pub(super) why: &'static str,
    pub(super) id: Option<String>,
}

#[derive(Deserialize)]
struct Raw<'m> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'m, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'m RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'m RawValue>,
    #[serde(borrow)]
    params: Option<&'m RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'m RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'m RawValue>,
}

/// `null` is there, too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Default, Deserialize)]
struct Params<'m> {
    #[serde(borrow)]
    name: Option<Cow<'m, str>>,
    #[serde(rename = "protocolVersion", borrow)]
    protocol_version: Option<&'m RawValue>,
    #[serde(rename = "_meta", borrow)]
    meta: Option<&'m RawValue>,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<serde::de::IgnoredAny>,
}

/// Reads a message. `version` is what its header says.
pub(super) fn read(body: &[u8], version: Option<&str>) -> Result<Message, Malformed> {
    let malformed = |code, why| Malformed { code, why, id: None };
    let text = std::str::from_utf8(body).map_err(|_| malformed(-32700, "The message is not UTF-8"))?;
    if is_deep(text) {
        return Err(malformed(-32600, "The message is nested too deeply"));
    }
    let value: &RawValue = serde_json::from_str(text).map_err(|_| malformed(-32700, "The message is not JSON"))?;
    let raw: Raw<'_> =
        serde_json::from_str(value.get()).map_err(|_| malformed(-32600, "The message is not one JSON-RPC object"))?;
    let id = raw.id.map(RawValue::get);
    let sane = id.is_none_or(is_id);
    let wrong = |why| Err(Malformed { code: -32600, why, id: id.filter(|_| sane).map(str::to_owned) });
    if raw.jsonrpc.as_deref() != Some("2.0") {
        return wrong("`jsonrpc` is not \"2.0\"");
    }
    if !sane {
        return wrong("`id` is neither a string nor an integer");
    }
    match (raw.method, id) {
        (None, Some(_)) if raw.result.is_some() != raw.error.is_some() => Ok(Message::Other),
        (None, _) => wrong("`method` is missing"),
        (Some(method), id) => {
            let Ok(method) = serde_json::from_str::<String>(method.get()) else {
                return wrong("`method` is no string");
            };
            let Some(id) = id else { return Ok(Message::Other) };
            let is_object = |raw: &RawValue| raw.get().starts_with('{');
            let sent = raw.params.map(|sent| (is_object(sent), serde_json::from_str::<Params<'_>>(sent.get())));
            let params = match sent {
                None => Params::default(),
                Some((true, Ok(params))) if params.meta.is_none_or(is_object) => params,
                Some((true, Err(_))) => Params::default(),
                Some(_) => {
                    let why = "`params` and `_meta` are objects";
                    return Err(Malformed { code: -32602, why, id: Some(id.to_owned()) });
                }
            };
            let era = era(&method, &params, version);
            Ok(Message::Request { id: id.to_owned(), method, name: params.name.map(Cow::into_owned), era })
        }
    }
}

fn era(method: &str, params: &Params<'_>, version: Option<&str>) -> Era {
    if method == "initialize" && params.protocol_version.is_some() {
        return Era::Legacy;
    }
    let meta = params.meta.and_then(|meta| serde_json::from_str::<Meta>(meta.get()).ok());
    if meta.is_some_and(|meta| meta.protocol_version.is_some()) { Era::Modern } else { of_header(version) }
}

/// The era of a message that says nothing itself.
pub(super) fn of_header(version: Option<&str>) -> Era {
    match version {
        Some(version) if !LEGACY.contains(&version) => Era::Modern,
        _ => Era::Legacy,
    }
}

/// Whether a version is of the era without sessions.
pub(super) fn is_modern(version: &str) -> bool {
    // Dates compare like texts.
    version >= MODERN
}

/// A string, or an integer that every implementation can hold.
fn is_id(raw: &str) -> bool {
    (raw.starts_with('"') && raw.len() <= 1_024) || raw.parse::<i64>().is_ok()
}

/// Whether brackets are nested deeper than is allowed. Looked at before anything is
/// parsed: a parser that recurses is the thing to protect.
pub(super) fn is_deep(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                if depth > DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn code(body: &[u8]) -> i32 {
        read(body, None).expect_err("malformed").code
    }

    #[test]
    fn what_is_no_message_has_a_code() {
        for (body, expected) in [
            (&b"{"[..], -32700),
            (b"\xff", -32700),
            (b"", -32700),
            (b"{} {}", -32700),
            (b"[]", -32600),
            (b"1", -32600),
            (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600),
            (b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600),
            (b"{\"id\":1,\"method\":\"ping\"}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"method\":\"ping\"}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":1}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}", -32600),
            (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":7}", -32602),
            (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":[]}}", -32602),
        ] {
            assert_eq!(code(body), expected, "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(code("[".repeat(100_000).as_bytes()), -32600);
        let deep = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{}1{}}}",
            "[".repeat(64),
            "]".repeat(64)
        );
        assert_eq!(code(deep.as_bytes()), -32600);
    }

    #[test]
    fn brackets_in_strings_are_text() {
        let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\\\"[\"}}", "[".repeat(500));
        assert!(read(text.as_bytes(), None).is_ok());
    }

    #[test]
    fn the_id_is_told_when_it_can_be() {
        let malformed = |body: &str| read(body.as_bytes(), None).expect_err("malformed").id;
        assert_eq!(malformed("{\"jsonrpc\":\"1\",\"id\":\"a\",\"method\":\"x\"}").as_deref(), Some("\"a\""));
        assert_eq!(malformed("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}"), None);
    }

    #[test]
    fn the_era_is_told_by_the_message_and_its_header() {
        let era = |method: &str, params: &str, version: Option<&str>| {
            let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}");
            match read(body.as_bytes(), version) {
                Ok(Message::Request { era, .. }) => era,
                other => panic!("{other:?}"),
            }
        };
        let meta = "{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}";
        assert_eq!(era("initialize", "{\"protocolVersion\":\"2026-07-28\"}", None), Era::Legacy);
        assert_eq!(era("initialize", meta, Some("2026-07-28")), Era::Modern);
        assert_eq!(era("tools/list", "{}", None), Era::Legacy);
        assert_eq!(era("tools/list", "{}", Some("2025-11-25")), Era::Legacy);
        assert_eq!(era("tools/list", "{}", Some("2026-07-28")), Era::Modern);
        assert_eq!(era("tools/list", "{}", Some("2030-01-01")), Era::Modern);
        assert_eq!(era("tools/list", meta, None), Era::Modern);
        assert_eq!(era("tools/list", "{\"_meta\":{\"progressToken\":1}}", None), Era::Legacy);
    }
}
