//! A read and its caller in one message: the statement is its own transaction,
//! and the caller's token is its last parameter.

/// The text of a vetted read that enters for its caller before it looks at a row.
///
/// The order is a matter of data and not of hope: the rows depend, by `LATERAL`,
/// on what `innkeeper.enter` returned, and `OFFSET 0` keeps the planner from
/// merging the parts. In any other order the policies would see no caller, and
/// the read no row. There is one row to join with, so the read's own order stays.
///
/// What is read-only stays so: a change of rows is no `SELECT` that may stand in
/// parentheses, and whatever a function tries meets the setting. Its price is that
/// no such read is spread over parallel workers, since both calls change a setting.
pub(super) fn with_caller(text: &str, parameters: usize) -> String {
    let token = parameters + 1;
    format!(
        "SELECT innkeeper_read.* FROM (SELECT innkeeper.enter(${token}) AS entered, \
         pg_catalog.set_config('transaction_read_only', 'on', true) OFFSET 0) AS innkeeper_call \
         CROSS JOIN LATERAL (SELECT * FROM ({text}) AS innkeeper_rows \
         WHERE innkeeper_call.entered IS NOT NULL OFFSET 0) AS innkeeper_read"
    )
}
