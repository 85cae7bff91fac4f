//! Rows into structs: a column feeds the field of its name.

use serde::de::value::{Error as DeError, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use crate::bindings::innkeeper::backend::sql::{Rows, Value};
use crate::sql::Error;

/// Decodes every row. Columns without a field are ignored; a field without a
/// column is an error unless serde has a default for it.
pub(crate) fn decode<T: DeserializeOwned>(rows: Rows) -> Result<Vec<T>, Error> {
    let columns = rows.columns;
    rows.rows
        .into_iter()
        .map(|row| {
            let fields = columns.iter().map(String::as_str).zip(row.into_iter().map(Field));
            T::deserialize(MapDeserializer::new(fields)).map_err(|error: DeError| Error::Decode(error.to_string()))
        })
        .collect()
}

/// One value on its way into a field.
struct Field(Value);

impl<'de> IntoDeserializer<'de, DeError> for Field {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Field {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(value) => visitor.visit_bool(value),
            Value::Integer(value) | Value::Timestamp(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Text(value) | Value::Uuid(value) | Value::Json(value) | Value::Decimal(value) => {
                visitor.visit_string(value)
            }
            // A `Vec<u8>` is a sequence to serde.
            Value::Blob(value) => visitor.visit_seq(SeqDeserializer::new(value.into_iter())),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0 {
            Value::Blob(value) => visitor.visit_byte_buf(value),
            other => Self(other).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    // SQLite has no boolean type: an expression of it gives 0 or 1.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0 {
            Value::Integer(value @ (0 | 1)) => visitor.visit_bool(value == 1),
            other => Self(other).deserialize_any(visitor),
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
        match self.0 {
            Value::Text(value) => value.into_deserializer().deserialize_enum(name, variants, visitor),
            other => Self(other).deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
