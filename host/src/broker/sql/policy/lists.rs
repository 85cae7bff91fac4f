//! What may be called, cast to and computed with: data, and the only place to
//! widen the gate.
//!
//! A function is listed when its result depends on its arguments (and the
//! clock or chance) only, and its size on theirs: nothing that reads settings
//! or catalogues, waits, touches files, locks, sequences, sessions or other
//! databases, runs SQL given as text, or grows by a number (`repeat`, `lpad`,
//! `generate_series`, `zeroblob`, `printf`). Regular expressions are left out
//! because their run time is a guest's to choose.

use sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, CharacterLength, DataType, DateTimeField, ExactNumberInfo, TimezoneInfo,
};

use super::Dialect;

const BOTH: &[&str] = &[
    // aggregates
    "avg count max min string_agg sum",
    // windows
    "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank",
    "rank row_number",
    // values and text
    "abs coalesce concat concat_ws length lower ltrim nullif octet_length random",
    "replace round rtrim sign sqrt substr trunc upper",
    // json
    "json_array_length",
];

const POSTGRES: &[&str] = &[
    // aggregates
    "array_agg bool_and bool_or json_agg json_object_agg jsonb_agg jsonb_object_agg",
    // values and text
    "btrim char_length gen_random_uuid greatest initcap least left md5 mod reverse",
    "right split_part starts_with strpos",
    // time
    "age date_part date_trunc make_date now to_char to_date to_timestamp",
    // json
    "json_build_array json_build_object json_typeof jsonb_array_length",
    "jsonb_build_array jsonb_build_object jsonb_extract_path jsonb_extract_path_text",
    "jsonb_insert jsonb_set jsonb_strip_nulls jsonb_typeof row_to_json to_json to_jsonb",
    // arrays
    "array_append array_length array_position array_remove array_to_string cardinality",
    "string_to_array",
];

const SQLITE: &[&str] = &[
    // aggregates
    "group_concat json_group_array json_group_object total",
    // values and text
    "hex ifnull iif instr typeof unicode",
    // time
    "date datetime julianday strftime time unixepoch",
    // json
    "json json_array json_extract json_insert json_object json_patch json_quote",
    "json_remove json_replace json_set json_type json_valid",
];

/// Called without parentheses.
const CLOCKS: &[&str] = &["current_date", "current_time", "current_timestamp"];

/// Whether `name`, in lower case, may be called.
pub(super) fn allows_function(name: &str, dialect: Dialect) -> bool {
    let own = match dialect {
        Dialect::Postgres => POSTGRES,
        Dialect::Sqlite => SQLITE,
    };
    BOTH.iter().chain(own).flat_map(|row| row.split(' ')).any(|listed| listed == name)
}

/// Whether `name`, in lower case, may stand without parentheses.
pub(super) fn allows_clock(name: &str) -> bool {
    CLOCKS.contains(&name)
}

/// Whether a column may have, or a value be cast to, this type.
pub(super) fn allows_type(data_type: &DataType, dialect: Dialect) -> bool {
    is_shared_type(data_type)
        || match dialect {
            Dialect::Postgres => is_postgres_type(data_type),
            Dialect::Sqlite => is_sqlite_type(data_type),
        }
}

fn is_shared_type(data_type: &DataType) -> bool {
    use DataType::{
        BigInt, Boolean, CharacterVarying, Date, Decimal, DoublePrecision, Float, Int, Integer, Numeric, Real,
        SmallInt, Text, Timestamp, Varchar,
    };
    match data_type {
        SmallInt(None) | Int(None) | Integer(None) | BigInt(None) | Real | DoublePrecision => true,
        Boolean | Text | Date | Timestamp(None, TimezoneInfo::None) => true,
        Float(ExactNumberInfo::None) => true,
        Numeric(_) | Decimal(_) => true,
        Varchar(length) | CharacterVarying(length) => is_plain_length(length.as_ref()),
        _ => false,
    }
}

fn is_postgres_type(data_type: &DataType) -> bool {
    use DataType::{
        Array, Bool, Bytea, Float4, Float8, Int2, Int4, Int8, Interval, JSON, JSONB, Time, Timestamp, Uuid,
    };
    match data_type {
        Int2(None) | Int4(None) | Int8(None) | Float4 | Float8 | Bool | Uuid | JSON | JSONB | Bytea => true,
        Time(None, TimezoneInfo::None) | Timestamp(_, _) => true,
        Interval { fields: None, precision: None } => true,
        // One level: the printer and Postgres disagree on nothing there.
        Array(ArrayElemTypeDef::SquareBracket(inner, None)) => {
            !matches!(**inner, Array(_)) && allows_type(inner, Dialect::Postgres)
        }
        _ => false,
    }
}

fn is_sqlite_type(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Blob(None) | DataType::Datetime(None))
}

fn is_plain_length(length: Option<&CharacterLength>) -> bool {
    matches!(length, None | Some(CharacterLength::IntegerLength { unit: None, .. }))
}

/// Whether an operator between two values may be used.
pub(super) fn allows_operator(op: &BinaryOperator, dialect: Dialect) -> bool {
    use BinaryOperator::{
        And, Arrow, BitwiseAnd, BitwiseOr, Divide, Eq, Gt, GtEq, LongArrow, Lt, LtEq, Minus, Modulo, Multiply, NotEq,
        Or, Plus, StringConcat,
    };
    match op {
        Plus | Minus | Multiply | Divide | Modulo | StringConcat | BitwiseAnd | BitwiseOr => true,
        Eq | NotEq | Lt | LtEq | Gt | GtEq | And | Or | Arrow | LongArrow => true,
        other => dialect == Dialect::Postgres && is_postgres_operator(other),
    }
}

/// The json and array operators that SQLite does not know. Its `?` would be
/// read as a parameter there.
fn is_postgres_operator(op: &BinaryOperator) -> bool {
    use BinaryOperator::{
        ArrowAt, AtArrow, HashArrow, HashLongArrow, HashMinus, PGOverlap, Question, QuestionAnd, QuestionPipe,
    };
    matches!(
        op,
        ArrowAt | AtArrow | HashArrow | HashLongArrow | HashMinus | PGOverlap | Question | QuestionAnd | QuestionPipe
    )
}

/// Whether an operator may stand before `ANY (...)` or `ALL (...)`.
pub(super) fn allows_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// Whether a field may be extracted from a time.
pub(super) fn allows_field(field: &DateTimeField) -> bool {
    use DateTimeField::{Day, Dow, Doy, Epoch, Hour, Isodow, Isoyear, Minute, Month, Quarter, Second, Week, Year};
    matches!(
        field,
        Day | Dow | Doy | Epoch | Hour | Isodow | Isoyear | Minute | Month | Quarter | Second | Week(None) | Year
    )
}

/// Whether a field may follow an interval, as in `INTERVAL '1' DAY`.
pub(super) fn allows_unit(field: &DateTimeField) -> bool {
    use DateTimeField::{Day, Hour, Minute, Month, Second, Year};
    matches!(field, Day | Hour | Minute | Month | Second | Year)
}
