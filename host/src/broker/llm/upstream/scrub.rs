//! What an upstream wrote, made fit for the log: capped, on one line, and without
//! keys. Servers repeat parts of a key, masked in forms of their own.

use std::collections::HashSet;

/// Bytes of a body that the log gets. The reason is at its beginning.
const SHOWN: usize = 1_024;
/// So many characters of the key in a row are a piece of it.
const PIECE: usize = 6;
/// How a mask looks.
const MASKS: [&str; 3] = ["**", "...", "…"];
const HIDDEN: &str = "[secret]";

/// Takes one key, and whatever looks like one, out of texts.
#[derive(Default)]
pub(super) struct Scrubber {
    key: Vec<u8>,
    /// All pieces of the key.
    pieces: HashSet<Vec<u8>>,
}

impl Scrubber {
    pub(super) fn new(key: &str) -> Self {
        let key = key.as_bytes().to_vec();
        Self { pieces: key.windows(PIECE).map(<[u8]>::to_vec).collect(), key }
    }

    /// The text as the log may have it.
    pub(super) fn clean(&self, body: &[u8]) -> String {
        // Cut first: what is looked at is bounded. The cut may go through a key,
        // and its first part is found as well as the whole.
        let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned();
        let mut clean = String::with_capacity(text.len());
        let mut after_bearer = false;
        for word in text.split_inclusive(is_between) {
            let end = word.len() - word.chars().next_back().filter(|last| is_between(*last)).map_or(0, char::len_utf8);
            let (word, between) = word.split_at(end);
            if word.is_empty() {
                push_visibly(&mut clean, between);
                continue;
            }
            if after_bearer || self.is_secret(word) {
                clean.push_str(HIDDEN);
            } else {
                push_visibly(&mut clean, word);
            }
            after_bearer = word.eq_ignore_ascii_case("bearer");
            push_visibly(&mut clean, between);
        }
        if body.len() > SHOWN {
            clean.push_str(" [cut]");
        }
        clean
    }

    fn is_secret(&self, word: &str) -> bool {
        let bytes = word.as_bytes();
        let is_whole = !self.key.is_empty() && self.key.len() < PIECE && bytes == self.key;
        is_whole
            || word.contains("sk-")
            || bytes.windows(PIECE).any(|piece| self.pieces.contains(piece))
            || MASKS.iter().any(|mask| word.split_once(mask).is_some_and(|(start, end)| self.is_mask(mask, start, end)))
    }

    /// Stars are always a mask; dots are one between two ends of the key.
    fn is_mask(&self, mask: &str, start: &str, end: &str) -> bool {
        mask == MASKS[0]
            || (start.len() >= 2 && self.key.starts_with(start.as_bytes()))
            || (end.len() >= 2 && self.key.ends_with(end.as_bytes()))
    }
}

/// What keys are not made of.
fn is_between(character: char) -> bool {
    character.is_whitespace() || character.is_control() || "\"'`,;:<>(){}[]\\".contains(character)
}

fn push_visibly(to: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            to.extend(character.escape_default());
        } else {
            to.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scrubber;

    const KEY: &str = "canary-Zq8RtY2mWx";

    fn clean(text: &str) -> String {
        Scrubber::new(KEY).clean(text.as_bytes())
    }

    #[test]
    fn keys_and_their_masked_forms_are_taken_out() {
        let cases = [
            "Incorrect API key provided: canary-Zq8RtY2mWx. Look it up.",
            "Incorrect API key provided: canar*******mWx.",
            "key cana...2mWx is wrong",
            "key ca…Wx is wrong",
            r#"{"error":"Authorization: Bearer something-else"}"#,
            r#"{"key":"sk-proj-abc"}"#,
            "url?key=canary-Zq8RtY2mWx&x=1",
            "part: Zq8RtY",
        ];
        for case in cases {
            let clean = clean(case);
            assert!(clean.contains("[secret]"), "{clean}");
            for secret in ["Zq8RtY", "mWx", "cana", "something", "proj"] {
                assert!(!clean.contains(secret), "{clean}");
            }
        }
    }

    #[test]
    fn the_rest_stays_on_one_line_and_short() {
        assert_eq!(clean("Wait...\nand \u{1b}[31mretry"), "Wait...\\nand \\u{1b}[31mretry");
        assert_eq!(clean(r#"{"detail":"no such model"}"#), r#"{"detail":"no such model"}"#);
        let long = clean(&"a ".repeat(4_000));
        assert!(long.len() < 1_100 && long.ends_with("[cut]"), "{}", long.len());
        assert_eq!(Scrubber::default().clean(b"hello"), "hello");
    }
}
