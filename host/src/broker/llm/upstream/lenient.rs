//! Leaves of JSON that may be of any type. Servers differ in whether an id is a
//! string or a number, content a text or a list of parts, arguments a text or an
//! object; a wrong type is read as what it means, or as nothing, and is never the
//! end of an answer.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A text, when there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(Option<String>);

impl Text {
    /// The text, and an empty one when there is none.
    pub(super) fn into_string(self) -> String {
        self.0.unwrap_or_default()
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text, unless it is empty.
    pub(super) fn some(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

/// A whole number, when there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Number(pub(super) Option<u64>);

/// Something that is worth having only when it has the right form.
///
/// # Errors
/// When it is not JSON.
pub(super) fn soft<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).ok())
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Some(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
        Ok(Text(Some(text)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
        Ok(Text(Some(number.to_string())))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(Text(None))
    }

    /// Parts, as content is made of: the texts in them.
    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Text, A::Error> {
        let parts = Vec::<Value>::deserialize(SeqAccessDeserializer::new(parts))?;
        let texts = parts.iter().filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()));
        Ok(Text(Some(texts.collect())))
    }

    /// An object, as arguments sometimes are: its JSON.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        Ok(Text(Some(Value::deserialize(MapAccessDeserializer::new(map))?.to_string())))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
        Ok(Number(Some(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
        Ok(Number(u64::try_from(number).ok()))
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
        Ok(Number((number >= 0.0).then_some(number as u64)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
        Ok(Number(text.parse().ok()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Number, E> {
        Ok(Number(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Number, A::Error> {
        while parts.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number(None))
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, Text};

    fn text(json: &str) -> Option<String> {
        serde_json::from_str::<Text>(json).expect("JSON").0
    }

    #[test]
    fn a_text_is_read_from_whatever_stands_for_one() {
        assert_eq!(text("\"a\""), Some("a".to_owned()));
        assert_eq!(text("7"), Some("7".to_owned()));
        assert_eq!(text("null"), None);
        assert_eq!(text("true"), None);
        assert_eq!(text(r#"[{"type":"text","text":"a"},"b",{"type":"thinking","thinking":[]},3]"#), Some("ab".into()));
        assert_eq!(text(r#"{"title":"milk"}"#), Some(r#"{"title":"milk"}"#.to_owned()));
    }

    #[test]
    fn a_number_is_read_from_whatever_stands_for_one() {
        let cases =
            [("3", Some(3)), ("3.0", Some(3)), ("\"3\"", Some(3)), ("-1", None), ("null", None), ("\"x\"", None)];
        for (json, expected) in cases.into_iter().chain([("[1,[2]]", None), (r#"{"a":{"b":1}}"#, None)]) {
            assert_eq!(serde_json::from_str::<Number>(json).expect("JSON").0, expected, "{json}");
        }
    }
}
