//! Conversations in the database. Every statement has the owner as its `$1`.
//!
//! What must happen once, or only to what is as it was, is a statement that fails
//! otherwise, and takes its whole batch with it.

use std::time::Duration;

use innkeeper_guest::sql::{self, ConstraintKind, Error, Rows, Statement};
use innkeeper_guest::{Timestamp, statement};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::turn::{Call, Message, Status, Turn, assemble};

/// A new conversation.
pub const CREATE: Statement = statement!("conversation-create", "../../sql/chat/conversation-create.sql");
/// One conversation.
pub const FIND: Statement = statement!("conversation-find", "../../sql/chat/conversation-find.sql");
/// Conversations in some order.
pub const LIST: Statement = statement!("conversation-list", "../../sql/chat/conversation-list.sql");
/// Conversations before or after one.
pub const PAGE: Statement = statement!("conversation-page", "../../sql/chat/conversation-page.sql");
/// A conversation goes on.
pub const TOUCH: Statement = statement!("conversation-touch", "../../sql/chat/conversation-touch.sql");
/// Another title.
pub const RENAME: Statement = statement!("conversation-rename", "../../sql/chat/conversation-rename.sql");
/// A conversation's end.
pub const DELETE: Statement = statement!("conversation-delete", "../../sql/chat/conversation-delete.sql");
/// What a user says.
pub const ASK: Statement = statement!("message-ask", "../../sql/chat/message-ask.sql");
/// What the model says.
pub const ANSWER: Statement = statement!("message-answer", "../../sql/chat/message-answer.sql");
/// The messages of some turns.
pub const MESSAGES: Statement = statement!("message-window", "../../sql/chat/message-window.sql");
/// The turn of a message.
pub const TURN: Statement = statement!("message-turn", "../../sql/chat/message-turn.sql");
/// A message's end.
pub const DROP: Statement = statement!("message-drop", "../../sql/chat/message-drop.sql");
/// What the user thinks of an answer.
pub const RATE: Statement = statement!("message-rate", "../../sql/chat/message-rate.sql");
/// A call that the model asks for.
pub const CALL: Statement = statement!("call-create", "../../sql/chat/call-create.sql");
/// The calls of some turns.
pub const CALLS: Statement = statement!("call-window", "../../sql/chat/call-window.sql");
/// A call begins.
pub const CLAIM: Statement = statement!("call-claim", "../../sql/chat/call-claim.sql");
/// The claimed call is there.
pub const IS_THERE: Statement = statement!("call-is-there", "../../sql/chat/call-is-there.sql");
/// A call has a result.
pub const FINISH: Statement = statement!("call-finish", "../../sql/chat/call-finish.sql");
/// The user decides about a call.
pub const DECIDE: Statement = statement!("call-decide", "../../sql/chat/call-decide.sql");
/// The user goes on without deciding.
pub const SETTLE: Statement = statement!("call-settle", "../../sql/chat/call-settle.sql");

/// Turns that are read at once. The answers of ten turns, each as large as one may
/// be, are within the bytes that the host lets one statement give.
pub const WINDOW: i64 = 10;
/// Calls that are read at once; with their arguments and results at their largest
/// they are within those bytes as well.
const CALLS_MOST: usize = 120;
/// No run of a guest lasts so long. Shorter, and a slow one would be called lost
/// while it runs.
const LONGEST_RUN: Duration = Duration::from_secs(3600);

/// One row of `conversations`.
#[derive(Clone, Debug, Deserialize)]
pub struct Conversation {
    pub(crate) id: i64,
    pub(crate) user_id: String,
    pub(crate) title: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    #[serde(default)]
    pub(crate) message_count: i64,
    /// How many there are; they are numbered from 1.
    #[serde(default)]
    pub(crate) turns: i64,
}

/// What the model said, to be stored.
pub struct Said<'a> {
    pub(crate) turn: i64,
    pub(crate) step: i64,
    pub(crate) text: &'a str,
    pub(crate) finish: &'a str,
    pub(crate) continuation: Option<Vec<u8>>,
    pub(crate) calls: &'a [NewCall],
}

/// A call, to be stored.
#[derive(Clone, Debug)]
pub struct NewCall {
    pub(crate) call_id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) status: Status,
}

/// One user's conversations.
#[derive(Clone, Debug)]
pub struct Store {
    owner: String,
}

