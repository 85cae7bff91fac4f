//! One connection: how it is opened, set up and looked at, and how a call begins
//! on it.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgStatement};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row, SqlStr, Transaction};
use uuid::Uuid;

use super::caller::{Clock, Key};
use crate::broker::sql::pool::Open;

/// Blanks before a token, at most: what `pg_stat_activity` may be set to show.
/// Beyond it the token travels as a parameter, for one more round trip.
const MOST_BLANKS: usize = 16 << 10;

/// How connections of a module are opened.
pub(super) struct PgOpen {
    pub(super) options: PgConnectOptions,
    pub(super) statement_time: Duration,
    /// A pooler stands between, and each transaction may meet another backend.
    pub(super) pooled: bool,
    /// The role that statements must run as; none when isolation is `trusted`.
    pub(super) role: Option<String>,
}

/// What the server says of a session.
const LOOK: &str = "\
    SELECT session_user::text, current_user::text, (rolsuper OR rolbypassrls OR rolcreaterole)::text, \
    EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid)::text, pg_backend_pid()::text, \
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text, \
    pg_size_bytes(current_setting('track_activity_query_size'))::text \
    FROM pg_roles r WHERE rolname = current_user";

/// An open connection, and what the server said of itself.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    /// The backend that tokens are for; 0, which is any, behind a pooler.
    pid: i32,
    clock: Clock,
    blanks: usize,
}

impl Session {
    /// A token for this session's backend, good for the next few seconds.
    pub(super) fn token(&self, entry: &Entry<'_>) -> String {
        entry.key.token(entry.caller, entry.role, self.pid, self.clock)
    }
}

/// Who calls: what a token is made of.
pub(super) struct Entry<'a> {
    pub(super) key: &'a Key,
    pub(super) role: &'a str,
    pub(super) caller: &'a str,
}

#[async_trait]
impl Open for PgOpen {
    type Session = Session;

    /// sqlx knows no cancel: what runs too long is ended by the server itself,
    /// and what lost its client is noticed by the server (Postgres 14 and later).
    async fn open(&self) -> Result<Session, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        // Behind a pooler these settings would stay with a backend that the next
        // transaction may not meet; there each transaction has its own.
        let settings = if self.pooled { String::new() } else { settings("SET", self.statement_time) };
        let plans = if self.role.is_some() && !self.pooled { PLANS } else { "" };
        let look = format!("{settings} {plans} {LOOK}");
        let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(look))).await?;
        self.check(&row)?;
        let clock = Clock { micros: number(&row, 5)?, at: Instant::now() };
        let blanks = usize::try_from(number::<i64>(&row, 6)?).unwrap_or(usize::MAX);
        let pid = if self.pooled { 0 } else { number(&row, 4)? };
        Ok(Session { connection, pid, clock, blanks })
    }

    async fn ping(&self, session: &mut Session) -> Result<(), sqlx::Error> {
        session.connection.ping().await
    }

    async fn settle(&self, session: &mut Session) -> bool {
        if is_at_rest(&mut session.connection).await {
            return true;
        }
        // Cut off while the transaction began: the driver does not end such a one.
        let ended = session.connection.execute("ROLLBACK").await;
        ended.is_ok() && is_at_rest(&mut session.connection).await
    }
}

/// Whether everything that was asked on a connection is answered, and no transaction
/// is open. The driver reads all answers before it asks anything else, and matches
/// them to questions by their order alone: so what comes has to be the answer to this
/// one, or a caller would get what another one asked for.
async fn is_at_rest(connection: &mut PgConnection) -> bool {
    let asked = Uuid::new_v4().simple().to_string();
    let question = format!("SELECT '{asked}' WHERE now() = statement_timestamp()");
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(question))).await.unwrap_or_default();
    rows.iter().map(|row| row.try_get::<String, _>(0).ok()).eq([Some(asked)])
}

/// One plan per statement and connection. The policy compares the owner with what
/// only a run finds out, so a plan made for a call's values knows hardly more, and
/// making it took longer than the statement.
const PLANS: &str = "SET plan_cache_mode = force_generic_plan;";

