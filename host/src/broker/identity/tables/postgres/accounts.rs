//! What is written: users, accounts and sessions, each in one transaction.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::layout::{self, Ids, Layout};
use super::{LOOK_AGAIN, Tables, unavailable};
use crate::broker::identity::id::Id;
use crate::broker::identity::tables::{
    Begun, Known, NewAccount, Registered, SESSION_SECONDS, SESSIONS, TableError, word,
};
use crate::database::postgres::AskError;

/// How each transaction begins. A date without a zone (Better Auth 1.3) means
/// UTC, so that is what `now()` has to be.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '1s'; SET LOCAL lock_timeout = '1s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL TimeZone = 'UTC'";
/// The same for making tables: another host may be at it.
const BEGIN_TABLES: &str = "BEGIN; SET LOCAL statement_timeout = '3s'; SET LOCAL lock_timeout = '3s'; \
                            SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL client_min_messages = warning";

/// The wait for somebody else who finds out about the tables. Longer: a database
/// that is away holds one caller after the other.
const TURN: Duration = Duration::from_secs(1);

/// What is known of the tables, or what was wrong with them, and when. One at a
/// time finds out.
#[derive(Default)]
pub(super) struct Accounts(Mutex<Option<(Result<Layout, String>, Instant)>>);

impl Tables {
    /// Makes the tables when they are missing, and looks at them.
    pub(in crate::broker::identity::tables) async fn prepare(&self) -> Result<(), TableError> {
        self.accounts().await.map(|_| ())
    }

    /// The tables that accounts are kept in; made, when they are missing.
    async fn accounts(&self) -> Result<Layout, TableError> {
        let known = tokio::time::timeout(TURN, self.accounts.0.lock()).await;
        let mut known = known.map_err(|late| TableError::Unavailable(late.into()))?;
        match &*known {
            Some((Ok(layout), _)) => return Ok(layout.clone()),
            Some((Err(why), looked)) if looked.elapsed() < LOOK_AGAIN => return Err(TableError::Unfit(why.clone())),
            _ => {}
        }
        let begin = AssertSqlSafe(BEGIN_TABLES.to_owned());
        let prepared = self.pool.write(begin, async |connection| layout::prepare(connection, &self.foreign).await);
        let found = match prepared.await.map_err(away)? {
            Ok(layout) => Ok(layout),
            Err(TableError::Unfit(why)) => Err(why),
            Err(other) => return Err(other),
        };
        *known = Some((found.clone(), Instant::now()));
        // Sessions are looked up where they are now.
        self.forget();
        found.map_err(TableError::Unfit)
    }

    pub(in crate::broker::identity::tables) async fn user(&self, email: &str) -> Result<Option<Known>, TableError> {
        let Layout { schema, .. } = self.accounts().await?;
        let text = format!(
            "SELECT u.id::text, u.email::text, u.name::text, a.password::text FROM {schema}.\"user\" u \
             LEFT JOIN {schema}.\"account\" a ON a.\"userId\" = u.id AND a.\"providerId\" = 'credential' \
             WHERE u.email = $1 LIMIT 1"
        );
        let row = self.write(async |connection| {
            sqlx::query(AssertSqlSafe(text)).persistent(false).bind(email).fetch_optional(connection).await
        });
        let Some(row) = row.await? else { return Ok(None) };
        let read =
            || Ok(Known { id: row.try_get(0)?, email: row.try_get(1)?, name: row.try_get(2)?, hash: row.try_get(3)? });
        read().map(Some).map_err(unavailable)
    }

    pub(in crate::broker::identity::tables) async fn register(
        &self,
        account: &NewAccount<'_>,
    ) -> Result<Registered, TableError> {
        let layout = self.accounts().await?;
        let (user, own, session) = (layout.user.name()?, layout.account.name()?, NewSession::new(&layout)?);
        let schema = &layout.schema;
        let users = format!(
            "INSERT INTO {schema}.\"user\" (id, name, email, \"emailVerified\", \"createdAt\", \"updatedAt\") \
             VALUES ({user}, $1, $2, false, now(), now()) RETURNING id::text"
        );
        let there = format!("SELECT 1 FROM {schema}.\"user\" WHERE email = $1");
        let registered = self.write(async |connection| {
            // Asked, too: not every schema that was made by hand has the constraint.
            let found = sqlx::query(AssertSqlSafe(there)).persistent(false).bind(account.email);
            if found.fetch_optional(&mut *connection).await?.is_some() {
                return Ok(Registered::Taken);
            }
            // This fails when somebody else has just registered it, and the
            // transaction with it.
            let added = sqlx::query(AssertSqlSafe(users)).persistent(false).bind(account.name).bind(account.email);
            let user: String = added.fetch_one(&mut *connection).await?.try_get(0)?;
            let user = Id::new(&user).map_err(|_| sqlx::Error::Protocol("a new user has an odd id".to_owned()))?;
            let text = format!(
                "INSERT INTO {schema}.\"account\" (id, \"accountId\", \"providerId\", \"userId\", password, \"createdAt\", \"updatedAt\") \
                 VALUES ({own}, $1, 'credential', '{}', $2, now(), now())",
                user.as_str()
            );
            let text = sqlx::query(AssertSqlSafe(text)).persistent(false).bind(user.as_str()).bind(account.hash);
            text.execute(&mut *connection).await?;
            session.begin(connection, &user).await.map(Registered::New)
        });
        match registered.await {
            Err(TableError::Unavailable(error)) if is_duplicate(&*error) => Ok(Registered::Taken),
            registered => registered,
        }
    }

