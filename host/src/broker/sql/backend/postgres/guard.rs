//! What the module's role may do with its tables, and whose rows it sees there.
//!
//! Every step looks first and changes what differs: a change of a table's policy
//! waits for all of its readers, and a start of a replica must not.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use super::errors::{code, forbidden, unreachable};
use super::fetch_rows;
use super::ledger::host_statement;
use crate::broker::sql::Schema;
use crate::broker::sql::migration::MigrationError;

/// The host's one policy on a table.
const POLICY: &str = "innkeeper";

/// Lets migrations change rows of every caller. Postgres forces the owner of a
/// table through its policies too, and would let an `UPDATE` of a migration
/// silently meet no row. `guard` forces it again, in the same transaction.
pub(super) async fn lift(connection: &mut PgConnection, schema: &str) -> Result<(), MigrationError> {
    for (name, table) in look(connection, schema, "").await? {
        if table.forced {
            let lift = format!("ALTER TABLE \"{schema}\".\"{name}\" NO FORCE ROW LEVEL SECURITY");
            host_statement(connection, &lift, "cannot change a table's row security").await?;
        }
    }
    Ok(())
}

/// Grants the role its tables, and guards those whose rows have owners. Says
/// whether any has.
pub(super) async fn guard(
    connection: &mut PgConnection,
    name: &str,
    role: &str,
    schema: &Schema,
) -> Result<bool, MigrationError> {
    check_handovers(connection, name, schema).await?;
    let found = look(connection, name, role).await?;
    for (table, state) in &found {
        if schema.tables.contains(table) && !state.granted {
            let grant = format!(
                "REVOKE ALL ON \"{name}\".\"{table}\" FROM PUBLIC, \"{role}\"; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON \"{name}\".\"{table}\" TO \"{role}\""
            );
            host_statement(connection, &grant, "cannot grant the module its tables").await?;
        }
    }
    let mut guarded = false;
    for (table, state) in &found {
        let owner = schema.owned.iter().find(|(owned, _)| owned == table).map(|(_, column)| column.as_str());
        guarded |= owner.is_some() || state.enabled;
        match owner {
            Some(owner) => own(connection, name, table, owner, state).await?,
            // Once guarded, it stays so: a newer module cannot open the rows that
            // an older one promised to keep apart.
            None if state.enabled && !state.forced => force(connection, name, table).await?,
            None => {}
        }
    }
    Ok(guarded)
}

struct Table {
    enabled: bool,
    forced: bool,
    granted: bool,
    policies: Vec<Policy>,
}

struct Policy {
    name: String,
    /// Whose rows may be seen, and written, as the server prints it.
    clauses: [String; 2],
}

/// The tables of a schema, and what is set up on them.
async fn look(
    connection: &mut PgConnection,
    schema: &str,
    role: &str,
) -> Result<BTreeMap<String, Table>, MigrationError> {
    // A role of no name is nobody's business: privileges are then not asked for.
    let tables = "SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity, \
                  CASE WHEN $2 = '' THEN true ELSE \
                  has_table_privilege($2, c.oid, 'SELECT') AND has_table_privilege($2, c.oid, 'INSERT') \
                  AND has_table_privilege($2, c.oid, 'UPDATE') AND has_table_privilege($2, c.oid, 'DELETE') \
                  AND NOT has_table_privilege($2, c.oid, 'TRUNCATE, REFERENCES, TRIGGER') END \
                  FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind = 'r'";
    let rows = fetch_rows(connection, tables, &[schema, role]).await?;
    let read = |row: &PgRow| {
        let table =
            Table { enabled: row.try_get(1)?, forced: row.try_get(2)?, granted: row.try_get(3)?, policies: Vec::new() };
        Ok((row.try_get(0)?, table))
    };
    let mut found: BTreeMap<String, Table> =
        rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(unreachable)?;
    // One that is for some roles or statements only, or restrictive, is not ours
    // whatever it says: its clauses read as none.
    let policies = "SELECT tablename::text, policyname::text, coalesce(qual, ''), \
                    CASE WHEN permissive = 'PERMISSIVE' AND cmd = 'ALL' AND roles = '{public}' THEN coalesce(with_check, '') ELSE '' END \
                    FROM pg_policies WHERE schemaname = $1";
    for row in fetch_rows(connection, policies, &[schema]).await? {
        let read = || {
            let clauses = [row.try_get(2)?, row.try_get(3)?];
            Ok::<_, sqlx::Error>((row.try_get::<String, _>(0)?, Policy { name: row.try_get(1)?, clauses }))
        };
        let (table, policy) = read().map_err(unreachable)?;
        if let Some(found) = found.get_mut(&table) {
            found.policies.push(policy);
        }
    }
    Ok(found)
}

