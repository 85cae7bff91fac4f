//! Rows into structs: a column feeds the field of its name. Text is borrowed
//! from the result, so a row costs no allocation unless the struct wants one.

use serde::de::value::{BorrowedStrDeserializer, Error as DeError, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, Error as _, IntoDeserializer, Visitor};

use crate::bindings::innkeeper::backend::sql::{Cell, Rows, Span};
use crate::sql::Error;

/// Decodes every row. Columns without a field are ignored; a field without a
/// column is an error unless serde has a default for it.
pub(crate) fn decode<'de, T: Deserialize<'de>>(rows: &'de Rows) -> Result<Vec<T>, Error> {
    let names = rows.columns.iter().map(|span| text(&rows.heap, *span)).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(|error| Error::Decode(error.to_string()))?;
    // A statement without columns returns no rows.
    let width = names.len().max(1);
    rows.cells
        .chunks_exact(width)
        .map(|row| {
            let names = names.iter().map(|name| Name(name));
            let fields = row.iter().map(|cell| Field { cell, heap: &rows.heap });
            T::deserialize(MapDeserializer::new(names.zip(fields)))
                .map_err(|error: DeError| Error::Decode(error.to_string()))
        })
        .collect()
}

/// A column's name on its way to a field, or to a key of a map.
struct Name<'de>(&'de str);

impl<'de> IntoDeserializer<'de, DeError> for Name<'de> {
    type Deserializer = BorrowedStrDeserializer<'de, DeError>;

    fn into_deserializer(self) -> Self::Deserializer {
        BorrowedStrDeserializer::new(self.0)
    }
}

/// One cell on its way into a field.
#[derive(Clone, Copy)]
struct Field<'de> {
    cell: &'de Cell,
    heap: &'de [u8],
}

fn bytes(heap: &[u8], span: Span) -> Result<&[u8], DeError> {
    let start = span.start as usize;
    heap.get(start..start + span.length as usize).ok_or_else(|| DeError::custom("a span outside of its heap"))
}

fn text(heap: &[u8], span: Span) -> Result<&str, DeError> {
    std::str::from_utf8(bytes(heap, span)?).map_err(DeError::custom)
}

impl<'de> IntoDeserializer<'de, DeError> for Field<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Field<'de> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match *self.cell {
            Cell::Null => visitor.visit_unit(),
            Cell::Boolean(value) => visitor.visit_bool(value),
            Cell::Integer(value) | Cell::Timestamp(value) => visitor.visit_i64(value),
            Cell::Float(value) => visitor.visit_f64(value),
            Cell::Text(span) | Cell::Uuid(span) | Cell::Json(span) | Cell::Decimal(span) => {
                visitor.visit_borrowed_str(text(self.heap, span)?)
            }
            // A `Vec<u8>` is a sequence to serde.
            Cell::Blob(span) => visitor.visit_seq(SeqDeserializer::new(bytes(self.heap, span)?.iter().copied())),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match *self.cell {
            Cell::Blob(span) => visitor.visit_borrowed_bytes(bytes(self.heap, span)?),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.cell {
            Cell::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    // SQLite has no boolean type: an expression of it gives 0 or 1.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match *self.cell {
            Cell::Integer(value @ (0 | 1)) => visitor.visit_bool(value == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_newtype_struct(self)
    }

    // A unit variant by its text, so that a column can be an enum.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match *self.cell {
            Cell::Text(span) => text(self.heap, span)?.into_deserializer().deserialize_enum(name, variants, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
