//! Values on their way between guests and databases.

/// One value. The variants are those of `innkeeper:backend/sql`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL's NULL
    Null,
    /// true or false
    Boolean(bool),
    /// any whole number
    Integer(i64),
    /// a double
    Float(f64),
    /// characters
    Text(String),
    /// bytes
    Blob(Vec<u8>),
    /// microseconds since 1970, UTC
    Timestamp(i64),
    /// 8-4-4-4-12
    Uuid(String),
    /// a JSON text
    Json(String),
    /// decimal digits
    Decimal(String),
}

impl Value {
    /// What it counts against the limits.
    pub fn bytes(&self) -> usize {
        // The variant itself is carried too.
        8 + match self {
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Float(_) | Self::Timestamp(_) => 0,
            Self::Text(text) | Self::Uuid(text) | Self::Json(text) | Self::Decimal(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        }
    }

    /// The word for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Blob(_) => "blob",
            Self::Timestamp(_) => "timestamp",
            Self::Uuid(_) => "uuid",
            Self::Json(_) => "json",
            Self::Decimal(_) => "decimal",
        }
    }
}

/// What a statement gave back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Column names, in order.
    pub columns: Vec<String>,
    /// One value per column.
    pub rows: Vec<Vec<Value>>,
    /// Rows written, or returned by a `SELECT`.
    pub affected: u64,
}

/// What the database says of a prepared statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Types of `$1`, `$2`, …; empty on SQLite, which expects nothing.
    pub params: Vec<Kind>,
    /// The columns of its result.
    pub columns: Vec<Column>,
}

impl Signature {
    /// A result without its rows.
    pub fn rows(&self) -> Rows {
        Rows { columns: self.columns.iter().map(|column| column.name.clone()).collect(), ..Rows::default() }
    }
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type; none on SQLite, where each value has its own.
    pub kind: Option<Kind>,
}

/// The types that the broker carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`
    Numeric,
    /// `text` and its relatives
    Text,
    /// `bytea`
    Bytes,
    /// `timestamptz`
    TimestampTz,
    /// `timestamp`, taken as UTC
    Timestamp,
    /// `date`
    Date,
    /// `uuid`
    Uuid,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
}

impl Kind {
    /// As Postgres names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Bytes => "bytea",
            Self::TimestampTz => "timestamptz",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
        }
    }
}