impl Store {
    /// The conversations of this user.
    pub fn of(owner: &str) -> Self {
        Self { owner: owner.to_owned() }
    }

    /// A new conversation.
    pub fn create(&self, title: &str) -> Result<Conversation, Error> {
        one(&CREATE.bind(&self.owner).bind(title).bind(Timestamp::now()).rows()?)
    }

    /// The conversation of this id.
    pub fn find(&self, id: i64) -> Result<Option<Conversation>, Error> {
        FIND.bind(&self.owner).bind(id).first()
    }

    /// One page of conversations, in an order of `conversation-list.sql`.
    pub fn list(&self, order: &str, limit: i64, offset: i64) -> Result<Vec<Conversation>, Error> {
        LIST.bind(&self.owner).bind(order).bind(limit).bind(offset).all()
    }

    /// Conversations whose ids are above `from`, or below it and backwards.
    pub fn page<T: DeserializeOwned>(&self, from: i64, upwards: bool, limit: i64) -> Result<Vec<T>, Error> {
        PAGE.bind(&self.owner).bind(from).bind(upwards).bind(limit).all()
    }

    /// Gives a conversation another title; false when there is none.
    pub fn rename(&self, id: i64, title: &str) -> Result<bool, Error> {
        Ok(RENAME.bind(&self.owner).bind(id).bind(title).bind(Timestamp::now()).execute()? > 0)
    }

    /// Deletes a conversation; false when there was none.
    pub fn delete(&self, id: i64) -> Result<bool, Error> {
        Ok(DELETE.bind(&self.owner).bind(id).execute()? > 0)
    }

    /// Stores what the user says, as the next turn. What waited for an approval
    /// has none now. None when there is no such conversation.
    pub fn ask(&self, conversation: i64, text: &str) -> Result<Option<Turn>, Error> {
        let (owner, now) = (&self.owner, Timestamp::now());
        let overdue = Timestamp(now.0.saturating_sub(i64::try_from(LONGEST_RUN.as_micros()).unwrap_or(i64::MAX)));
        let rows = sql::batch([
            TOUCH.bind(owner).bind(conversation).bind(now),
            SETTLE.bind(owner).bind(conversation).bind(now).bind(overdue),
            ASK.bind(owner).bind(conversation).bind(text).bind(now),
        ]);
        let rows = match rows {
            Err(error) if is(&error, ConstraintKind::ForeignKey) => return Ok(None),
            rows => rows?,
        };
        #[derive(Deserialize)]
        struct Key {
            id: i64,
            turn: i64,
        }
        let Key { id, turn } = one(rows.last().ok_or_else(no_row)?)?;
        Ok(Some(Turn::begun(Message::said_by_user(id, turn, text, now))))
    }

    /// Stores an answer of the model and the calls in it, in one.
    pub fn answer(&self, conversation: i64, said: Said<'_>) -> Result<(Message, Vec<Call>), Error> {
        let (owner, now) = (&self.owner, Timestamp::now());
        let Said { turn, step, text, finish, continuation, calls } = said;
        let answer = ANSWER.bind(owner).bind(conversation).bind(turn).bind(step).bind(text).bind(finish);
        let mut batch =
            vec![TOUCH.bind(owner).bind(conversation).bind(now), answer.bind(continuation.clone()).bind(now)];
        for (place, NewCall { call_id, name, arguments, status }) in (0_i64..).zip(calls) {
            let call = CALL.bind(owner).bind(conversation).bind(turn).bind(step).bind(place);
            batch.push(call.bind(call_id).bind(name).bind(arguments).bind(status.word()).bind(now));
        }
        #[derive(Deserialize)]
        struct Key {
            id: i64,
        }
        let rows = sql::batch(batch)?;
        let mut ids = rows.iter().skip(1).map(|rows| one::<Key>(rows).map(|key| key.id));
        let message = Message {
            id: ids.next().ok_or_else(no_row)??,
            turn,
            step,
            content: text.to_owned(),
            finish: finish.to_owned(),
            continuation,
            created_at: now,
        };
        let calls = (0..).zip(calls).zip(ids);
        let calls = calls.map(|((place, new), id)| Ok(Call::new(id?, turn, step, place, new)));
        Ok((message, calls.collect::<Result<_, Error>>()?))
    }

