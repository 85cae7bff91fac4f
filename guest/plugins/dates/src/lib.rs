//! `resolve_date`: what people call a date, as a date. Models know neither what day
//! it is nor how to count weeks.

mod parse;

use innkeeper_guest::tools::{Context, Failure, Tool};
use innkeeper_guest::{tool, tools};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Resolve {
    /// The date in English words, such as: next friday, in 3 weeks, end of next month, 2 days ago, 1 april.
    #[schemars(length(max = 100))]
    when: String,
    /// The day to count from, such as 2026-11-22. Today in UTC when left out: give the user's own day if you know it.
    relative_to: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Resolved {
    /// The date, such as 2026-11-27.
    date: String,
    /// Its day of the week.
    weekday: String,
    /// How many days it is away; less than 0 when it is past.
    days_away: i32,
}

const RESOLVE: Tool = tool!(
    "resolve_date",
    "Turn what people call a date into a date. Weeks begin on Monday, and \"next friday\" is the Friday of next week.",
    resolve
)
.title("Find a date")
.read_only();

fn resolve(_: &Context, Resolve { when, relative_to }: Resolve) -> Result<Resolved, Failure> {
    let from = match relative_to.as_deref() {
        None | Some("") => Timestamp::now().to_zoned(TimeZone::UTC).date(),
        Some(day) => {
            day.parse::<Date>().map_err(|_| Failure::refused("`relative_to` is a date such as 2026-11-22."))?
        }
    };
    let date = parse::date(&when, from).ok_or_else(|| {
        Failure::refused("This is no date that can be found. Write it like: next friday, in 3 weeks, end of month.")
    })?;
    let days_away = from.until(date).map_err(Failure::broken)?.get_days();
    Ok(Resolved { date: date.to_string(), weekday: date.strftime("%A").to_string(), days_away })
}

tools! { [RESOLVE] }
