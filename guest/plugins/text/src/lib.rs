//! `text_statistics`: characters, words, sentences, and how often something occurs.
//! Models read tokens and no letters, so they guess where this counts.

use innkeeper_guest::tools::{Context, Failure, Tool};
use innkeeper_guest::{tool, tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// Words of a text that adults read silently in a minute: the mean of 190 studies
/// (Brysbaert, 2019).
const WORDS_PER_MINUTE: usize = 238;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Count {
    /// The text, as it is.
    #[schemars(length(max = 200_000))]
    text: String,
    /// Also count how often this occurs in it, such as a letter, a word or a phrase. Case is ignored.
    #[schemars(length(max = 1000))]
    find: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Statistics {
    /// What a reader takes for one character, spaces and marks included.
    characters: usize,
    /// The same without spaces and line ends.
    characters_without_spaces: usize,
    words: usize,
    sentences: usize,
    /// Parts with an empty line between them.
    paragraphs: usize,
    /// How long reading it takes.
    reading_seconds: usize,
    /// How often `find` occurs; one after the other, not within each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<usize>,
}

const COUNT: Tool = tool!(
    "text_statistics",
    "Count the characters, words, sentences and paragraphs of a text, how long it takes to read, and how often \
     something occurs in it. Use it instead of counting yourself.",
    count
)
.title("Count words")
.read_only();

fn count(_: &Context, Count { text, find }: Count) -> Result<Statistics, Failure> {
    let words = text.unicode_words().count();
    let find = find.filter(|find| !find.is_empty()).map(|find| find.to_lowercase());
    Ok(Statistics {
        characters: text.graphemes(true).count(),
        characters_without_spaces: text.graphemes(true).filter(|each| !each.trim().is_empty()).count(),
        words,
        sentences: text.unicode_sentences().count(),
        paragraphs: text.replace("\r\n", "\n").split("\n\n").filter(|part| !part.trim().is_empty()).count(),
        reading_seconds: (words * 60).div_ceil(WORDS_PER_MINUTE),
        found: find.map(|find| text.to_lowercase().matches(&find).count()),
    })
}

tools! { [COUNT] }

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, find: Option<&str>) -> Statistics {
        let arguments = Count { text: text.to_owned(), find: find.map(str::to_owned) };
        count(&Context::default(), arguments).expect("a result")
    }

    #[test]
    fn a_text_is_counted_as_a_reader_would() {
        let counted = of("Hello, world! It is 3.5 degrees.\n\nDon't panic 👩‍👩‍👧.", None);
        let expected = Statistics {
            characters: 48,
            characters_without_spaces: 39,
            words: 8,
            sentences: 3,
            paragraphs: 2,
            reading_seconds: 3,
            found: None,
        };
        assert_eq!(counted, expected);
    }

    #[test]
    fn letters_are_found_whatever_their_case() {
        assert_eq!(of("Strawberry", Some("R")).found, Some(3));
        assert_eq!(of("aaaa", Some("aa")).found, Some(2));
        assert_eq!(of("x", Some("")).found, None);
    }

    #[test]
    fn nothing_is_nothing() {
        let counted = of("", Some("a"));
        assert_eq!((counted.words, counted.sentences, counted.paragraphs, counted.found), (0, 0, 0, Some(0)));
    }
}
