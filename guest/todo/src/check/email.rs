//! E-mail addresses, in the words of the library that pydantic asks
//! (`email-validator` 2.4). Addresses as mail programs show them (`Ada
//! <ada@example.com>`) and quoted ones are refused here altogether, and of
//! international domains only the form is looked at.

use std::borrow::Cow;

use super::{Checked, Issues, Rule};
use crate::json::Value;

const EMAIL_BYTES: usize = 254;
const DOMAIN_BYTES: usize = 253;
const LABEL_BYTES: usize = 63;
/// Names that no mail goes to (`email-validator`'s list).
const SPECIAL: [&str; 6] = ["arpa", "invalid", "local", "localhost", "onion", "test"];

/// Which addresses are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be registered: mail must be able to reach it.
    Register,
    /// To sign in with: whatever has been registered, here or elsewhere.
    Login,
}

/// An e-mail address, without white space around it.
///
/// # Errors
/// Not a string, or not an address; why.
pub fn email(value: &Value, purpose: Purpose) -> Checked<String> {
    let Value::Str(text) = value else {
        return Err(Issues::one(Rule::Text, value));
    };
    let address = text.trim();
    match judge(text, address, purpose) {
        Ok(()) => Ok(address.to_owned()),
        Err(reason) => Err(Issues::one(Rule::Email(reason), value)),
    }
}

type Reason = Cow<'static, str>;

fn judge(text: &str, address: &str, purpose: Purpose) -> Result<(), Reason> {
    if text.contains(['\r', '\n']) {
        return Err("Carriage return and line feed characters are not allowed".into());
    }
    let (local, domain) = address.split_once('@').ok_or("An email address must have an @-sign.")?;
    judge_local(local)?;
    judge_domain(domain, purpose)?;
    match address.len().checked_sub(EMAIL_BYTES) {
        Some(more @ 1..) => Err(format!("The email address is too long ({}).", too_many(more)).into()),
        _ => Ok(()),
    }
}

fn judge_local(local: &str) -> Result<(), Reason> {
    if local.is_empty() {
        return Err("There must be something before the @-sign.".into());
    }
    if local.starts_with('"') {
        return Err("Quoting the part before the @-sign is not allowed here.".into());
    }
    let good = |c: char| c == '.' || c.is_ascii_alphanumeric() || "_!#$%&'*+-/=?^`{|}~".contains(c) || is_word(c);
    if let Some(bad) = strangers(local, good) {
        return Err(format!("The email address contains invalid characters before the @-sign: {bad}.").into());
    }
    match () {
        () if local.starts_with('.') => Err("An email address cannot start with a period.".into()),
        () if local.ends_with('.') => {
            Err("An email address cannot have a period immediately before the @-sign.".into())
        }
        () if local.contains("..") => Err("An email address cannot have two periods in a row.".into()),
        () => Ok(()),
    }
}

fn judge_domain(domain: &str, purpose: Purpose) -> Result<(), Reason> {
    if domain.is_empty() {
        return Err("There must be something after the @-sign.".into());
    }
    if domain.starts_with('[') && domain.ends_with(']') {
        return Err("A bracketed IP address after the @-sign is not allowed here.".into());
    }
    let good = |c: char| c == '.' || c == '-' || c.is_ascii_alphanumeric() || is_word(c);
    if let Some(bad) = strangers(domain, good) {
        return Err(format!("The part after the @-sign contains invalid characters: {bad}.").into());
    }
    judge_punctuation(domain)?;
    if let Some(more @ 1..) = domain.len().checked_sub(DOMAIN_BYTES) {
        return Err(format!("The email address is too long after the @-sign ({}).", too_many(more)).into());
    }
    let longest = domain.split('.').map(str::len).max().unwrap_or_default();
    if let Some(more @ 1..) = longest.checked_sub(LABEL_BYTES) {
        let more = too_many(more);
        return Err(format!("After the @-sign, periods cannot be separated by so many characters ({more}).").into());
    }
    if !domain.contains('.') {
        return Err("The part after the @-sign is not valid. It should have a period.".into());
    }
    if !domain.ends_with(|c: char| c.is_ascii_alphabetic() || !c.is_ascii()) {
        return Err("The part after the @-sign is not valid. It is not within a valid top-level domain.".into());
    }
    let last = domain.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    if purpose == Purpose::Register && SPECIAL.contains(&last.as_str()) {
        return Err(
            "The part after the @-sign is a special-use or reserved name that cannot be used with email.".into()
        );
    }
    Ok(())
}

/// Where periods and hyphens may stand in a host's name.
fn judge_punctuation(domain: &str) -> Result<(), Reason> {
    let name = |c| if c == '.' { "period" } else { "hyphen" };
    let marks = ['.', '-'];
    if let Some(last) = domain.chars().last().filter(|c| marks.contains(c)) {
        return Err(format!("An email address cannot end with a {}.", name(last)).into());
    }
    if let Some(first) = domain.chars().next().filter(|c| marks.contains(c)) {
        return Err(format!("An email address cannot have a {} immediately after the @-sign.", name(first)).into());
    }
    if domain.contains("..") {
        return Err("An email address cannot have two periods in a row.".into());
    }
    if domain.contains(".-") || domain.contains("-.") {
        return Err("An email address cannot have a period and a hyphen next to each other.".into());
    }
    let dashed = |label: &str| {
        let bytes = label.as_bytes();
        let letters = bytes.get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_alphabetic));
        letters && bytes.get(2..4) == Some(b"--") && !label.get(..2).is_some_and(|two| two.eq_ignore_ascii_case("xn"))
    };
    if domain.split('.').any(dashed) {
        return Err("An email address cannot have two letters followed by two dashes immediately after the @-sign or \
                    after a period, except Punycode."
            .into());
    }
    Ok(())
}

/// A letter or a digit beyond ASCII.
fn is_word(c: char) -> bool {
    !c.is_ascii() && c.is_alphanumeric()
}

/// The characters that are not good, each once and in order, as Python shows them.
fn strangers(text: &str, good: impl Fn(char) -> bool) -> Option<String> {
    let mut bad: Vec<String> = text.chars().filter(|c| !good(*c)).map(shown).collect();
    bad.sort();
    bad.dedup();
    (!bad.is_empty()).then(|| bad.join(", "))
}

fn shown(c: char) -> String {
    match c {
        ' ' => "SPACE".to_owned(),
        '\\' => "\"\\\"".to_owned(),
        '\'' => "\"'\"".to_owned(),
        c if c.is_control() || c.is_whitespace() => format!("U+{:04X}", u32::from(c)),
        c => format!("'{c}'"),
    }
}

fn too_many(characters: usize) -> String {
    format!("{characters} character{} too many", if characters == 1 { "" } else { "s" })
}
