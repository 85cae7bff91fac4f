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

/// A part of [`Rows::heap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// How many bytes.
    pub length: u32,
}

/// One cell of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// SQL's NULL
    Null,
    /// true or false
    Boolean(bool),
    /// any whole number
    Integer(i64),
    /// a double
    Float(f64),
    /// characters
    Text(Span),
    /// bytes
    Blob(Span),
    /// microseconds since 1970, UTC
    Timestamp(i64),
    /// 8-4-4-4-12
    Uuid(Span),
    /// a JSON text
    Json(Span),
    /// decimal digits
    Decimal(Span),
}

/// What a statement gave back. Everything that has a length is in one heap:
/// neither the host nor the guest allocates for a cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Column names, in order.
    pub columns: Vec<Span>,
    /// Row after row, one cell per column.
    pub cells: Vec<Cell>,
    /// What the spans point into.
    pub heap: Vec<u8>,
    /// Rows written, or returned by a `SELECT`.
    pub affected: u64,
}

impl Rows {
    /// Keeps the bytes of a cell. A result is cut off at `sql_bytes`, which is
    /// far below what a span can reach.
    pub fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = u32::try_from(self.heap.len()).unwrap_or(u32::MAX);
        self.heap.extend_from_slice(bytes);
        Span { start, length: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
    }

    /// What it counts against the limits.
    pub fn bytes(&self) -> usize {
        self.heap.len() + self.cells.len() * size_of::<Cell>()
    }
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
        let mut rows = Rows::default();
        rows.columns = self.columns.iter().map(|column| rows.keep(column.name.as_bytes())).collect();
        rows
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