    /// What goes ahead of a tool's own statements: they are run only once for a
    /// call, however often it is tried and whatever ends first.
    pub fn claim(&self, call: i64) -> [sql::Call; 2] {
        let claim = CLAIM.bind(&self.owner).bind(call).bind(Timestamp::now());
        [claim, IS_THERE.bind(&self.owner).bind(call)]
    }

    /// Stores a call's result; false when it is not this run's any more.
    pub fn finish(&self, call: i64, result: &str, failed: bool) -> Result<bool, Error> {
        let finish = FINISH.bind(&self.owner).bind(call).bind(result).bind(failed).bind(Timestamp::now());
        Ok(finish.execute()? > 0)
    }

    /// Stores decisions about calls of a turn, all or none, and gives the turn as
    /// it is then: of several requests that decide at the same time, one sees that
    /// nothing is left to decide. None when one of them was decided before.
    pub fn decide(&self, conversation: i64, turn: i64, decisions: &[(i64, bool)]) -> Result<Option<Turn>, Error> {
        let (owner, now) = (&self.owner, Timestamp::now());
        let status = |approved| if approved { Status::Approved } else { Status::Rejected }.word();
        let mut batch = vec![TOUCH.bind(owner).bind(conversation).bind(now)];
        let decide = |(call, approved): &(i64, bool)| DECIDE.bind(owner).bind(*call).bind(status(*approved)).bind(now);
        batch.extend(decisions.iter().map(decide));
        batch.extend(self.window(conversation, turn, turn));
        match sql::batch(batch) {
            Err(error) if is(&error, ConstraintKind::Check) => Ok(None),
            rows => Ok(read(&rows?)?.pop()),
        }
    }

    /// The turns from one to another, at most [`WINDOW`] of them.
    pub fn turns(&self, conversation: i64, from: i64, to: i64) -> Result<Vec<Turn>, Error> {
        read(&sql::batch(self.window(conversation, from, to))?)
    }

    fn window(&self, conversation: i64, from: i64, to: i64) -> [sql::Call; 2] {
        let most = i64::try_from(CALLS_MOST).unwrap_or(i64::MAX);
        let between = |statement: Statement| statement.bind(&self.owner).bind(conversation).bind(from).bind(to);
        [between(MESSAGES), between(CALLS).bind(most)]
    }

    /// The number of the turn that a user's message began.
    pub fn turn_of(&self, conversation: i64, message: i64) -> Result<Option<i64>, Error> {
        #[derive(Deserialize)]
        struct Number {
            turn: i64,
        }
        let number = TURN.bind(&self.owner).bind(conversation).bind(message).first::<Number>()?;
        Ok(number.map(|number| number.turn))
    }

    /// Takes back one step of an answer.
    pub fn drop_step(&self, conversation: i64, turn: i64, step: i64) -> Result<(), Error> {
        DROP.bind(&self.owner).bind(conversation).bind(turn).bind(step).execute().map(|_| ())
    }

    /// Stores what the user thinks of the answer to a message.
    pub fn rate(&self, conversation: i64, message: i64, feedback: &str) -> Result<(), Error> {
        RATE.bind(&self.owner).bind(conversation).bind(message).bind(feedback).execute().map(|_| ())
    }
}

/// The turns in the last two results.
fn read(rows: &[Rows]) -> Result<Vec<Turn>, Error> {
    let [.., messages, calls] = rows else { return Err(no_row()) };
    Ok(assemble(messages.all()?, calls.all()?, CALLS_MOST))
}

/// Whether a call was claimed before, or is gone.
pub fn is_claimed(error: &Error) -> bool {
    is(error, ConstraintKind::Check)
}

/// Whether another request continued the turn.
pub fn is_overtaken(error: &Error) -> bool {
    is(error, ConstraintKind::Unique)
}

/// Whether the conversation is gone.
pub fn is_gone(error: &Error) -> bool {
    is(error, ConstraintKind::ForeignKey)
}

fn is(error: &Error, kind: ConstraintKind) -> bool {
    error.constraint().is_some_and(|constraint| constraint.kind == kind)
}

fn one<T: DeserializeOwned>(rows: &Rows) -> Result<T, Error> {
    rows.all::<T>()?.into_iter().next().ok_or_else(no_row)
}

fn no_row() -> Error {
    Error::Decode("a statement gave no row".to_owned())
}
