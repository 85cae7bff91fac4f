//! Nothing may be lost on the way from the text to its print.
//!
//! The parser skips some words without a trace (`PRIMARY KEY AUTOINCREMENT` on
//! Postgres). What is sent would be harmless, but not what its author wrote.

use std::collections::HashMap;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Denied;
use super::text::shorten;

/// Words that carry no meaning, or are printed as others: `FULL OUTER JOIN`,
/// `x NOTNULL`.
const LOSABLE: &[Keyword] = &[Keyword::OUTER, Keyword::NOTNULL];

/// Refuses a text with a word, number, string or parameter that its print
/// does not have as often.
pub(super) fn check(text: &[TokenWithSpan], print: &[TokenWithSpan]) -> Result<(), Denied> {
    let mut left: HashMap<String, usize> = HashMap::new();
    for content in print.iter().filter_map(content) {
        *left.entry(content).or_default() += 1;
    }
    for content in text.iter().filter_map(content) {
        match left.get_mut(&content) {
            Some(count) if *count > 0 => *count -= 1,
            _ => {
                return Denied::because(format!("`{}` has no meaning where it stands", shorten(&content)));
            }
        }
    }
    Ok(())
}

fn content(token: &TokenWithSpan) -> Option<String> {
    match &token.token {
        Token::Word(word) if LOSABLE.contains(&word.keyword) => None,
        Token::Word(word) => Some(word.value.to_ascii_lowercase()),
        Token::Number(digits, _) => Some(digits.clone()),
        Token::SingleQuotedString(string) => Some(format!("'{string}'")),
        Token::Placeholder(name) => Some(name.replace('?', "$")),
        _ => None,
    }
}
