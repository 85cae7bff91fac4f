//! The caller of a transaction: tokens that the host makes, and the functions of
//! the database that check them (`caller.sql`, which says how).
//!
//! A token is good for one role, for a few seconds, and for the connection that
//! it was made for. A read has it as a parameter (`read.rs`). Otherwise it travels
//! in the text of the message that opens the transaction, which saves a round trip;
//! `pg_stat_activity` shows such texts to other sessions of the same role, so it
//! stands behind as many blanks as that view has room for. A `SELECT`, and no
//! `CALL`: pg_stat_statements takes the constants out of the one and keeps the other
//! as it is.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256, Sha384};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use super::errors::{forbidden, unreachable};
use super::fetch_optional;
use crate::broker::sql::migration::MigrationError;

/// What `caller.sql` makes. Its version is the text itself: another text in the
/// database is replaced.
const FUNCTIONS: &str = include_str!("caller.sql");
/// How long a token is good for. It is used at once; longer than any pause
/// between the host's clock and the server's taking the message.
const LIFETIME: Duration = Duration::from_secs(5);
/// Issuers give ids of a few dozen bytes. The id is in every policy's check.
const LONGEST_CALLER: usize = 512;

/// The secret that callers are vouched for with, shared with the database.
#[derive(Clone)]
pub(super) struct Key(Vec<u8>);

/// The server's clock as this host knows it: what it said, and when. The host's
/// own wall clock may be wrong, and tokens are checked against the server's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) micros: i64,
    pub(super) at: Instant,
}

impl Clock {
    fn micros_in(self, ahead: Duration) -> i64 {
        let since = i64::try_from((self.at.elapsed() + ahead).as_micros()).unwrap_or(i64::MAX);
        self.micros.saturating_add(since)
    }
}

impl Key {
    /// A token that `innkeeper.enter` takes: for `caller`, in a session of `role`
    /// on the backend `pid` (0: any).
    pub(super) fn token(&self, caller: &str, role: &str, pid: i32, clock: Clock) -> String {
        // Digits of fixed number, so that the server takes them apart by place.
        let body = format!("{:016}{pid:010}{caller}", clock.micros_in(LIFETIME));
        let mac = Sha384::new().chain_update(&self.0).chain_update(format!("token|{role}|{body}")).finalize();
        let mut token = String::with_capacity(2 * (mac.len() + body.len()));
        for byte in mac.iter().chain(body.as_bytes()) {
            token.push(char::from(HEX[usize::from(byte >> 4)]));
            token.push(char::from(HEX[usize::from(byte & 15)]));
        }
        token
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Whether the database can carry a caller's id.
pub(super) fn is_carried(caller: &str) -> bool {
    !caller.is_empty() && caller.len() <= LONGEST_CALLER && !caller.contains('\0')
}

/// Makes the functions when they are not there, or are another version's; reads
/// the newest key, and makes the first.
pub(super) async fn install(connection: &mut PgConnection) -> Result<Key, MigrationError> {
    let digest = Sha256::digest(FUNCTIONS);
    let version: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let installed = "SELECT obj_description(to_regprocedure('innkeeper.caller()'), 'pg_proc')";
    let row = fetch_optional(connection, installed, &[]).await?;
    let found: Option<String> = row.and_then(|row| row.try_get(0).ok());
    if found.as_deref() != Some(&version) {
        let text = format!("{FUNCTIONS}\nCOMMENT ON FUNCTION innkeeper.caller() IS '{version}'");
        let remedy = "make the database user the owner of the schema `innkeeper` and of all in it";
        let install = connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await;
        install.map_err(|error| forbidden(error, "cannot make the functions that know the caller", remedy))?;
    }
    let newest = "SELECT key FROM innkeeper.key ORDER BY kid DESC LIMIT 1";
    if let Some(row) = fetch_optional(connection, newest, &[]).await? {
        return Ok(Key(row.try_get(0).map_err(unreachable)?));
    }
    let secret = random()?.to_vec();
    let insert = sqlx::query("INSERT INTO innkeeper.key (kid, key) VALUES (1, $1)").persistent(false).bind(&secret);
    insert.execute(connection).await.map_err(unreachable)?;
    Ok(Key(secret))
}

/// 256 bits that nobody else has.
pub(super) fn random() -> Result<[u8; 32], MigrationError> {
    let mut bytes = [0; 32];
    let failed = |error: getrandom::Error| unreachable(sqlx::Error::Io(std::io::Error::other(error.to_string())));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