/// Sees to it that rows of a table belong to the caller that `owner` names.
async fn own(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
    owner: &str,
    state: &Table,
) -> Result<(), MigrationError> {
    if let Some(other) = state.policies.iter().find(|policy| policy.name != POLICY) {
        // Policies add up: a second one may show what ours hides.
        let reason = "the host did not make it".to_owned();
        let what = format!("the table `{table}` has the policy `{}`", other.name);
        let remedy = format!("DROP POLICY \"{}\" ON \"{schema}\".\"{table}\"", other.name.replace('"', "\"\""));
        return Err(MigrationError::Forbidden { what, reason, remedy });
    }
    let clause = format!("({owner} = ( SELECT innkeeper.caller() AS caller))");
    let quoted = format!("(\"{owner}\" = ( SELECT innkeeper.caller() AS caller))");
    // The server quotes a name only where it must.
    let stands = |policy: &Policy| policy.clauses.iter().all(|text| *text == clause || *text == quoted);
    if !state.policies.iter().any(stands) {
        let rule = format!("\"{owner}\" = (SELECT innkeeper.caller())");
        let drop = match state.policies.is_empty() {
            true => String::new(),
            false => format!("DROP POLICY {POLICY} ON \"{schema}\".\"{table}\";"),
        };
        let create =
            format!("{drop} CREATE POLICY {POLICY} ON \"{schema}\".\"{table}\" USING ({rule}) WITH CHECK ({rule})");
        let made = connection.execute(sqlx::raw_sql(AssertSqlSafe(create))).await;
        made.map_err(|error| not_owned(error, table, owner))?;
    }
    if !(state.enabled && state.forced) {
        force(connection, schema, table).await?;
    }
    Ok(())
}

/// Refuses a foreign key that changes the owner of rows, or ends them, when a row
/// of another table changes: the server does that past every policy. Where the
/// other table's rows have the same owner, only he can.
async fn check_handovers(connection: &mut PgConnection, name: &str, schema: &Schema) -> Result<(), MigrationError> {
    let keys = "SELECT k.conname::text, c.relname::text, a.attname::text, p.relname::text, b.attname::text \
                FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid \
                CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS pair(child, parent) \
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = pair.child \
                JOIN pg_attribute b ON b.attrelid = p.oid AND b.attnum = pair.parent \
                WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND k.contype = 'f' \
                AND (k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('c', 'n', 'd'))";
    let owns = |table: &str, column: &str| schema.owned.iter().any(|(owned, owner)| owned == table && owner == column);
    for row in fetch_rows(connection, keys, &[name]).await? {
        let read = |column| row.try_get::<String, _>(column).map_err(unreachable);
        let (key, table, parent) = (read(0)?, read(1)?, read(3)?);
        if owns(&table, &read(2)?) && !owns(&parent, &read(4)?) {
            return Err(MigrationError::Handover { key, table, parent });
        }
    }
    Ok(())
}

async fn force(connection: &mut PgConnection, schema: &str, table: &str) -> Result<(), MigrationError> {
    let force = format!(
        "ALTER TABLE \"{schema}\".\"{table}\" ENABLE ROW LEVEL SECURITY; \
         ALTER TABLE \"{schema}\".\"{table}\" FORCE ROW LEVEL SECURITY"
    );
    host_statement(connection, &force, "cannot guard a table's rows").await
}

fn not_owned(error: sqlx::Error, table: &str, owner: &str) -> MigrationError {
    match code(&error).as_deref() {
        // No such column; no such operator.
        Some("42703" | "42883") => MigrationError::Owner { table: table.to_owned(), column: owner.to_owned() },
        _ => forbidden(error, "cannot guard a table's rows", "make the database user the owner of the table"),
    }
}
