//! The statements of one call, on a connection: values in, rows out.

use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Arguments, AssertSqlSafe, Either, Executor, Row, SqlSafeStr};

use super::errors::sql_error;
use super::read::with_caller;
use super::value::{coerce, read};
use crate::broker::sql::SqlError;
use crate::broker::sql::backend::{Caps, Step, check_size};
use crate::broker::sql::value::{Column, Kind, Rows, Signature};

/// Runs the steps in the transaction that was begun.
pub(super) async fn run_all(
    connection: &mut PgConnection,
    steps: &[Step],
    caps: &Caps,
    named: bool,
) -> Result<Vec<Rows>, SqlError> {
    let mut all = Vec::with_capacity(steps.len());
    let mut left = caps.clone();
    for step in steps {
        let rows = run_one(connection, step, None, &left, named).await?;
        left = left.less(&rows);
        all.push(rows);
    }
    Ok(all)
}

/// Runs one statement; with a token, for its caller and as its own transaction.
pub(super) async fn run_one(
    connection: &mut PgConnection,
    step: &Step,
    token: Option<String>,
    caps: &Caps,
    named: bool,
) -> Result<Rows, SqlError> {
    let (signature, mut arguments) = bind(step)?;
    let mut rows = signature.rows();
    let mut count = 0;
    // The text is the print of a vetted syntax tree.
    let text = &step.statement.text;
    let text = match token {
        None => AssertSqlSafe(Arc::clone(text)).into_sql_str(),
        Some(token) => {
            arguments.add(token).map_err(SqlError::Broken)?;
            AssertSqlSafe(with_caller(text, signature.params.len())).into_sql_str()
        }
    };
    let query = sqlx::query_with(text, arguments).persistent(named);
    let mut stream = connection.fetch_many(query);
    while let Some(item) = stream.try_next().await.map_err(sql_error)? {
        match item {
            Either::Left(done) => rows.affected = done.rows_affected(),
            Either::Right(row) => {
                read_row(&signature.columns, &row, &mut rows)?;
                count += 1;
                check_size(&rows, count, caps)?;
            }
        }
    }
    Ok(rows)
}

fn bind(step: &Step) -> Result<(&Signature, PgArguments), SqlError> {
    // `Store::execute` lets only prepared statements through.
    let signature = step.statement.signature().ok_or(SqlError::Unavailable(None))?;
    let mut arguments = PgArguments::default();
    for (index, (kind, value)) in signature.params.iter().zip(&step.params).enumerate() {
        let invalid = |why: String| SqlError::Invalid(format!("${} of `{}` {why}", index + 1, step.statement.name));
        let param = coerce(*kind, value).map_err(invalid)?;
        arguments.add(param).map_err(|error| invalid(error.to_string()))?;
    }
    Ok((signature, arguments))
}

fn read_row(columns: &[Column], row: &PgRow, rows: &mut Rows) -> Result<(), SqlError> {
    for (index, column) in columns.iter().enumerate() {
        let value = row.try_get_raw(index).map_err(sql_error)?;
        // A prepared statement's columns have a kind, or it was refused.
        let cell = read(column.kind.unwrap_or(Kind::Text), value, rows).map_err(SqlError::Broken)?;
        rows.cells.push(cell);
    }
    Ok(())
}
