//! Postgres: a schema and a login role per module, reached through leases; one
//! transaction per call, in which the database knows the caller.
//!
//! What the host sets up runs as the user of `DATABASE_URL` and never while a
//! request is served; what guests ask for runs as the module's own role.

mod caller;
mod connect;
mod errors;
mod guard;
mod ledger;
mod login;
mod numeric;
mod read;
mod rest;
mod run;
mod value;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Connection, Either, Executor, SqlSafeStr, Statement as _, TypeInfo,
};

use super::{Backend, Caps, Request, schema_name};
use crate::broker::sql::migration::{MigrationError, pending};
use crate::broker::sql::policy::Vetted;
use crate::broker::sql::pool::{Lease, OpenError, Pool};
use crate::broker::sql::value::{Column, Kind, Rows, Signature};
use crate::broker::sql::{Schema, SqlError};
use crate::config::{Isolation, PostgresConfig};

use caller::Key;
use connect::{Entry, PgOpen, Session};
use errors::{sql_error, unreachable};
use login::Login;
use run::{run_all, run_one};
use value::kind;

/// Prepared statements per connection: more than a module may declare.
const STATEMENTS: usize = 512;
/// Time for reaching the database while a module is loaded.
const LOAD_TIME: Duration = Duration::from_secs(10);

pub(super) struct Postgres {
    /// As the user of `DATABASE_URL`.
    owner: PgConnectOptions,
    config: PostgresConfig,
    connections: u32,
    statement_time: Duration,
    schema: String,
    module: String,
    /// The way in for calls; none until the schema was set up.
    access: ArcSwapOption<Access>,
}

struct Access {
    pool: Pool<PgOpen>,
    login: Option<Login>,
    /// Vouches for callers; none when no row has an owner.
    key: Option<Key>,
}

/// A failed call, and whether a statement of the guest had reached the database.
struct Failed {
    error: SqlError,
    begun: bool,
}

impl Postgres {
    pub(super) fn new(config: &PostgresConfig, module: &str, connections: u32, caps: &Caps) -> Result<Self, SqlError> {
        // The URL may hold a password, so the driver's message is not repeated.
        let owner = PgConnectOptions::from_str(config.url.expose_secret())
            .map_err(|_| SqlError::Invalid("DATABASE_URL is not one that the Postgres driver takes".to_owned()))?
            .application_name(&format!("{}:{module}", crate::NAME))
            // A pooler takes no such setting, and values travel in binary anyway.
            .extra_float_digits(None)
            .statement_cache_capacity(if config.pooled { 0 } else { STATEMENTS })
            .disable_statement_logging();
        let (schema, module) = (schema_name(module), module.to_owned());
        let access = ArcSwapOption::empty();
        Ok(Self { owner, config: config.clone(), connections, statement_time: caps.time, schema, module, access })
    }

    fn is_guarded(&self) -> bool {
        self.access.load().as_ref().is_some_and(|access| access.key.is_some())
    }

    /// The way in, when the schema was set up.
    fn access(&self) -> Result<Arc<Access>, SqlError> {
        self.access.load_full().ok_or(SqlError::Unavailable(None))
    }

    /// A new pool: what was set up again may have another password or key.
    fn set_access(&self, login: Option<Login>, key: Option<Key>) -> Arc<Access> {
        let options = match &login {
            Some(login) => self.owner.clone().username(&login.role).password(&login.password),
            None => self.owner.clone(),
        };
        let open = PgOpen {
            options,
            statement_time: self.statement_time,
            pooled: self.config.pooled,
            role: login.as_ref().map(|login| login.role.clone()),
        };
        let access = Arc::new(Access { pool: Pool::new(open, self.connections), login, key });
        self.access.store(Some(Arc::clone(&access)));
        access
    }

    /// Schema, migrations, login, grants and guards: all of it or nothing.
    async fn set_up(&self, owner: &mut PgConnection, schema: &Schema) -> Result<Arc<Access>, MigrationError> {
        let mut transaction = owner.begin().await.map_err(unreachable)?;
        let applied = ledger::open(&mut transaction, &self.schema, &self.module).await?;
        let pending = pending(&schema.migrations, &applied)?;
        if applied.is_empty() {
            ledger::check_empty(&mut transaction, &self.schema).await?;
        }
        if !pending.is_empty() {
            guard::lift(&mut transaction, &self.schema).await?;
        }
        for migration in pending {
            ledger::apply(&mut transaction, &self.module, migration).await?;
        }
        let (login, key) = match self.config.isolation {
            Isolation::Trusted => (None, None),
            Isolation::Enforced => {
                let key = caller::install(&mut transaction).await?;
                let login = login::ensure(&mut transaction, &self.module, &self.schema).await?;
                let guarded = guard::guard(&mut transaction, &self.schema, &login.role, schema).await?;
                (Some(login), guarded.then_some(key))
            }
        };
        transaction.commit().await.map_err(unreachable)?;
        Ok(self.set_access(login, key))
    }

