//! From text to syntax tree and back, within limits.
//!
//! The text is cut into tokens first and counted: operators nest to the left
//! without bound in the parser, and dropping such a tree would overflow the
//! stack. Comments disappear here, before the parser could take one for a hint.

use sqlparser::ast::Statement;
use sqlparser::dialect::{Dialect as Grammar, PostgreSqlDialect, SQLiteDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::{Denied, Dialect, loss};

/// Bounds the nodes of one tree, which cannot outnumber its tokens.
const MOST_TOKENS: usize = 2_000;

/// Where the parser tries one reading after the other, its time doubles with
/// each level; this keeps a construct that we do not know of below a second.
const DEEPEST_NESTING: usize = 16;

/// Bounds how deep the parser recurses into parentheses and subqueries. Its
/// frames fit any thread only when it is optimised, as our profiles have it.
const PARSER_DEPTH: usize = 50;

/// Quoting and schema names lengthen a text; beyond this one it is a bomb.
const LONGEST_PRINT: usize = 64 * 1024;

/// The tokens of one statement, without its semicolon.
pub(super) type Tokens = Vec<TokenWithSpan>;

/// Cuts a text at its semicolons; empty statements are dropped.
pub(super) fn split(text: &str, dialect: Dialect, longest: usize) -> Result<Vec<Tokens>, Denied> {
    check_characters(text, longest)?;
    let tokens = tokenize(text, dialect)?;
    let texts: Vec<Tokens> = tokens
        .split(|token| token.token == Token::SemiColon)
        .filter(|tokens| tokens.iter().any(is_content))
        .map(<[TokenWithSpan]>::to_vec)
        .collect();
    texts.iter().try_for_each(check_tokens)?;
    Ok(texts)
}

fn check_characters(text: &str, longest: usize) -> Result<(), Denied> {
    if text.len() > longest {
        return Denied::because(format!("the text is longer than {longest} bytes"));
    }
    // Postgres ends a text at NUL, and the others only ever hide something.
    let is_allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    match text.chars().find(|c| !is_allowed(*c)) {
        Some(c) => Denied::because(format!("control character {:?} is not allowed", c)),
        None => Ok(()),
    }
}

fn tokenize(text: &str, dialect: Dialect) -> Result<Tokens, Denied> {
    let mut tokens = Tokenizer::new(grammar(dialect), text)
        .tokenize_with_location()
        .or_else(|error| Denied::because(unreadable(&error.to_string())))?;
    for token in &mut tokens {
        if let Token::Whitespace(space) = &mut token.token {
            *space = Whitespace::Space;
        }
    }
    Ok(tokens)
}

fn is_content(token: &TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_) | Token::EOF)
}

/// Bounds what the parser can be made to do, before it does it.
fn check_tokens(tokens: &Tokens) -> Result<(), Denied> {
    let mut number = 0;
    let mut nesting = 0;
    let mut after_position = false;
    for token in tokens.iter().filter(|token| is_content(token)) {
        number += 1;
        match &token.token {
            // The parser reads each one twice, so that nested ones take for ever.
            Token::LParen if after_position => {
                return Denied::because("POSITION(...) is not allowed; call `strpos` or `instr`");
            }
            Token::LParen | Token::LBracket | Token::LBrace => nesting += 1,
            Token::RParen | Token::RBracket | Token::RBrace if nesting > 0 => nesting -= 1,
            _ => {}
        }
        if number > MOST_TOKENS || nesting > DEEPEST_NESTING {
            return Denied::because(format!(
                "a statement may have at most {MOST_TOKENS} words and signs, and {DEEPEST_NESTING} parentheses in each other"
            ));
        }
        after_position = matches!(&token.token, Token::Word(word) if word.keyword == Keyword::POSITION);
    }
    Ok(())
}

/// Refuses a statement that does not open with one of `verbs`.
pub(super) fn check_verb(tokens: &Tokens, verbs: &[&str]) -> Result<(), Denied> {
    let first = tokens.iter().find(|token| is_content(token));
    let verb = match first.map(|token| &token.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        Some(Token::LParen) => "(".to_owned(),
        _ => String::new(),
    };
    if verbs.contains(&verb.as_str()) {
        return Ok(());
    }
    Denied::because(format!("statement `{}` is not allowed", shorten(&verb)))
}

/// Parses one statement and nothing after it.
pub(super) fn parse(tokens: Tokens, dialect: Dialect) -> Result<Statement, Denied> {
    let mut parser =
        Parser::new(grammar(dialect)).with_recursion_limit(PARSER_DEPTH).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().or_else(|error| Denied::because(unreadable(&error.to_string())))?;
    let next = parser.next_token();
    if next.token == Token::EOF {
        return Ok(statement);
    }
    Denied::because(unreadable(&format!("unexpected {next}")))
}

/// Prints a walked tree, and proves that the print reads back as that tree and
/// has lost nothing of the text it was parsed from.
pub(super) fn print(statement: &Statement, text: &Tokens, dialect: Dialect) -> Result<String, Denied> {
    let sql = statement.to_string();
    check_characters(&sql, LONGEST_PRINT)?;
    let tokens = tokenize(&sql, dialect)?;
    if parse(tokens.clone(), dialect).as_ref() == Ok(statement) {
        return loss::check(text, &tokens).map(|()| sql);
    }
    Denied::because("the statement does not read back as it prints; bind unusual text as a parameter")
}

fn grammar(dialect: Dialect) -> &'static dyn Grammar {
    match dialect {
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::Sqlite => &SQLiteDialect {},
    }
}

fn unreadable(error: &str) -> String {
    let error = error.strip_prefix("sql parser error: ").unwrap_or(error);
    format!("the statement cannot be parsed: {}", shorten(error))
}

/// Guest text in a reason: capped, and escaped, for it may be hostile to a log.
pub(super) fn shorten(text: &str) -> String {
    let mut short = String::new();
    for c in text.chars().take(120) {
        match c {
            ' '..='~' => short.push(c),
            _ => short.extend(c.escape_default()),
        }
    }
    short
}
