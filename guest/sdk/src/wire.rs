//! Between the host's words for a call and an author's. What the exports have in
//! common.

use serde_json::Value;

use crate::bindings::innkeeper::backend::types as wit;
use crate::context::{Answers, Context, Failure, Question};
use crate::{Caller, sql};

/// The version of the protocol for calls over plain HTTP.
const REST: &str = "rest";

/// How a call ended that the guest is not to blame for.
pub(crate) enum Ending<T> {
    Complete(T),
    Refused(String),
    /// The database may answer the next time.
    Busy,
    Asks(wit::InputRequired),
}

/// The context of a call.
pub(crate) fn context(ctx: &wit::CallContext, resume: Option<wit::Resumption>) -> Result<Context, wit::Error> {
    let context = Context { caller: Caller::current(), ..Context::default() };
    let can_ask = ctx.features.contains(wit::ClientFeatures::ELICIT_FORM);
    // The host tells a client of plain HTTP what is asked, which others could not read.
    let is_heard = can_ask || ctx.protocol_version == REST;
    Ok(Context { can_ask, is_heard, answers: resume.map(answers).transpose()?.unwrap_or_default(), ..context })
}

/// The answers of this round and, out of the state, of all before.
fn answers(resume: wit::Resumption) -> Result<Answers, wit::Error> {
    let wit::Resumption { responses, state } = resume;
    let earlier = state.map(|state| serde_json::from_slice(&state)).transpose();
    let mut answers: Answers = earlier.map_err(|error| broken(&error.to_string()))?.unwrap_or_default();
    for wit::InputResponse { key, answer } in responses {
        // Nothing else is ever asked for.
        let wit::InputAnswer::Elicit(wit::ElicitAnswer { action, content }) = answer else { continue };
        let content = content.filter(|_| action == wit::ElicitAction::Accept);
        let content: Option<Value> = content.and_then(|content| serde_json::from_str(&content).ok());
        answers.insert(key, content);
    }
    Ok(answers)
}

/// What became of a call, in the host's words.
pub(crate) fn settle<T>(context: &Context, result: Result<T, Failure>) -> Result<Ending<T>, wit::Error> {
    match result {
        Ok(value) => Ok(Ending::Complete(value)),
        Err(Failure::Refused(why)) => Ok(Ending::Refused(why)),
        Err(Failure::Asks(question)) => asks(&context.answers, *question).map(Ending::Asks),
        Err(Failure::Database(error)) if error.is_transient() => {
            eprintln!("the database did not answer: {error}");
            Ok(Ending::Busy)
        }
        Err(Failure::Database(error)) => Err(failed(&error)),
        Err(Failure::Broken(why)) => Err(broken(&why)),
    }
}

fn asks(answers: &Answers, Question { key, message, schema }: Question) -> Result<wit::InputRequired, wit::Error> {
    let state = match answers.is_empty() {
        true => None,
        false => Some(serde_json::to_vec(answers).map_err(|error| broken(&error.to_string()))?),
    };
    let form = wit::FormElicitation { message, requested_schema: schema.to_string() };
    let request = wit::InputRequest { key, kind: wit::InputKind::ElicitForm(form) };
    Ok(wit::InputRequired { requests: vec![request], state })
}

fn failed(error: &sql::Error) -> wit::Error {
    broken(&error.to_string())
}

/// A mistake of the guest: the reason is for the log, and for nobody else.
pub(crate) fn broken(why: &str) -> wit::Error {
    eprintln!("{why}");
    wit::Error::Internal("the guest failed".to_owned())
}

/// Nobody is to blame, and there is nothing to correct.
pub(crate) fn busy() -> wit::Error {
    wit::Error::Internal("the database is busy".to_owned())
}

/// How something is called and described.
pub(crate) fn descriptor(name: &str, title: Option<&str>, description: Option<&str>) -> wit::Descriptor {
    wit::Descriptor {
        name: name.to_owned(),
        title: title.map(str::to_owned),
        description: description.map(str::to_owned),
        icons: Vec::new(),
        meta: None,
    }
}

/// One piece of content.
pub(crate) fn content(kind: wit::ContentKind) -> wit::Content {
    wit::Content { kind, annotations: None, meta: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question() -> Failure {
        let (key, message) = ("b".to_owned(), "And b?".to_owned());
        Failure::Asks(Box::new(Question { key, message, schema: json!({}) }))
    }

    #[test]
    fn earlier_answers_travel_in_the_state_until_the_last() {
        let context = Context::default().answered("a", Some(json!({ "x": 1 })));
        let Ok(Ending::Asks(asked)) = settle::<()>(&context, Err(question())) else { panic!("it does not ask") };
        assert_eq!(asked.requests.len(), 1);
        assert_eq!(asked.state.as_deref(), Some(&br#"{"a":{"x":1}}"#[..]));
        assert_eq!(asked.requests[0].key, "b");
        let response = |action, content: Option<&str>| {
            let answer = wit::ElicitAnswer { action, content: content.map(str::to_owned) };
            wit::InputResponse { key: "b".to_owned(), answer: wit::InputAnswer::Elicit(answer) }
        };
        for (response, expected) in [
            (response(wit::ElicitAction::Accept, Some(r#"{"y":2}"#)), Some(json!({ "y": 2 }))),
            (response(wit::ElicitAction::Decline, None), None),
            (response(wit::ElicitAction::Cancel, Some(r#"{"y":2}"#)), None),
        ] {
            let answers = answers(wit::Resumption { responses: vec![response], state: asked.state.clone() });
            let expected = [("a".to_owned(), Some(json!({ "x": 1 }))), ("b".to_owned(), expected)];
            assert_eq!(answers.expect("answers"), Answers::from(expected));
        }
    }

    #[test]
    fn the_first_question_needs_no_state() {
        let Ok(Ending::Asks(asked)) = settle::<()>(&Context::default(), Err(question())) else {
            panic!("it does not ask")
        };
        assert!(asked.state.is_none());
    }

    #[test]
    fn a_mistake_of_the_guest_is_told_in_the_log_alone() {
        let Err(wit::Error::Internal(told)) = settle::<()>(&Context::default(), Err(Failure::broken("secret"))) else {
            panic!("no error")
        };
        assert_eq!(told, "the guest failed");
    }
}
