//! SQL values in Rust.

use serde::{Deserialize, Serialize};

pub use crate::bindings::innkeeper::backend::sql::Value;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The present, by the host's clock.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// A value that travels as JSON text: `Json(&tags)` as a parameter, and a
/// `Json<Vec<String>>` as a field of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

macro_rules! from {
    ($($from:ty => |$v:ident| $value:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($v: $from) -> Self { $value }
        }
    )*};
}

from! {
    bool => |v| Value::Boolean(v);
    i32 => |v| Value::Integer(v.into());
    i64 => |v| Value::Integer(v);
    u32 => |v| Value::Integer(v.into());
    f64 => |v| Value::Float(v);
    &str => |v| Value::Text(v.to_owned());
    &String => |v| Value::Text(v.clone());
    String => |v| Value::Text(v);
    Vec<u8> => |v| Value::Blob(v);
    Timestamp => |v| Value::Timestamp(v.0);
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Serialize> From<Json<T>> for Value {
    fn from(value: Json<T>) -> Self {
        // Serialising fails only for maps with keys that are not strings, which
        // is a mistake in the guest's own types.
        Self::Json(serde_json::to_string(&value.0).expect("the type serialises to JSON"))
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}
