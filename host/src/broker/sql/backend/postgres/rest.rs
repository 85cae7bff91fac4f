//! What a connection does between two calls: it ends the transaction of a batch
//! of reads, whose caller has gone with the answers.

use std::time::Duration;

use sqlx::Connection;

use super::connect::PgOpen;
use crate::broker::sql::pool::{Lease, Pool};

/// Time for the server to answer a ROLLBACK. A connection that needs longer is
/// closed instead of being lent again.
const END_TIME: Duration = Duration::from_secs(5);

/// Gives back a connection that the call before left usable.
///
/// Whoever is in line for one sends the ROLLBACK in its buffer along with his own
/// first message. Otherwise the connection comes back when the ROLLBACK was
/// answered, and a call until then takes another one: sqlx 0.9.0 leaves Nagle's
/// algorithm on (launchbadge/sqlx#4335), so a message right behind the ROLLBACK
/// would be held back by the system until the server has received that one, for a
/// round trip or for the 40 ms of a delayed acknowledgement.
pub(super) fn give_back(mut lease: Lease<PgOpen>, pool: &Pool<PgOpen>) {
    if pool.is_wanted() || !lease.work().connection.should_flush() {
        return lease.clean();
    }
    // As many as there are connections at most, each for END_TIME at most.
    tokio::spawn(async move {
        let ended = tokio::time::timeout(END_TIME, lease.work().connection.ping()).await;
        match ended {
            Ok(Ok(())) => lease.clean(),
            _ => lease.lost(),
        }
    });
}
