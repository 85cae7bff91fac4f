//! The tables that accounts are kept in: made as Better Auth 1.7 makes them when
//! they are missing, and otherwise looked at, for its versions and settings
//! differ, and a table called `user` may be somebody else's altogether.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::broker::identity::foreign::Foreign;
use crate::broker::identity::tables::TableError;

/// The advisory lock of whoever makes the tables: "INNA" in ASCII. Two hosts
/// that start together would otherwise both make them, and one would fail.
const LOCK: i64 = 0x494e_4e41;

/// What has to be there of each table.
const TABLES: [(&str, &[&str]); 3] = [
    ("user", &["id", "name", "email", "emailVerified", "createdAt", "updatedAt"]),
    ("session", &["id", "expiresAt", "token", "createdAt", "updatedAt", "userId"]),
    ("account", &["id", "accountId", "providerId", "userId", "password", "createdAt", "updatedAt"]),
];

/// The schemas of the search path, in its order, and how many of the tables by
/// which the reader finds sessions are in each.
const SCHEMAS: &str = "SELECT n.nspname::text, count(c.oid) \
    FROM unnest(current_schemas(false)) WITH ORDINALITY AS path(name, place) \
    JOIN pg_namespace n ON n.nspname = path.name \
    LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname IN ('session', 'user') AND c.relkind IN ('r', 'p') \
    GROUP BY n.nspname, path.place ORDER BY path.place";

/// The columns of the three tables; whether the database fills them by itself.
const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, t.typname::text, a.atthasdef OR a.attidentity <> '' \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
    JOIN pg_type t ON t.oid = a.atttypid \
    WHERE n.nspname = $1 AND c.relname IN ('user', 'session', 'account') AND c.relkind IN ('r', 'p') \
    AND a.attnum > 0 AND NOT a.attisdropped";

/// Where the tables are, and how their rows get names.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Quoted.
    pub(super) schema: String,
    pub(super) user: Ids,
    pub(super) session: Ids,
    pub(super) account: Ids,
}

/// How the rows of a table get their names (Better Auth's `generateId`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// A word of ours.
    Text,
    /// A UUID of ours.
    Uuid,
    /// A number of the database's.
    Number,
}

struct Column {
    table: String,
    name: String,
    kind: String,
    filled: bool,
}

/// Finds the tables, makes those that are missing, and looks at the others. In a
/// transaction of the caller's.
pub(super) async fn prepare(
    connection: &mut PgConnection,
    foreign: &Foreign,
) -> Result<Result<Layout, TableError>, sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").persistent(false).bind(LOCK).execute(&mut *connection).await?;
    let Some(schema) = schema(connection, foreign).await? else {
        let why = "local accounts need a schema on the search path of the database user; grant it one, such as public";
        return Ok(Err(TableError::Unfit(why.to_owned())));
    };
    let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
    let columns = columns(connection, &schema).await?;
    let missing = missing(&columns, &quoted);
    if missing.is_empty() {
        return Ok(judge(&columns, &quoted));
    }
    // What is there is judged first: nothing is added beside a stranger's table.
    if let Err(unfit) = judge_present(&columns, &quoted) {
        return Ok(Err(unfit));
    }
    // Made of constants and of the catalogue's own quoted name.
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(missing.as_str())).execute(&mut *connection).await {
        return forbidden(error, &quoted, &missing);
    }
    tracing::info!("made what was missing of Better Auth's tables in {quoted}, for local accounts");
    Ok(judge(&self::columns(connection, &schema).await?, &quoted))
}

async fn schema(connection: &mut PgConnection, foreign: &Foreign) -> Result<Option<String>, sqlx::Error> {
    let rows = sqlx::query(SCHEMAS).persistent(false).fetch_all(connection).await?;
    let mut first = None;
    for row in rows {
        let (name, tables): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if foreign.contains(&name) {
            continue;
        }
        if tables == 2 {
            return Ok(Some(name));
        }
        first.get_or_insert(name);
    }
    Ok(first)
}

async fn columns(connection: &mut PgConnection, schema: &str) -> Result<Vec<Column>, sqlx::Error> {
    let rows = sqlx::query(COLUMNS).persistent(false).bind(schema).fetch_all(connection).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Column { table: row.try_get(0)?, name: row.try_get(1)?, kind: row.try_get(2)?, filled: row.try_get(3)? })
    };
    rows.iter().map(read).collect()
}