    pub(in crate::broker::identity::tables) async fn begin(&self, user: &str) -> Result<Begun, TableError> {
        let layout = self.accounts().await?;
        let (user, session) = (Id::new(user).map_err(|_| odd(user))?, NewSession::new(&layout)?);
        self.write(async |connection| session.begin(connection, &user).await).await
    }

    pub(in crate::broker::identity::tables) async fn end(&self, session: &str) -> Result<(), TableError> {
        let Layout { schema, .. } = self.accounts().await?;
        let text = format!("DELETE FROM {schema}.\"session\" WHERE id::text = $1");
        self.write(async |connection| {
            sqlx::query(AssertSqlSafe(text)).persistent(false).bind(session).execute(connection).await.map(|_| ())
        })
        .await
    }

    async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, TableError> {
        let written = self.pool.write(AssertSqlSafe(BEGIN.to_owned()), work).await;
        if written.as_ref().is_err_and(AskError::is_about_names) {
            // Moved or altered since they were found.
            *self.accounts.0.lock().await = None;
        }
        self.told(written)
    }
}

/// The texts of a session that is to begin.
struct NewSession {
    tidy: String,
    insert: String,
}

impl NewSession {
    fn new(layout: &Layout) -> Result<Self, TableError> {
        let (schema, id, token) = (&layout.schema, layout.session.name()?, word()?);
        // Those that have ended, and those beyond the bound.
        let tidy = format!(
            "DELETE FROM {schema}.\"session\" s WHERE s.\"userId\" = '@' AND (s.\"expiresAt\" <= now() OR s.id IN \
             (SELECT o.id FROM {schema}.\"session\" o WHERE o.\"userId\" = '@' ORDER BY o.\"createdAt\" DESC OFFSET {}))",
            SESSIONS - 1
        );
        let insert = format!(
            "INSERT INTO {schema}.\"session\" (id, \"expiresAt\", token, \"createdAt\", \"updatedAt\", \"userId\") \
             VALUES ({id}, now() + interval '{SESSION_SECONDS} seconds', '{token}', now(), now(), '@') \
             RETURNING id::text"
        );
        Ok(Self { tidy, insert })
    }

    async fn begin(self, connection: &mut PgConnection, user: &Id) -> Result<Begun, sqlx::Error> {
        let of = |text: String| {
            sqlx::query(AssertSqlSafe(text.replace("'@'", &format!("'{}'", user.as_str())))).persistent(false)
        };
        of(self.tidy).execute(&mut *connection).await?;
        let row = of(self.insert).fetch_one(&mut *connection).await?;
        Ok(Begun { id: row.try_get(0)?, user: user.as_str().to_owned() })
    }
}

impl Ids {
    /// The name of a new row, as it stands among the values.
    fn name(self) -> Result<String, TableError> {
        Ok(match self {
            Self::Text => format!("'{}'", word()?),
            Self::Uuid => format!("'{}'", uuid::Uuid::new_v4()),
            Self::Number => "DEFAULT".to_owned(),
        })
    }
}

fn away(error: AskError) -> TableError {
    TableError::Unavailable(error.into())
}

fn odd(user: &str) -> TableError {
    TableError::Unfit(format!("a user is named {user:?}, which is none of the ids that Better Auth makes"))
}

/// Whether a write met a unique constraint: of all that are written, only the
/// address is not random.
fn is_duplicate(error: &(dyn std::error::Error + 'static)) -> bool {
    let Some(AskError::Answer(sqlx::Error::Database(error))) = error.downcast_ref::<AskError>() else { return false };
    error.is_unique_violation()
}
