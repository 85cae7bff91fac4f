//! Words of a guest on their way to people and models. Pure.

/// Characters that are not seen and change what is: controls but for line breaks
/// and tabs, marks that turn the direction of writing, joiners and spaces without
/// width, and the tags that spell words out of sight.
fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text without what is hidden in it.
pub(super) fn visible(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

/// Cleans a text that is there.
///
/// # Errors
/// It is longer than so many bytes.
pub(super) fn clean(text: &mut Option<String>, what: &str, most: usize) -> Result<(), String> {
    let Some(written) = text else { return Ok(()) };
    *written = visible(written);
    if written.len() > most {
        return Err(format!("its {what} is longer than {most} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_taken_out_and_the_rest_stays() {
        for (text, expected) in [
            ("Adds a todo.\nReturns it.\t", "Adds a todo.\nReturns it.\t"),
            ("Zufällig große Übung 日本語 עברית", "Zufällig große Übung 日本語 עברית"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", "abcd"),
            ("\u{1b}[2Jcleared\u{7}", "[2Jcleared"),
            ("seen\u{e0069}\u{e0067}\u{e006e}", "seen"),
            ("line\u{2028}line", "lineline"),
        ] {
            assert_eq!(visible(text), expected);
        }
    }
}
