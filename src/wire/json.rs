//! A JSON text as a tree that borrows what it can.
//!
//! It keeps what the contract tells apart and `serde_json`'s own tree does not: integers from other numbers, at no cost of a copy.
//! It does not check fields: `field` does that.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Objects and lists inside each other; one more is not JSON to us.
const DEPTH_MAX: u8 = 128;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// Written without fraction and exponent.
    Int(i64),
    /// Any other number; finite. `-0` is one of them, as `serde_json` reads it.
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    /// In the order of the text.
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Json<'a> {
    /// Reads one JSON text in UTF-8; `None` for anything else, also deeper than 128 or with a number outside `f64`.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        // Checked whole at once, not text by text.
        let mut reader = serde_json::Deserializer::from_str(std::str::from_utf8(text).ok()?);
        reader.disable_recursion_limit(); // It stops a level early; `Depth` keeps the contract's.
        let json = Depth(0).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        Some(json)
    }

    /// The member `name` of an object, `null` being the same as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let found = members.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| value).filter(|value| !matches!(value, Self::Null))
    }

    /// Takes the member `name` out of an object, leaving `null`.
    pub(super) fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else { return None };
        let found = members.iter_mut().find(|(member, _)| member == name);
        found
            .map(|(_, value)| std::mem::replace(value, Self::Null))
            .filter(|value| !matches!(value, Self::Null))
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The text, if it is one.
    pub(super) fn into_text(self) -> Option<Cow<'a, str>> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Reads a value inside this many objects and lists.
struct Depth(u8);

impl Depth {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        if self.0 < DEPTH_MAX { Ok(Self(self.0 + 1)) } else { Err(E::custom("too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for &Depth {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Json<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Depth {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Int(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "no int of the contract is this large")]
    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(value).map_or(Json::Number(value as f64), Json::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let (inside, mut list) = (self.deeper()?, Vec::new());
        while let Some(item) = items.next_element_seed(&inside)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let (inside, mut object) = (self.deeper()?, Vec::with_capacity(8));
        while let Some(name) = members.next_key_seed(Name)? {
            object.push((name, members.next_value_seed(&inside)?));
        }
        Ok(Json::Object(object))
    }
}

/// Reads a member's name, borrowed where it holds no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Cow<'de, str>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }

    #[test]
    fn an_int_is_told_from_a_number_by_its_text() {
        let kinds = Json::parse(b"[2, -2, 2.0, 2e0, 9223372036854775807, 9223372036854775808]");
        let number = Json::Number;
        assert_eq!(
            kinds,
            Some(Json::List(vec![
                Json::Int(2),
                Json::Int(-2),
                number(2.0),
                number(2.0),
                Json::Int(i64::MAX),
                number(9_223_372_036_854_775_808.0)
            ]))
        );
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        for text in [
            "0.1",
            "5e-324",
            "1.7976931348623157e308",
            "7.0420557077594588669468784357561207962098443483187e123",
        ] {
            let read = Json::parse(text.as_bytes());
            assert_eq!(read, Some(Json::Number(text.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn depth_128_is_json_and_129_is_not() {
        assert!(Json::parse(nested(128).as_bytes()).is_some());
        assert!(Json::parse(nested(129).as_bytes()).is_none());
    }

    #[test]
    fn what_is_not_json_is_refused_wherever_it_stands() {
        let bad: [&[u8]; 12] = [
            b"",
            b"{",
            b"{} {}",
            b"{\"a\":NaN}",
            b"{\"a\":-Infinity}",
            b"{\"a\":1e400}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\xff\"}",
            b"{\"\xff\":1}",
            b"{\"a\":01}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":'b'}",
        ];
        for text in bad {
            assert_eq!(Json::parse(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn null_is_the_same_as_absent() {
        let mut json = Json::parse(br#"{"a":null,"b":"x\n"}"#).unwrap();
        assert_eq!((json.get("a"), json.get("c")), (None, None));
        assert_eq!(json.take("b").and_then(Json::into_text).as_deref(), Some("x\n"));
        assert_eq!(json.take("b"), None);
    }
}