    /// Whether the role's password is the kept one; after a restore on another
    /// server it may not be.
    async fn try_login(&self, owner: &mut PgConnection, access: &Access) -> Result<(), MigrationError> {
        let refused = match access.pool.lease(Instant::now() + LOAD_TIME).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match &access.login {
            Some(login) if is_wrong_password(&refused) => login::set_password(owner, login).await,
            // Whatever else it is will be met, and told of, by the next step.
            _ => Ok(()),
        }
    }

    async fn lease(&self, access: &Access) -> Result<Lease<PgOpen>, SqlError> {
        access.pool.lease(Instant::now() + LOAD_TIME).await
    }

    async fn attempt(&self, access: &Access, request: &Request<'_>, caps: &Caps) -> Result<Vec<Rows>, Failed> {
        let until = request.until;
        let mut begun = false;
        let lease = access.pool.lease(until).await;
        let mut lease = lease.map_err(|error| Failed { error, begun })?;
        let open = access.pool.open();
        let work = self.work(open, lease.work(), access, request, caps, &mut begun);
        let result = tokio::time::timeout_at(until.into(), work).await.unwrap_or(Err(SqlError::Timeout));
        match &result {
            Err(error) if error.loses_connection() => lease.lost(),
            Err(error) if !error.leaves_connection_usable() => drop(lease),
            _ => rest::give_back(lease, &access.pool),
        }
        result.map_err(|error| Failed { error, begun })
    }

    async fn work(
        &self,
        open: &PgOpen,
        session: &mut Session,
        access: &Access,
        request: &Request<'_>,
        caps: &Caps,
        begun: &mut bool,
    ) -> Result<Vec<Rows>, SqlError> {
        let entry = entry(access, request.caller)?;
        let writes = request.steps.iter().any(|step| step.statement.vetted.writes());
        // Alone, without a pooler: the statement is a transaction. A write of somebody
        // needs one around it, because nothing orders the parts of a write.
        if let ([step], false, true) = (request.steps, open.pooled, entry.is_none() || !writes) {
            *begun = true;
            let token = entry.as_ref().map(|entry| session.token(entry));
            match run_one(&mut session.connection, step, token, caps, true).await {
                // Of the statement or of its caller? The long way tells them apart.
                Err(SqlError::Denied(_) | SqlError::Broken(_)) if entry.is_some() => *begun = false,
                result => return Ok(vec![result?]),
            }
        }
        let begin = open.begin(session, entry, writes).await;
        // The host's own words: whatever the server has against them is not the
        // guest's doing.
        let mut transaction = begin.map_err(|error| SqlError::Unavailable(Some(error.into())))?;
        *begun = true;
        let result = run_all(&mut transaction, request.steps, caps, !open.pooled).await;
        if result.is_ok() && writes {
            transaction.commit().await.map_err(sql_error)?;
            return result;
        }
        // Dropping the transaction puts its ROLLBACK into the connection's buffer,
        // and `rest` sends it: the caller does not wait for the end of a read.
        drop(transaction);
        result
    }
}

/// The caller of a call, where the database has to know it.
fn entry<'a>(access: &'a Access, caller: Option<&'a str>) -> Result<Option<Entry<'a>>, SqlError> {
    let (Some(key), Some(login), Some(caller)) = (&access.key, &access.login, caller) else { return Ok(None) };
    if !caller::is_carried(caller) {
        return Err(SqlError::Denied("the caller's id is longer than 512 bytes, or holds a NUL".to_owned()));
    }
    Ok(Some(Entry { key, role: &login.role, caller }))
}

fn is_wrong_password(error: &SqlError) -> bool {
    let SqlError::Unavailable(Some(cause)) = error else { return false };
    let code = cause.downcast_ref::<OpenError>().and_then(|error| errors::code(error));
    matches!(code.as_deref(), Some("28P01" | "28000"))
}

/// Rows of one of the host's own questions. Never a named statement: behind a
/// pooler it would be left on a backend that is somebody else's next.
async fn fetch_rows(
    connection: &mut PgConnection,
    text: &'static str,
    params: &[&str],
) -> Result<Vec<PgRow>, MigrationError> {
    let query = params.iter().fold(sqlx::query(text).persistent(false), |query, param| query.bind((*param).to_owned()));
    query.fetch_all(connection).await.map_err(unreachable)
}

async fn fetch_optional(
    connection: &mut PgConnection,
    text: &'static str,
    params: &[&str],
) -> Result<Option<PgRow>, MigrationError> {
    Ok(fetch_rows(connection, text, params).await?.pop())
}

