//! The bodies of the chat, checked.

use crate::check::{Checked, Fields, Issues, Rule, Step, both, nullable, scalar};
use crate::json::Value;

/// Characters of a title.
const TITLE_MAX: usize = 200;
/// Decisions in one request; a step has fewer calls.
const DECISIONS: usize = 50;

/// The body of POST `…/chat`.
#[derive(Debug, PartialEq)]
pub struct Said {
    pub(super) message: String,
    pub(super) conversation: Option<i64>,
}

impl Said {
    /// Checks a body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(body: Option<&Value>, message_max: usize) -> Checked<Self> {
        in_body(body, |fields| {
            let text = fields.required("message", |value| message(value, message_max));
            let conversation = fields.given("conversation_id", nullable(conversation_id)).map(Option::flatten);
            let (message, conversation) = both(text, conversation)?;
            Ok(Self { message, conversation: conversation.flatten() })
        })
    }
}

/// The body of POST `…/approvals`: calls, and whether each may run.
///
/// # Errors
/// Everything that is wrong with it.
pub fn decisions(body: Option<&Value>) -> Checked<Vec<(i64, bool)>> {
    in_body(body, |fields| {
        let ids = |name| fields.given(name, |value| scalar::list(value, DECISIONS, call_id));
        let (approve, reject) = both(ids("approve"), ids("reject"))?;
        let approve = approve.unwrap_or_default().into_iter().map(|id| (id, true));
        let reject = reject.unwrap_or_default().into_iter().map(|id| (id, false));
        let mut decisions: Vec<(i64, bool)> = approve.chain(reject).collect();
        if fields.get("call_id").is_some() || decisions.is_empty() {
            let approved = fields.required("approved", scalar::boolean);
            decisions.push(both(fields.required("call_id", call_id), approved)?);
        }
        let twice = |(index, (id, _)): (usize, &(i64, bool))| decisions[..index].iter().any(|(other, _)| other == id);
        if decisions.iter().enumerate().any(twice) {
            return Err(Issues::one(Rule::Own("A tool call can be decided once"), &Value::Null));
        }
        Ok(decisions)
    })
}

/// The body of PATCH `…/conversations/{conversation_id}`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn title(body: Option<&Value>) -> Checked<String> {
    in_body(body, |fields| fields.required("title", |value| not_blank(value, TITLE_MAX, "Title cannot be empty")))
}

fn in_body<T>(body: Option<&Value>, read: impl FnOnce(Fields<'_>) -> Checked<T>) -> Checked<T> {
    Fields::of_body(body).and_then(read).map_err(|issues| issues.at(Step::Name("body")))
}

/// What a user says.
///
/// # Errors
/// No text, none to speak of, or too much.
pub fn message(value: &Value, max: usize) -> Checked<String> {
    not_blank(value, max, "Message cannot be empty")
}

fn not_blank(value: &Value, max: usize, sentence: &'static str) -> Checked<String> {
    let text = scalar::text(value, 1, max)?;
    if scalar::is_blank(&text) {
        return Err(Issues::one(Rule::Own(sentence), value));
    }
    Ok(text)
}

/// Clients send back what they got, as a number or as a text, and an empty text
/// for none.
fn conversation_id(value: &Value) -> Checked<Option<i64>> {
    match value {
        Value::Str(text) if text.is_empty() => Ok(None),
        value => integer(value).map(Some),
    }
}

fn integer(value: &Value) -> Checked<i64> {
    match value {
        Value::Int(number) => Ok(i64::try_from(*number).unwrap_or(i64::MAX)),
        value => scalar::integer(value),
    }
}

/// `call_7`, or the number alone.
fn call_id(value: &Value) -> Checked<i64> {
    match value {
        Value::Str(text) => match text.strip_prefix("call_") {
            Some(number) => integer(&Value::Str(number.to_owned())),
            None => integer(value),
        },
        value => integer(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn said(body: &str) -> Checked<Said> {
        Said::read(Some(&json::decode(body).expect("JSON")), 10)
    }

    #[track_caller]
    fn decided(body: &str, expected: &[(i64, bool)]) {
        assert_eq!(decisions(Some(&json::decode(body).expect("JSON"))).expect("it is good"), expected, "{body}");
    }

    #[test]
    fn a_conversation_is_named_as_clients_got_it_or_not_at_all() {
        for (id, expected) in [
            ("", None),
            (r#","conversation_id":null"#, None),
            (r#","conversation_id":"""#, None),
            (r#","conversation_id":7"#, Some(7)),
            (r#","conversation_id":"7""#, Some(7)),
            (r#","conversation_id":99999999999999999999"#, Some(i64::MAX)),
        ] {
            let said = said(&format!(r#"{{"message":"hi"{id}}}"#)).expect(id);
            assert_eq!(said.conversation, expected, "{id}");
        }
        for id in [r#""abc""#, "[7]", "true", "{}"] {
            assert!(said(&format!(r#"{{"message":"hi","conversation_id":{id}}}"#)).is_err(), "{id}");
        }
    }

    #[test]
    fn a_message_has_something_in_it_and_an_end() {
        for body in [r#"{}"#, r#"{"message":""}"#, r#"{"message":"  \n"}"#, r#"{"message":"12345678901"}"#] {
            assert!(said(body).is_err(), "{body}");
        }
        assert_eq!(said(r#"{"message":" 1234567 ","user_id":"eve"}"#).expect("good").message, " 1234567 ");
    }

    #[test]
    fn decisions_come_in_lists_or_one_by_one() {
        decided(r#"{"approve":["call_1",2],"reject":["3"]}"#, &[(1, true), (2, true), (3, false)]);
        decided(r#"{"call_id":"call_4","approved":false}"#, &[(4, false)]);
        for body in [
            r#"{}"#,
            r#"{"approve":[]}"#,
            r#"{"approve":[1],"reject":[1]}"#,
            r#"{"approve":["x"]}"#,
            r#"{"call_id":"call_4"}"#,
            r#"{"call_id":"call_4","approved":"perhaps"}"#,
        ] {
            assert!(decisions(Some(&json::decode(body).expect("JSON"))).is_err(), "{body}");
        }
    }
}
