//! A module's login role: a member of nothing, the owner of nothing, and the
//! only one that its statements run as.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use super::caller::random;
use super::errors::{forbidden, unreachable};
use super::fetch_optional;
use super::ledger::host_statement;
use crate::broker::sql::migration::MigrationError;

/// Name and password of a role.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) role: String,
    pub(super) password: String,
}

/// The module's login, made when it is not there.
///
/// Roles belong to the whole server, so the name holds the database's number: a
/// module of the same name in another database has another role. The password is
/// kept where only the owner reads it, for the other replicas; who has it can
/// log in, and sees no caller's rows without a token.
pub(super) async fn ensure(connection: &mut PgConnection, module: &str, schema: &str) -> Result<Login, MigrationError> {
    let here = "SELECT oid::bigint, current_user::text FROM pg_database WHERE datname = current_database()";
    let row = fetch_optional(connection, here, &[]).await?.ok_or_else(|| unreachable(sqlx::Error::RowNotFound))?;
    let (database, user): (i64, String) = (get(&row, 0)?, get(&row, 1)?);
    let role = format!("innkeeper_{database}_{schema}");
    let kept = "SELECT password FROM innkeeper.login WHERE module = $1 AND role = $2";
    let kept = fetch_optional(connection, kept, &[module, &role]).await?;
    let password = match &kept {
        Some(row) => get(row, 0)?,
        None => random()?.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let login = Login { role, password };
    if kept.is_none() {
        let keep = "INSERT INTO innkeeper.login (module, role, password) VALUES ($1, $2, $3) \
                    ON CONFLICT (module) DO UPDATE SET role = excluded.role, password = excluded.password";
        let keep = sqlx::query(keep).persistent(false).bind(module).bind(&login.role).bind(&login.password);
        keep.execute(&mut *connection).await.map_err(unreachable)?;
    }
    let there = fetch_optional(connection, "SELECT 1 FROM pg_roles WHERE rolname = $1", &[&login.role]).await?;
    match (there.is_some(), kept.is_some()) {
        (true, true) => {}
        // It has a password that nobody here knows any more.
        (true, false) => set_password(connection, &login).await?,
        (false, _) => create(connection, &login, &user).await?,
    }
    admit(connection, &login, schema).await?;
    Ok(login)
}

/// In plain text: Neon's server takes no password in any other form.
async fn create(connection: &mut PgConnection, login: &Login, user: &str) -> Result<(), MigrationError> {
    let Login { role, password } = login;
    let create = format!("CREATE ROLE \"{role}\" LOGIN NOINHERIT NOCREATEDB NOCREATEROLE PASSWORD '{password}'");
    let what = format!(
        "the database user `{user}` cannot make the login role `{role}`, which keeps callers apart \
         (INNKEEPER_ISOLATION=trusted does without)"
    );
    let remedy = format!("ALTER ROLE \"{user}\" CREATEROLE");
    let created = connection.execute(sqlx::raw_sql(AssertSqlSafe(create))).await;
    created.map(|_| ()).map_err(|error| forbidden(error, &what, &remedy))
}

/// Makes the role's password the one that is kept: after a restore, or when
/// somebody changed it.
pub(super) async fn set_password(connection: &mut PgConnection, login: &Login) -> Result<(), MigrationError> {
    let Login { role, password } = login;
    let what = format!("cannot set the password of the role `{role}`");
    let alter = format!("ALTER ROLE \"{role}\" PASSWORD '{password}'");
    let altered = connection.execute(sqlx::raw_sql(AssertSqlSafe(alter))).await;
    let remedy = format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"");
    altered.map(|_| ()).map_err(|error| forbidden(error, &what, &remedy))
}

/// Lets the role into the database, its schema, and the two functions.
async fn admit(connection: &mut PgConnection, login: &Login, schema: &str) -> Result<(), MigrationError> {
    let role = &login.role;
    let missing = "SELECT has_database_privilege($1, current_database(), 'CONNECT'), \
                   has_schema_privilege($1, $2, 'USAGE') AND has_schema_privilege($1, 'innkeeper', 'USAGE') \
                   AND has_function_privilege($1, 'innkeeper.enter(text)', 'EXECUTE') \
                   AND has_function_privilege($1, 'innkeeper.caller()', 'EXECUTE'), current_database()::text";
    let row = fetch_optional(connection, missing, &[role, schema]).await?;
    let row = row.ok_or_else(|| unreachable(sqlx::Error::RowNotFound))?;
    let (connect, inside, database): (bool, bool, String) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
    if !connect {
        let grant = format!("GRANT CONNECT ON DATABASE \"{}\" TO \"{role}\"", database.replace('"', "\"\""));
        host_statement(connection, &grant, "cannot let the module's role into the database").await?;
    }
    if !inside {
        let grant = format!(
            "GRANT USAGE ON SCHEMA innkeeper, \"{schema}\" TO \"{role}\"; \
             GRANT EXECUTE ON FUNCTION innkeeper.enter(text), innkeeper.caller() TO \"{role}\""
        );
        host_statement(connection, &grant, "cannot let the module's role into its schema").await?;
    }
    Ok(())
}

fn get<'r, T>(row: &'r sqlx::postgres::PgRow, column: usize) -> Result<T, MigrationError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).map_err(unreachable)
}
