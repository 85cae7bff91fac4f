//! `split_bill`: who pays how much, to the cent. What it has not been told it asks
//! the user: first how many share, then what tip.

use innkeeper_guest::tools::{Context, Failure, Tool};
use innkeeper_guest::{tool, tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Split {
    /// The sum on the bill, in a currency with cents, such as 84.50.
    #[schemars(range(min = 0.01, max = 1_000_000.0))]
    total: f64,
    /// How many share it. Leave it out when the user has not said.
    #[schemars(range(min = 1, max = 100))]
    people: Option<i64>,
    /// The tip in percent of the sum. Leave it out when the user has not said.
    #[schemars(range(min = 0, max = 100))]
    tip_percent: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
struct People {
    /// How many people share the bill.
    #[schemars(range(min = 1, max = 100))]
    people: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Tip {
    /// The tip in percent; 0 for none.
    #[schemars(range(min = 0, max = 100), extend("default" = 10))]
    tip_percent: i64,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Shares {
    /// The sum with the tip.
    total: String,
    tip: String,
    /// Who pays what. All of it together is the total.
    shares: Vec<Share>,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Share {
    /// How many people pay this amount.
    people: i64,
    /// What each of them pays.
    amount: String,
}

const SPLIT: Tool = tool!(
    "split_bill",
    "Split a bill among people, with a tip, to the cent. Asks the user for what is left out.",
    split
)
.title("Split a bill")
.read_only();

fn split(context: &Context, Split { total, people, tip_percent }: Split) -> Result<Shares, Failure> {
    let people = match people {
        Some(people) => people,
        None => context.ask::<People>("people", "How many people share the bill?")?.people,
    };
    let tip_percent = match tip_percent {
        Some(tip_percent) => tip_percent,
        None => context.ask::<Tip>("tip", "What tip do you give, in percent?")?.tip_percent,
    };
    let bill = cents(total)?;
    let tip = (bill * tip_percent + 50) / 100;
    let (least, more) = ((bill + tip) / people, (bill + tip) % people);
    let shares = [(more, least + 1), (people - more, least)].into_iter().filter(|(people, _)| *people > 0);
    let shares = shares.map(|(people, amount)| Share { people, amount: money(amount) }).collect();
    Ok(Shares { total: money(bill + tip), tip: money(tip), shares })
}

#[expect(clippy::cast_possible_truncation, reason = "the schema keeps it within a hundred million")]
fn cents(amount: f64) -> Result<i64, Failure> {
    let cents = (amount * 100.0).round();
    if (cents - amount * 100.0).abs() > 1e-4 {
        return Err(Failure::refused("`total` has more than two decimals."));
    }
    Ok(cents as i64)
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

tools! { [SPLIT] }

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(total: f64, people: Option<i64>, tip_percent: Option<i64>) -> Split {
        Split { total, people, tip_percent }
    }

    fn in_cents(amount: &str) -> i64 {
        amount.replace('.', "").parse().expect("digits")
    }

    #[test]
    fn all_shares_together_are_the_total_to_the_cent() {
        for (total, people, tip) in [(84.5, 3, 10), (0.01, 3, 0), (100.0, 7, 15), (999_999.99, 100, 100), (10.0, 1, 0)]
        {
            let shares = split(&Context::default(), given(total, Some(people), Some(tip))).expect("shares");
            let paid: i64 = shares.shares.iter().map(|share| share.people * in_cents(&share.amount)).sum();
            assert_eq!(paid, in_cents(&shares.total), "{shares:?}");
            assert_eq!(shares.shares.iter().map(|share| share.people).sum::<i64>(), people);
        }
        let shares = split(&Context::default(), given(84.5, Some(3), Some(10))).expect("shares");
        let share = |people, amount: &str| Share { people, amount: amount.to_owned() };
        let expected = vec![share(1, "30.99"), share(2, "30.98")];
        assert_eq!(shares, Shares { total: "92.95".to_owned(), tip: "8.45".to_owned(), shares: expected });
    }

    #[test]
    fn what_is_left_out_is_asked_for_in_turn() {
        let asking = Context::default().askable();
        assert!(matches!(split(&asking, given(10.0, None, None)), Err(Failure::Asks(_))));
        let half = asking.answered("people", Some(json!({ "people": 4 })));
        assert!(matches!(split(&half, given(10.0, None, None)), Err(Failure::Asks(_))));
        let whole = half.answered("tip", Some(json!({ "tip_percent": 0 })));
        assert_eq!(split(&whole, given(10.0, None, None)).expect("shares").shares[0].amount, "2.50");
        let said = split(&whole, given(10.0, Some(2), None)).expect("shares");
        assert_eq!(said.shares[0].amount, "5.00", "what was said counts");
    }

    #[test]
    fn fractions_of_a_cent_are_refused() {
        let refused = split(&Context::default(), given(1.005, Some(1), Some(0)));
        assert!(matches!(refused, Err(Failure::Refused(_))));
    }
}