/// Prints are qualified, so the path is the system's alone: a function that
/// somebody left in `public` must not fit a call better than the real one.
fn settings(set: &str, time: Duration) -> String {
    let millis = time.as_millis();
    [
        format!("statement_timeout = {millis}"),
        format!("lock_timeout = {millis}"),
        format!("idle_in_transaction_session_timeout = {millis}"),
        "client_connection_check_interval = '500ms'".to_owned(),
        // The driver would log the server's warnings, which nobody can act on.
        "client_min_messages = 'error'".to_owned(),
        "TimeZone = 'UTC'".to_owned(),
        "search_path = pg_catalog, pg_temp".to_owned(),
        // A role may set defaults of its own for these, too: an acknowledged write is on
        // disk, and a call can write and sees its rows.
        "synchronous_commit = on".to_owned(),
        "default_transaction_read_only = off".to_owned(),
        "row_security = on".to_owned(),
    ]
    .map(|setting| format!("{set} {setting};"))
    .concat()
}

fn number<T: std::str::FromStr>(row: &PgRow, column: usize) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| sqlx::Error::Protocol(format!("`{text}` is not a number")))
}

/// Prepares a statement and leaves none behind. The driver names each, and behind
/// a pooler the name would stay on a backend where the next session, or another
/// replica, comes to the same one.
pub(super) async fn prepare_apart(connection: &mut PgConnection, text: SqlStr) -> Result<PgStatement, sqlx::Error> {
    const FORGET: &str = "DEALLOCATE ALL";
    // One transaction is on one backend. It may have names already: of somebody
    // who was cut off here.
    let mut transaction = connection.begin_with(AssertSqlSafe(format!("BEGIN; {FORGET}"))).await?;
    let prepared = (&mut *transaction).prepare(text).await?;
    transaction.execute(sqlx::raw_sql(FORGET)).await?;
    transaction.rollback().await?;
    Ok(prepared)
}

impl PgOpen {
    /// Looks again at a role that may have been given more since it logged in.
    pub(super) async fn check_again(&self, session: &mut Session) -> Result<(), sqlx::Error> {
        let row = session.connection.fetch_one(sqlx::raw_sql(LOOK)).await?;
        self.check(&row)
    }

    /// A role that may more than it should would pass every policy by.
    fn check(&self, row: &PgRow) -> Result<(), sqlx::Error> {
        let Some(role) = &self.role else { return Ok(()) };
        let text = |column| row.try_get::<String, _>(column);
        let powerful = text(2)? == "true" || text(3)? == "true";
        if powerful || text(0)? != *role || text(1)? != *role {
            let what = format!(
                "the role `{role}` may more than its module: it must have neither SUPERUSER, BYPASSRLS nor CREATEROLE, \
                 and be a member of nothing"
            );
            return Err(sqlx::Error::Configuration(what.into()));
        }
        Ok(())
    }

    /// Opens the transaction of one call, in one message where it can.
    pub(super) async fn begin<'s>(
        &self,
        session: &'s mut Session,
        entry: Option<Entry<'_>>,
        writes: bool,
    ) -> Result<Transaction<'s, sqlx::Postgres>, sqlx::Error> {
        let mut text = String::from(if writes { "BEGIN;" } else { "BEGIN READ ONLY;" });
        if self.pooled {
            text.push_str(&settings("SET LOCAL", self.statement_time));
        }
        let Some(entry) = entry else {
            return session.connection.begin_with(AssertSqlSafe(text)).await;
        };
        let in_text = !self.pooled && session.blanks <= MOST_BLANKS;
        let token = session.token(&entry);
        if in_text {
            text.reserve(session.blanks + token.len() + 32);
            text.extend(std::iter::repeat_n(' ', session.blanks));
            text.extend(["SELECT innkeeper.enter('", &token, "')"]);
            return session.connection.begin_with(AssertSqlSafe(text)).await;
        }
        let mut transaction = session.connection.begin_with(AssertSqlSafe(text)).await?;
        let enter = sqlx::query("SELECT innkeeper.enter($1)").persistent(!self.pooled).bind(token);
        enter.execute(&mut *transaction).await?;
        Ok(transaction)
    }
}
