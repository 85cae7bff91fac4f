//! What an account may be made of. Pure. A guest asks for more and in better
//! words; this holds whatever it asks for.

use secrecy::{ExposeSecret, SecretString};

use super::AccountError;

/// What fits into a mail's envelope (RFC 5321 section 4.5.3.1).
const EMAIL_BYTES: usize = 254;
/// What Better Auth asks of new passwords, in characters.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;
/// What is looked at of a password when somebody signs in: bytes that a new one
/// may have, and more for those of Better Auths with other bounds. Longer, and
/// normalising it would cost more than hashing it.
const PASSWORD_BYTES: usize = 1024;
const NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=100;

/// The address as it is stored: in lower case, as Better Auth has it.
pub(super) fn email(text: &str) -> Result<String, AccountError> {
    let good = |text: &str| !text.chars().any(|c| c.is_control() || c.is_whitespace());
    let parts = text.rsplit_once('@').filter(|(user, domain)| !user.is_empty() && !domain.is_empty());
    if text.len() > EMAIL_BYTES || parts.is_none() || !good(text) {
        return Err(AccountError::Invalid("the e-mail address is not one"));
    }
    Ok(text.to_lowercase())
}

/// A password that somebody chooses.
pub(super) fn new_password(password: &SecretString) -> Result<(), AccountError> {
    if !PASSWORD_CHARS.contains(&password.expose_secret().chars().count()) {
        return Err(AccountError::Invalid("a password has 8 to 128 characters"));
    }
    Ok(())
}

/// A password that somebody has.
pub(super) fn password(password: &SecretString) -> Result<(), AccountError> {
    if password.expose_secret().len() > PASSWORD_BYTES {
        return Err(AccountError::Invalid("the password is longer than any is"));
    }
    Ok(())
}

/// A name to be shown.
pub(super) fn name(text: &str) -> Result<&str, AccountError> {
    let trimmed = text.trim();
    if !NAME_CHARS.contains(&trimmed.chars().count()) || trimmed.chars().any(char::is_control) {
        return Err(AccountError::Invalid("a name has 1 to 100 characters, none of them a control character"));
    }
    Ok(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_word_with_something_on_both_sides() {
        for (text, stored) in [
            ("ada@example.com", Some("ada@example.com")),
            ("Ada.L@Example.COM", Some("ada.l@example.com")),
            ("\u{c9}va@example.com", Some("\u{e9}va@example.com")),
            ("ada", None),
            ("@example.com", None),
            ("ada@", None),
            ("ada lovelace@example.com", None),
            ("ada\0@example.com", None),
            ("", None),
            (&format!("{}@example.com", "a".repeat(250)), None),
        ] {
            assert_eq!(email(text).ok().as_deref(), stored, "{text}");
        }
    }

    #[test]
    fn lengths_count_characters_and_the_bounds_are_in() {
        let chosen = |text: String| new_password(&SecretString::from(text)).is_ok();
        assert_eq!([7, 8, 128, 129].map(|length| chosen("\u{e9}".repeat(length))), [false, true, true, false]);
        assert_eq!([0, 1, 100, 101].map(|length| name(&"\u{e9}".repeat(length)).is_ok()), [false, true, true, false]);
        assert!(name("  \t ").is_err() && name("a\nb").is_err());
        assert_eq!(name(" Ada ").expect("a name"), "Ada");
        assert!(password(&SecretString::from("a".repeat(1_024))).is_ok());
        assert!(password(&SecretString::from("a".repeat(1_025))).is_err());
    }
}
