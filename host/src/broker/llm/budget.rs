//! Whose budgets a request counts against, and what a used-up one means.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::error::{LimitInfo, LlmError, Scope, Unit};
use super::ledger::Counted;
use crate::call::Caller;
use crate::config::{LlmBudget, LlmBudgets};

/// What stays as it is in a key. No other character of a caller's id gets as far
/// as a statement.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'@');
/// Longer ids are told apart by their hash: keys are in an index.
const LONGEST_ID: usize = 200;
/// When somebody else's request may have ended. A guess: nobody knows.
const NEXT_LOOK: Duration = Duration::from_secs(1);

const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;

/// One budget that a request counts against.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) scope: Scope,
    /// Its name in the ledger.
    pub(super) key: Arc<str>,
    pub(super) budget: LlmBudget,
    /// For people.
    whose: &'static str,
}

impl Subject {
    fn new(scope: Scope, key: String, budget: LlmBudget, whose: &'static str) -> Self {
        Self { scope, key: key.into(), budget, whose }
    }

    /// Requests, input, output, requests at once; zero: no limit.
    pub(super) fn caps(&self) -> [u64; 4] {
        let LlmBudget { requests_per_minute, input_tokens_per_day, output_tokens_per_day, concurrency } = self.budget;
        [requests_per_minute, input_tokens_per_day, output_tokens_per_day, concurrency]
    }

    /// This subject's cap for this unit is used up, or would be.
    pub(super) fn exceeded(&self, unit: Unit, now: u64) -> LlmError {
        let what = match unit {
            Unit::Requests => "requests of this minute",
            Unit::InputTokens => "input tokens of today",
            Unit::OutputTokens => "output tokens of today",
            Unit::Concurrency => "requests at once",
            Unit::Time => "time",
        };
        let retry_after = Some(resets(unit, now).unwrap_or(NEXT_LOOK));
        let detail = format!("the {what} of {} are used up", self.whose);
        LlmError::BudgetExceeded(LimitInfo { scope: self.scope, unit, retry_after, detail })
    }

    /// No budget of a day is large enough for this request.
    pub(super) fn too_large(&self, unit: Unit) -> LlmError {
        let detail = format!("the request alone is larger than what {} may use in a day", self.whose);
        LlmError::BudgetExceeded(LimitInfo { scope: self.scope, unit, retry_after: None, detail })
    }

    /// Each of its limits, with what is counted against it.
    pub(super) fn allowances(&self, counted: &Counted) -> impl Iterator<Item = Allowance> {
        let used = [counted.requests, counted.input, counted.output, counted.running];
        let units = [Unit::Requests, Unit::InputTokens, Unit::OutputTokens, Unit::Concurrency];
        let (scope, now) = (self.scope, counted.now);
        let all = units.into_iter().zip(self.caps()).zip(used);
        all.filter(|((_, limit), _)| *limit > 0).map(move |((unit, limit), used)| Allowance {
            scope,
            unit,
            limit,
            used,
            resets_in: resets(unit, now).unwrap_or_default(),
        })
    }
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whose.
    pub scope: Scope,
    /// Of what.
    pub unit: Unit,
    /// How much there is.
    pub limit: u64,
    /// How much of it is gone, reservations included.
    pub used: u64,
    /// When it is whole again; zero for what has no window.
    pub resets_in: Duration,
}

/// Until the end of the window that `now` is in.
fn resets(unit: Unit, now: u64) -> Option<Duration> {
    let window = match unit {
        Unit::Requests => MINUTE,
        Unit::InputTokens | Unit::OutputTokens => DAY,
        Unit::Concurrency | Unit::Time => return None,
    };
    Some(Duration::from_millis(window - now % window))
}

/// The budgets of one request, always in this order, in which their rows are
/// locked: the one that all requests share is locked last, and for the shortest
/// time. Those without any limit are left out.
pub(super) fn subjects(budgets: &LlmBudgets, module: &str, caller: Option<&Caller>) -> Vec<Subject> {
    let first = match caller {
        Some(caller) => {
            let key = format!("caller/{module}/{}", id(&caller.subject));
            Subject::new(Scope::Caller, key, budgets.caller, "the caller")
        }
        None => {
            let key = format!("anonymous/{module}");
            Subject::new(Scope::Caller, key, budgets.anonymous, "all callers without a credential together")
        }
    };
    let module = Subject::new(Scope::Module, format!("module/{module}"), budgets.module, "the module");
    let host = Subject::new(Scope::Host, "host".to_owned(), budgets.host, "this host");
    [first, module, host].into_iter().filter(|subject| subject.caps() != [0; 4]).collect()
}

fn id(subject: &str) -> String {
    let plain = utf8_percent_encode(subject, PLAIN).to_string();
    if plain.len() <= LONGEST_ID {
        return plain;
    }
    // No encoded id begins with this character.
    let digest: String = Sha256::digest(subject).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("~{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(subject: &str) -> Caller {
        Caller {
            subject: subject.to_owned(),
            name: None,
            email: None,
            scopes: Vec::new(),
            issuer: None,
            expires_at: 0,
            session: None,
        }
    }

    fn keys(budgets: &LlmBudgets, who: Option<&str>) -> Vec<String> {
        let who = who.map(caller);
        subjects(budgets, "todo", who.as_ref()).iter().map(|subject| subject.key.to_string()).collect()
    }

    #[test]
    fn no_character_of_an_id_means_anything_to_sql() {
        let budgets = LlmBudgets::default();
        assert_eq!(keys(&budgets, Some("ada@x.org")), ["caller/todo/ada@x.org", "module/todo", "host"]);
        assert_eq!(keys(&budgets, None)[0], "anonymous/todo");
        for id in ["'; DROP TABLE x --", "a\0b", "a/b", "\\'", "ü", "~", "a,b", "{}", &"x".repeat(500), &"ü".repeat(80)]
        {
            let key = keys(&budgets, Some(id)).remove(0);
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@%/~".contains(c);
            assert!(key.chars().all(plain) && key.len() < 230, "{key}");
            assert_eq!(key.matches('/').count(), 2, "{key}");
        }
        // One caller's id is never another's key.
        assert_ne!(keys(&budgets, Some("a/b")), keys(&budgets, Some("a%2Fb")));
        assert_ne!(keys(&budgets, Some(&"x".repeat(500))), keys(&budgets, Some(&"x".repeat(501))));
    }

    #[test]
    fn a_budget_without_limits_locks_nothing() {
        let budgets = LlmBudgets { host: LlmBudget::default(), ..LlmBudgets::default() };
        assert_eq!(keys(&budgets, None), ["anonymous/todo", "module/todo"]);
    }

    #[test]
    fn a_window_ends_at_the_minute_and_at_midnight_in_utc() {
        let now = 1_700_000_000_000;
        assert_eq!(resets(Unit::Requests, now), Some(Duration::from_secs(40)));
        assert_eq!(resets(Unit::OutputTokens, now), Some(Duration::from_secs(6_400)));
        assert_eq!(resets(Unit::Concurrency, now), None);
    }
}