#[async_trait]
impl Backend for Postgres {
    fn system(&self) -> &'static str {
        "postgresql"
    }

    fn isolation(&self, schema: &Schema) -> &'static str {
        match self.config.isolation {
            Isolation::Trusted => "trusted",
            // Rows of an older version may be guarded, too.
            Isolation::Enforced if schema.owned.is_empty() && !self.is_guarded() => "module-role",
            Isolation::Enforced => "row-level-security",
        }
    }

    async fn migrate(&self, schema: &Schema) -> Result<(), MigrationError> {
        let connect = tokio::time::timeout(LOAD_TIME, self.owner.connect()).await;
        let mut owner = connect.map_err(|_| MigrationError::Unreachable(SqlError::Timeout))?.map_err(unreachable)?;
        let access = self.set_up(&mut owner, schema).await?;
        self.try_login(&mut owner, &access).await?;
        // Its answer changes nothing: the server notices a socket that is gone.
        let _ = owner.close().await;
        Ok(())
    }

    async fn prepare(&self, statement: &Vetted) -> Result<Signature, SqlError> {
        let access = self.access()?;
        let mut lease = self.lease(&access).await?;
        let text = AssertSqlSafe(statement.sql()).into_sql_str();
        let connection = &mut lease.work().connection;
        let prepared = match self.config.pooled {
            true => connect::prepare_apart(connection, text).await,
            false => connection.prepare(text).await,
        };
        let prepared = prepared.map_err(|error| sql_error(error).while_preparing())?;
        lease.clean();
        let params = match prepared.parameters() {
            Some(Either::Left(types)) => {
                types.iter().enumerate().map(|(i, ty)| parameter(i, ty)).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        let columns = prepared.columns().iter().map(column).collect::<Result<_, _>>()?;
        Ok(Signature { params, columns })
    }

    async fn run(&self, request: &Request<'_>, caps: &Caps) -> Result<Vec<Rows>, SqlError> {
        let access = self.access()?;
        let Failed { error, begun } = match self.attempt(&access, request, caps).await {
            Ok(rows) => return Ok(rows),
            Err(failed) => failed,
        };
        let SqlError::Unavailable(Some(_)) = error else { return Err(error) };
        access.pool.forget_idle();
        // The database restarted and took an idle connection with it. What did not
        // begin, and a read, may be repeated; a write may have happened.
        let may_repeat = !begun || !request.steps.iter().any(|step| step.statement.vetted.writes());
        if may_repeat && Instant::now() < request.until {
            return self.attempt(&access, request, caps).await.map_err(|failed| failed.error);
        }
        Err(error)
    }

    async fn ping(&self, until: Instant) -> Result<(), SqlError> {
        let Ok(access) = self.access() else {
            let mut owner = self.owner.connect().await.map_err(unavailable)?;
            return owner.ping().await.map_err(unavailable);
        };
        let mut lease = access.pool.lease(until).await?;
        let session = lease.work();
        if access.login.is_some() {
            access.pool.open().check_again(session).await.map_err(unavailable)?;
        }
        match &access.login {
            // As a call begins, because the key may be another one by now.
            Some(login) if access.key.is_some() => {
                let entry = access.key.as_ref().map(|key| Entry { key, role: &login.role, caller: crate::NAME });
                let transaction = access.pool.open().begin(session, entry, false).await.map_err(unavailable)?;
                transaction.rollback().await.map_err(sql_error)?;
            }
            _ => session.connection.ping().await.map_err(sql_error)?,
        }
        lease.clean();
        Ok(())
    }

    fn rest(&self) {
        if let Ok(access) = self.access() {
            access.pool.forget_idle();
        }
    }
}

fn unavailable(error: sqlx::Error) -> SqlError {
    SqlError::Unavailable(Some(error.into()))
}

fn parameter(index: usize, ty: &sqlx::postgres::PgTypeInfo) -> Result<Kind, SqlError> {
    ty.oid().and_then(|oid| kind(oid.0)).ok_or_else(|| {
        let name = ty.name();
        SqlError::Invalid(format!(
            "${} is of type {name}, which the broker does not carry; cast it, as in CAST(${} AS text)",
            index + 1,
            index + 1
        ))
    })
}

fn column(column: &sqlx::postgres::PgColumn) -> Result<Column, SqlError> {
    let kind = column.type_info().oid().and_then(|oid| kind(oid.0)).ok_or_else(|| {
        let (name, ty) = (column.name(), column.type_info().name());
        SqlError::Invalid(format!(
            "column `{name}` is of type {ty}, which the broker does not carry; cast it, as in CAST({name} AS text)"
        ))
    })?;
    Ok(Column { name: column.name().to_owned(), kind: Some(kind) })
}
