//! Notices of guests: how large each may be. Nothing is denied; what is too large
//! is cut, because nobody would hear of a failure.

pub mod host;

use serde_json::Value;

/// Bytes of the words beside a progress, and of a logger's name.
const WORDS_BYTES: usize = 1 << 10;
/// Bytes of one log line's data.
const DATA_BYTES: usize = 16 << 10;
/// Bytes of an address, as long as a request's target may be.
const URI_BYTES: usize = 8 << 10;

/// Words, cut to what a client shows.
fn words(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(WORDS_BYTES));
    text
}

/// A log line's data: JSON, or the text itself when it is none.
fn data(text: &str) -> Value {
    if text.len() > DATA_BYTES {
        return Value::String(text[..text.floor_char_boundary(DATA_BYTES)].to_owned());
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Whether an address can be one that somebody subscribed to.
fn is_address(uri: &str) -> bool {
    (1..=URI_BYTES).contains(&uri.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_cut_at_a_character() {
        assert_eq!(words("ü".repeat(600)).len(), 1_024);
        assert_eq!(data("{\"a\":1}"), serde_json::json!({"a": 1}));
        assert_eq!(data("plain"), Value::String("plain".into()));
        assert_eq!(data(&"[".repeat(100_000)), Value::String("[".repeat(DATA_BYTES)));
        assert!(data(&"[".repeat(10_000)).is_string(), "too deep to be parsed");
    }
}