fn judge(columns: &[Column], schema: &str) -> Result<Layout, TableError> {
    judge_present(columns, schema)?;
    let ids = |table| ids(columns, table, schema);
    Ok(Layout { schema: schema.to_owned(), user: ids("user")?, session: ids("session")?, account: ids("account")? })
}

/// Whether each table that is there is one of Better Auth's.
fn judge_present(columns: &[Column], schema: &str) -> Result<(), TableError> {
    for (table, needed) in TABLES {
        let has = |name: &str| columns.iter().any(|column| column.table == table && column.name == name);
        let there = columns.iter().any(|column| column.table == table);
        if let Some(lacking) = needed.iter().find(|name| there && !has(name)) {
            return Err(TableError::Unfit(format!(
                "local accounts cannot be kept in {schema}.\"{table}\": it has no column \"{lacking}\", so it is not \
                 Better Auth's; move it to another schema, or put one without it first on the search path of the database user"
            )));
        }
        if there {
            ids(columns, table, schema)?;
        }
    }
    Ok(())
}

fn ids(columns: &[Column], table: &str, schema: &str) -> Result<Ids, TableError> {
    let id = columns.iter().find(|column| column.table == table && column.name == "id");
    match id.map(|column| (column.kind.as_str(), column.filled)) {
        Some(("text" | "varchar", _)) => Ok(Ids::Text),
        Some(("uuid", _)) => Ok(Ids::Uuid),
        Some(("int4" | "int8", true)) => Ok(Ids::Number),
        found => Err(TableError::Unfit(format!(
            "local accounts cannot be kept in {schema}.\"{table}\": its rows are named by {}, and text, uuid, or a number \
             that the database counts are what Better Auth makes",
            found.map_or("nothing", |(kind, _)| kind)
        ))),
    }
}

/// What makes the tables that are not there; empty when all are.
fn missing(columns: &[Column], schema: &str) -> String {
    let find = |table: &str, name: &str| columns.iter().find(|column| column.table == table && column.name == name);
    // A session's user is named as users are.
    let user = find("user", "id").map_or("text", |column| match column.kind.as_str() {
        kind @ ("uuid" | "int4" | "int8") => kind,
        _ => "text",
    });
    let owner = format!("\"userId\" {user} NOT NULL REFERENCES {schema}.\"user\" (id) ON DELETE CASCADE");
    let dates = "\"createdAt\" timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, \"updatedAt\" timestamptz NOT NULL";
    let lacks = |table: &str| !columns.iter().any(|column| column.table == table);
    let index = |table: &str| format!("CREATE INDEX \"{table}_userId_idx\" ON {schema}.\"{table}\" (\"userId\");");
    let mut statements = Vec::new();
    if lacks("user") {
        statements.push(format!(
            "CREATE TABLE {schema}.\"user\" (id text PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, \
             \"emailVerified\" boolean NOT NULL, image text, {dates} DEFAULT CURRENT_TIMESTAMP);"
        ));
    }
    if lacks("session") {
        statements.push(format!(
            "CREATE TABLE {schema}.\"session\" (id text PRIMARY KEY, \"expiresAt\" timestamptz NOT NULL, \
             token text NOT NULL UNIQUE, {dates}, \"ipAddress\" text, \"userAgent\" text, {owner});"
        ));
        statements.push(index("session"));
    }
    if lacks("account") {
        statements.push(format!(
            "CREATE TABLE {schema}.\"account\" (id text PRIMARY KEY, \"accountId\" text NOT NULL, \
             \"providerId\" text NOT NULL, {owner}, \"accessToken\" text, \"refreshToken\" text, \"idToken\" text, \
             \"accessTokenExpiresAt\" timestamptz, \"refreshTokenExpiresAt\" timestamptz, scope text, password text, {dates});"
        ));
        statements.push(index("account"));
    }
    statements.join(" ")
}

/// A right that the database user lacks is for an administrator to give, who
/// needs the text; anything else may pass.
fn forbidden(error: sqlx::Error, schema: &str, text: &str) -> Result<Result<Layout, TableError>, sqlx::Error> {
    if error.as_database_error().and_then(|error| error.code()).as_deref() != Some("42501") {
        return Err(error);
    }
    Ok(Err(TableError::Unfit(format!(
        "local accounts need Better Auth's tables, and the database user may not make them in {schema}; \
         let an administrator run this as the database user, or grant CREATE on the schema: {}",
        text
    ))))
}
