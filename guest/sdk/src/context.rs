//! Who calls a tool, a resource or a prompt, and what the user has answered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::sql::{self, Call, Rows};
use crate::{Caller, shape};

/// Why there is no result.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The arguments do not fit, or what they name is not there. Whoever called
    /// reads the sentence.
    Refused(String),
    /// The user has to be asked first. [`Context::ask`] makes it; pass it on by `?`.
    Asks(Box<Question>),
    /// The database did not do it.
    Database(sql::Error),
    /// A mistake of the guest; for the log.
    Broken(String),
}

impl Failure {
    /// A sentence for whoever called.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// A mistake of the guest.
    pub fn broken(why: impl ToString) -> Self {
        Self::Broken(why.to_string())
    }
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Self {
        Self::Database(error)
    }
}

/// A form for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub(crate) key: String,
    pub(crate) message: String,
    pub(crate) schema: Value,
}

/// Answers by the keys of their questions; none where the user did not want to say.
pub(crate) type Answers = BTreeMap<String, Option<Value>>;

/// Who calls, and how writes are made once.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub(crate) caller: Option<Caller>,
    pub(crate) can_ask: bool,
    /// Whether somebody hears of questions: the user, or a program that cannot answer.
    pub(crate) is_heard: bool,
    pub(crate) answers: Answers,
    pub(crate) guard: Vec<Call>,
}

impl Context {
    /// The caller of this call, who cannot be asked anything.
    pub fn current() -> Self {
        Self { caller: Caller::current(), ..Self::default() }
    }

    /// The same, with statements that go ahead of every [`write`](Self::write) and
    /// stop it by failing. A guard that can succeed only once makes a tool do its
    /// work only once, even if the guest is cut off between the two.
    #[must_use]
    pub fn guarded(self, guard: impl IntoIterator<Item = Call>) -> Self {
        Self { guard: guard.into_iter().collect(), ..self }
    }

    /// The same, with a user who can be asked: for tests.
    #[must_use]
    pub fn askable(self) -> Self {
        Self { can_ask: true, is_heard: true, ..self }
    }

    /// The same, with the answer to a question, or with none where the user did not
    /// want to say: for tests.
    #[must_use]
    pub fn answered(mut self, key: &str, answer: Option<Value>) -> Self {
        self.answers.insert(key.to_owned(), answer);
        self.askable()
    }

    /// Who calls; none when nobody is signed in.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Whose tools these are.
    ///
    /// # Errors
    /// When nobody is signed in.
    pub fn owner(&self) -> Result<&str, Failure> {
        let caller = self.caller.as_ref().ok_or_else(|| Failure::refused("Nobody is signed in."))?;
        Ok(&caller.subject)
    }

    /// Whether there is a user who can be asked: not in a model's chat, nor over plain
    /// HTTP, nor by a client of the protocol that has no forms.
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Asks the user by a form whose fields are those of `T`: texts, numbers,
    /// booleans and enums, or options of them. Field documentation is shown.
    ///
    /// The guest ends here, and is run again from the start, in another instance,
    /// when the user has answered: then this gives the answer. So ask before
    /// anything is written, and under a key that is the same each time. A second
    /// question is asked once the first has its answer.
    ///
    /// Where nobody can be asked, the call is refused with the question in it, so that
    /// a model can ask it in its own words; over plain HTTP the form is the answer. So
    /// whatever is asked for should be an argument as well, which may be left out.
    ///
    /// # Errors
    /// Not answered yet, or the user did not want to say. Pass it on by `?`.
    pub fn ask<T: DeserializeOwned + JsonSchema>(&self, key: &str, message: &str) -> Result<T, Failure> {
        let answer = self.ask_or_none(key, message)?;
        answer.ok_or_else(|| Failure::refused("The user was asked, and did not want to say."))
    }

    /// As [`ask`](Self::ask), where no answer is one as well.
    ///
    /// # Errors
    /// Not answered yet.
    pub fn ask_or_none<T: DeserializeOwned + JsonSchema>(
        &self,
        key: &str,
        message: &str,
    ) -> Result<Option<T>, Failure> {
        let Some(answer) = self.answers.get(key) else {
            if !self.is_heard {
                return Err(Failure::Refused(format!("The user has to be asked first: {message}")));
            }
            let (key, message) = (key.to_owned(), message.to_owned());
            return Err(Failure::Asks(Box::new(Question { key, message, schema: shape::form::<T>() })));
        };
        let Some(answer) = answer else { return Ok(None) };
        let answer = serde_json::from_value(answer.clone());
        answer.map(Some).map_err(|error| Failure::Refused(format!("The answer does not fit: {error}.")))
    }

    /// Asks the user for a yes. Whatever else the user does is a no.
    ///
    /// # Errors
    /// Not answered yet.
    pub fn confirm(&self, key: &str, message: &str) -> Result<bool, Failure> {
        #[derive(Deserialize, JsonSchema)]
        struct Confirmation {
            /// Yes, go ahead.
            yes: bool,
        }
        Ok(self.ask_or_none::<Confirmation>(key, message)?.is_some_and(|answer| answer.yes))
    }

    /// Writes, all or nothing, behind the guard. Once per call.
    ///
    /// # Errors
    /// What the broker answers; then nothing was written.
    pub fn write(&self, calls: impl IntoIterator<Item = Call>) -> Result<Vec<Rows>, sql::Error> {
        let mut rows = sql::batch(self.guard.iter().cloned().chain(calls))?;
        Ok(rows.split_off(self.guard.len()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    struct Name {
        name: String,
    }

    /// Two questions, one after the other.
    fn both(context: &Context) -> Result<String, Failure> {
        let Name { name } = context.ask("name", "Who?")?;
        let sure = context.confirm("sure", &format!("{name}, really?"))?;
        Ok(format!("{name} {sure}"))
    }

    #[track_caller]
    fn asks(context: &Context, key: &str) {
        let Err(Failure::Asks(question)) = both(context) else { panic!("it does not ask") };
        assert_eq!(question.key, key);
    }

    #[test]
    fn questions_are_asked_one_by_one_and_answers_are_given_when_they_are_there() {
        let context = Context::default().askable();
        asks(&context, "name");
        let context = context.answered("name", Some(json!({ "name": "Ada" })));
        asks(&context, "sure");
        for (answer, expected) in [
            (Some(json!({ "yes": true })), "Ada true"),
            (Some(json!({ "yes": false })), "Ada false"),
            (None, "Ada false"),
        ] {
            assert_eq!(both(&context.clone().answered("sure", answer)).expect("an answer"), expected);
        }
    }

    #[test]
    fn where_nobody_can_be_asked_the_question_is_the_answer() {
        let Err(Failure::Refused(why)) = both(&Context::default()) else { panic!("no refusal") };
        assert_eq!(why, "The user has to be asked first: Who?");
    }

    #[test]
    fn who_does_not_want_to_say_gets_no_result() {
        let Err(Failure::Refused(why)) = both(&Context::default().answered("name", None)) else { panic!("no refusal") };
        assert_eq!(why, "The user was asked, and did not want to say.");
        let wrong = both(&Context::default().answered("name", Some(json!({ "name": 5 }))));
        assert!(matches!(wrong, Err(Failure::Refused(why)) if why.contains("does not fit")));
    }
}
