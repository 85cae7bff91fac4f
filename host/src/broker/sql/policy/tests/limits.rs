//! Texts that are too much: refused quickly, without panic or deep recursion.

use std::time::{Duration, Instant};

use super::{Dialect, Tables, migrate, own_tables, vet_with};

#[track_caller]
fn check_refused(text: &str, part: &str) {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let denied = vet_with(text, dialect, &own_tables(dialect)).expect_err("the text is too much");
        let shown: String = text.chars().take(60).collect();
        assert!(denied.to_string().contains(part), "{shown}... on {dialect:?}: {denied}");
    }
}

#[test]
fn what_is_too_long_deep_or_strange_is_refused() {
    check_refused("", "exactly one statement");
    check_refused(&format!("select '{}'", "x".repeat(16 * 1024)), "longer than 16384 bytes");
    check_refused("select 'a\0b'", "control character");
    check_refused("select \u{1b}1", "control character");
    check_refused("select 1\u{85}", "control character");
    check_refused(&format!("select 1{}", ", 1".repeat(1_000)), "at most 2000 words");
    check_refused(&format!("select 1{}", " + 1".repeat(900)), "nests deeper");
    check_refused(&format!("select 1{}", " union select 1".repeat(100)), "nests deeper");
    check_refused(&format!("select 1{}", "::int".repeat(100)), "nests deeper");
    check_refused(&format!("select {}1{}", "(".repeat(17), ")".repeat(17)), "16 parentheses");
    check_refused(&format!("select {}1", "not ".repeat(60)), "cannot be parsed");
    check_refused(&format!("select {}1", "case when ".repeat(60)), "cannot be parsed");
    check_refused(&format!("select {}1{}", "position(".repeat(12), ")".repeat(12)), "POSITION");
}

/// Openings that make a parser try again, each repeated to the limit.
const OPENINGS: &[&str] = &[
    "(",
    "[",
    "{",
    "- ",
    "not ",
    "case ",
    "abs(",
    "exists(",
    "cast(",
    "interval ",
    "array[",
    "a[",
    "a.",
    "(select ",
    "select (",
    "a in (",
    "a = any(",
    "f() over (",
    "f() filter (where ",
    "extract(day from ",
    "trim(both ",
    "substring(",
    "ceil(",
    "(tasks join ",
    "lateral (",
    "(with a as (",
    "values (",
    "1+",
    "a between ",
    "a like ",
    "date ",
    "$1 ",
    "'a' ",
    "\"a\".",
    "/*",
    "--",
    "?",
    "@",
    "a->",
    "x::int[",
    "struct(",
    "{'a': ",
    "f(a => ",
    "prior ",
];

/// Seconds, where the cure is milliseconds and the disease is minutes.
#[track_caller]
fn check_is_quick(text: &str) {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let started = Instant::now();
        let _ = vet_with(text, dialect, &own_tables(dialect));
        assert!(started.elapsed() < Duration::from_secs(5), "{} bytes of {text:.60}", text.len());
    }
}

#[test]
fn no_opening_takes_long_however_often_it_is_repeated() {
    for head in ["", "select ", "select 1 from ", "with a as ", "insert into tasks values ", "delete from tasks where "]
    {
        for opening in OPENINGS {
            for times in [16, 10_000] {
                let mut text = format!("{head}{}", opening.repeat(times));
                text.truncate(16 * 1024);
                check_is_quick(&text);
            }
        }
    }
}

#[test]
fn what_is_just_within_the_limits_passes() {
    let texts = [
        format!("select 1{}", ", 1".repeat(999)),
        format!("select {}1{}", "(".repeat(16), ")".repeat(16)),
        format!("select id from tasks where id = 1{}", " or id = 1".repeat(55)),
        format!("select '{}'", "x".repeat(16_000)),
    ];
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        for text in &texts {
            vet_with(text, dialect, &own_tables(dialect)).expect("the text is within the limits");
        }
    }
}

#[test]
fn a_migration_has_limits_of_its_own() {
    let check = |text: &str, part: &str| {
        let denied = migrate(text, Dialect::Sqlite, &mut Tables::default()).expect_err("too much");
        assert!(denied.to_string().contains(part), "{denied}");
    };
    check(&format!("insert into a values ('{}')", "x".repeat(64 * 1024)), "longer than 65536 bytes");
    let tables: Vec<String> = (0..201).map(|n| format!("create table a{n} (id integer)")).collect();
    check(&tables.join(";"), "at most 200 statements");
    assert!(migrate(&tables[..200].join(";"), Dialect::Sqlite, &mut Tables::default()).is_ok());
}
