//! What must not stand in anything that an attacker is told.

use std::sync::LazyLock;

use regex::Regex;

use super::world::{OF_ALICE, OF_MALLORY};

/// In every body of alice's, in what her neighbours have, and in no attack.
pub(super) const MARKER: &str = "zq7k19w3";

/// Secrets in the forms that a server may print them in.
pub(super) struct Forbidden {
    texts: Vec<(&'static str, Vec<u8>)>,
    numbers: Vec<String>,
}

impl Forbidden {
    pub(super) fn new(key: &[u8], passwords: [&str; 2]) -> Self {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        // As plans show bytes.
        let signed =
            |bytes: &[u8]| bytes.iter().map(|byte| byte.cast_signed().to_string()).collect::<Vec<_>>().join(" ");
        let reversed: String = MARKER.chars().rev().collect();
        let mut texts = vec![
            ("alice's marker", MARKER.to_owned()),
            ("alice's marker, reversed", reversed),
            ("alice's marker in hexadecimal", hex(MARKER.as_bytes())),
            ("alice's marker as bytes of a plan", signed(MARKER.as_bytes())),
            ("the key in hexadecimal", hex(&key[..12])),
            ("the key as bytes of a plan", signed(&key[..8])),
            ("the role's password", passwords[0].to_owned()),
            ("the password of another module's role", passwords[1].to_owned()),
        ];
        // At each of the three places that a text may begin at.
        texts.extend(
            ["enE3azE5dz", "pxN2sxOXcz", "6cTdrMTl3M"].map(|base64| ("alice's marker in base64", base64.to_owned())),
        );
        let texts = texts.into_iter().map(|(what, text)| (what, text.to_ascii_lowercase().into_bytes())).collect();
        let numbers = [OF_ALICE, OF_ALICE + OF_MALLORY].map(|number| number.to_string()).to_vec();
        Self { texts, numbers }
    }

    /// What an answer gives away, if it does.
    pub(super) fn leak(&self, answer: &[u8], with_numbers: bool) -> Option<String> {
        let lower = answer.to_ascii_lowercase();
        let holds = |text: &[u8]| lower.windows(text.len()).any(|window| window == text);
        let found = self.texts.iter().find(|(_, text)| holds(text)).map(|(what, _)| (*what).to_owned());
        let words = || lower.split(|byte| !byte.is_ascii_alphanumeric());
        let number = |number: &&String| with_numbers && words().any(|word| word == number.as_bytes());
        found.or_else(|| self.numbers.iter().find(number).map(|number| format!("the number of rows {number}")))
    }
}

/// What was told, without what is another in each world by chance: ids, MACs, and the
/// numbers in the names of databases and roles.
pub(super) fn without_chance(told: &str) -> String {
    static CHANCE: LazyLock<Regex> = LazyLock::new(|| {
        let (uuid, mac) = ("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", "[0-9a-f]{96}");
        let name = "innkeeper_([0-9a-f]{32}|[0-9]+)";
        Regex::new(&format!("{uuid}|{mac}|{name}")).expect("a pattern")
    });
    CHANCE.replace_all(told, "<chance>").into_owned()
}

#[test]
fn the_oracle_sees_what_it_must() {
    let forbidden = Forbidden::new(&[0xab; 32], ["the-password", "another"]);
    for (answer, seen) in [
        ("DVICTIM-zq7k19w3-12", true),
        ("ZQ7K19W3", true),
        ("3w91k7qz", true),
        ("\\x7a71376b31397733", true),
        ("abababababababababababab", true),
        ("-85 -85 -85 -85 -85 -85 -85 -85", true),
        ("SELECT 811\0", true),
        ("{\"n\": 814}", true),
        ("SELECT 3\0 of mallory 8110 a811", false),
    ] {
        assert_eq!(forbidden.leak(answer.as_bytes(), true).is_some(), seen, "{answer}");
    }
}
