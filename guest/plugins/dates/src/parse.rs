//! English dates. Most of them are [`interim`]'s; what it does not know is put into
//! words that it knows.

use interim::{Dialect, parse_date_string};
use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan, tz::TimeZone};

const NUMBERS: [&str; 13] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
/// Digits of a number. With more, years leave the calendar, and its library panics.
const DIGITS: usize = 4;

/// The date that is meant, counted from a day.
pub(crate) fn date(when: &str, from: Date) -> Option<Date> {
    let when = when.to_lowercase();
    if when.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > DIGITS) {
        return None;
    }
    let words: Vec<&str> = when.split_whitespace().filter(|word| !matches!(*word, "the" | "on")).collect();
    match &words[..] {
        ["in", words @ ..] | [words @ .., "from", "now" | "today"] | words @ [_, _, "ago"] => interval(words, from),
        ["day", "after", "tomorrow"] => from.checked_add(2.days()).ok(),
        ["day", "before", "yesterday"] => from.checked_sub(2.days()).ok(),
        [edge, "of", rest @ ..] => edge_of(edge, rest, from),
        [which @ ("this" | "next" | "last"), unit] => shifted(which, unit, from).or_else(|| known(&words, from)),
        words => known(words, from),
    }
}

/// `3 weeks`, `a month`, `two days ago`.
fn interval(words: &[&str], from: Date) -> Option<Date> {
    let (first, rest) = words.split_first()?;
    let number = match *first {
        "a" | "an" => Some(1),
        word => NUMBERS.iter().position(|number| *number == word),
    };
    match number {
        Some(number) => known(&[&[number.to_string().as_str()], rest].concat(), from),
        None => known(words, from),
    }
}

/// `end of next month`.
fn edge_of(edge: &str, rest: &[&str], from: Date) -> Option<Date> {
    let (which, unit) = match rest {
        [unit] => ("this", unit),
        [which, unit] => (*which, unit),
        _ => return None,
    };
    let within = from.checked_add(span(which, unit)?).ok()?;
    let monday = || within.checked_sub(i64::from(within.weekday().to_monday_zero_offset()).days()).ok();
    match (edge, *unit) {
        ("start" | "beginning", "week") => monday(),
        ("start" | "beginning", "month") => Some(within.first_of_month()),
        ("start" | "beginning", "year") => Some(within.first_of_year()),
        ("end", "week") => monday()?.checked_add(6.days()).ok(),
        ("end", "month") => Some(within.last_of_month()),
        ("end", "year") => Some(within.last_of_year()),
        _ => None,
    }
}

/// `next month`, and the Friday of next week for `next friday`.
fn shifted(which: &str, unit: &str, from: Date) -> Option<Date> {
    let Some(weekday) = weekday(unit) else { return from.checked_add(span(which, unit)?).ok() };
    let monday = edge_of("start", &[which, "week"], from)?;
    monday.checked_add(i64::from(weekday.to_monday_zero_offset()).days()).ok()
}

fn span(which: &str, unit: &str) -> Option<Span> {
    let count: i64 = match which {
        "this" => 0,
        "next" => 1,
        "last" => -1,
        _ => return None,
    };
    match unit {
        "week" => Some(count.weeks()),
        "month" => Some(count.months()),
        "year" => Some(count.years()),
        _ => None,
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    Weekday::Monday.cycle_forward().take(7).find(|day| {
        let name = format!("{day:?}").to_lowercase();
        word == name || word == &name[..3]
    })
}

/// What the library knows.
fn known(words: &[&str], from: Date) -> Option<Date> {
    let now = from.to_zoned(TimeZone::UTC).ok()?;
    parse_date_string(&words.join(" "), now, Dialect::Uk).ok().map(|found| found.date())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a Wednesday.
    #[track_caller]
    fn check(when: &str, expected: Option<&str>) {
        let from: Date = "2026-11-18".parse().expect("a date");
        assert_eq!(date(when, from).map(|date| date.to_string()).as_deref(), expected, "{when}");
    }

    #[test]
    fn what_people_say_is_a_date() {
        for (when, expected) in [
            ("today", "2026-11-18"),
            ("Tomorrow", "2026-11-19"),
            ("yesterday", "2026-11-17"),
            ("the day after tomorrow", "2026-11-20"),
            ("friday", "2026-11-20"),
            ("on Friday", "2026-11-20"),
            ("this friday", "2026-11-20"),
            ("next friday", "2026-11-27"),
            ("next mon", "2026-11-23"),
            ("last friday", "2026-11-13"),
            ("in 3 weeks", "2026-12-09"),
            ("in a month", "2026-12-18"),
            ("in two days", "2026-11-20"),
            ("3 weeks from now", "2026-12-09"),
            ("2 days ago", "2026-11-16"),
            ("three weeks ago", "2026-10-28"),
            ("next week", "2026-11-25"),
            ("next month", "2026-12-18"),
            ("last year", "2025-11-18"),
            ("end of month", "2026-11-30"),
            ("end of the month", "2026-11-30"),
            ("end of next month", "2026-12-31"),
            ("start of next year", "2027-01-01"),
            ("end of the week", "2026-11-22"),
            ("2027-02-28", "2027-02-28"),
            ("1 april 2027", "2027-04-01"),
            ("April 1, 2027", "2027-04-01"),
        ] {
            check(when, Some(expected));
        }
    }

    #[test]
    fn what_is_no_date_is_none_and_nothing_panics() {
        for when in [
            "",
            "soon",
            "end of",
            "end of days",
            "in",
            "in many weeks",
            "2026-02-30",
            "99999999999 years ago",
            "in 9999 years",
            "next",
            "next thing",
            "ago",
            "\u{0}",
            "🎂",
            "nexté friday",
            "in 2147483648 days",
        ] {
            check(when, None);
        }
    }

    /// Whatever a model writes, and whatever day it counts from.
    #[test]
    fn no_three_words_panic() {
        let words: Vec<&str> =
            "in next last this end start of ago from now a an 0 -1 31 366 9999 0000 twelve day days \
                                weeks month months years hours friday feb 2/30/9999 9999-12-31 25:61 8pm - é"
                .split_whitespace()
                .collect();
        let days = ["2028-02-29", "9999-12-31", "-009999-01-01"].map(|day| day.parse::<Date>().expect("a date"));
        for first in &words {
            for second in &words {
                for third in &words {
                    for day in days {
                        date(&format!("{first} {second} {third}"), day);
                        date(&format!("{first}{second} {third}"), day);
                    }
                }
            }
        }
    }

    #[test]
    fn the_end_of_a_month_knows_leap_years_and_the_calendar_its_end() {
        let end = |from: &str| date("end of month", from.parse().expect("a date")).expect("a date").to_string();
        assert_eq!((end("2028-02-10"), end("2027-02-10")), ("2028-02-29".to_owned(), "2027-02-28".to_owned()));
        let last: Date = "9999-12-31".parse().expect("a date");
        assert_eq!(date("next week", last), None);
    }
}
