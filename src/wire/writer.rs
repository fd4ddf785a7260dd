//! Writes JSON in a fixed order, numbers as published. It leaves the order, and what to leave out, to its callers.

use super::json::Json;
use crate::model::{EventTime, Micros, Money};

/// Room to begin with, in bytes: most outputs fit.
const ROOM: usize = 1024;

/// A JSON text in the making.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Default for Writer {
    fn default() -> Self {
        Self(Vec::with_capacity(ROOM))
    }
}

impl Writer {
    /// Begins another text in the same memory.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The text so far.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// An object with the members that `members` writes.
    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.0.push(b'{');
        members(self);
        self.0.push(b'}');
    }

    /// A list with the items that `items` writes.
    pub(super) fn list(&mut self, items: impl FnOnce(&mut Self)) {
        self.separate();
        self.0.push(b'[');
        items(self);
        self.0.push(b']');
    }

    /// The name of the member whose value is written next: one of ours, which needs no escapes.
    pub(super) fn name(&mut self, name: &'static str) -> &mut Self {
        debug_assert!(is_plain(name), "{name} needs escapes");
        self.quoted(name.as_bytes());
        self.0.push(b':');
        self
    }

    /// The name, whatever it holds, of the member whose value is written next.
    pub(super) fn any_name(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.0.push(b':');
        self
    }

    pub(super) fn text(&mut self, text: &str) {
        if is_plain(text) {
            return self.quoted(text.as_bytes());
        }
        self.separate();
        serde_json::to_writer(&mut self.0, text).expect("a vector takes all that is written");
    }

    pub(super) fn null(&mut self) {
        self.plain(b"null");
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.plain(if value { b"true" } else { b"false" });
    }

    pub(super) fn int(&mut self, value: impl Into<i128>) {
        let value = value.into();
        // Most are short, and the library writes those much faster.
        let text = i64::try_from(value).map_or_else(|_| value.to_string(), |n| n.to_string());
        self.plain(text.as_bytes());
    }

    /// A finite number, in the shortest text that reads back as the same bits.
    pub(super) fn number(&mut self, value: f64) {
        self.separate();
        serde_json::to_writer(&mut self.0, &value).expect("a vector takes all that is written");
    }

    /// A published decimal.
    pub(super) fn micros(&mut self, value: Micros) {
        self.plain(value.text().as_bytes());
    }

    pub(super) fn time(&mut self, time: EventTime) {
        self.quoted(time.text().as_bytes());
    }

    pub(super) fn money(&mut self, money: &Money) {
        self.object(|out| {
            out.name("minor").int(money.minor);
            out.name("currency").text(money.currency.as_str());
        });
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, json: &str) {
        self.plain(json.as_bytes());
    }

    /// A value as it was read.
    pub(super) fn json(&mut self, json: &Json<'_>) {
        match json {
            Json::Null => self.null(),
            Json::Bool(value) => self.bool(*value),
            Json::Int(value) => self.int(*value),
            Json::Number(value) => self.number(*value),
            Json::Text(text) => self.text(text),
            Json::List(items) => self.list(|out| items.iter().for_each(|item| out.json(item))),
            Json::Object(members) => self.object(|out| {
                members.iter().for_each(|(name, value)| out.any_name(name).json(value));
            }),
        }
    }

    /// What `write` makes of the value, or `null`.
    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    /// The text, so far or in the end.
    pub(super) fn into_string(self) -> String {
        String::from_utf8(self.0).expect("only text is written")
    }

    /// True before anything was written into the object or list just opened.
    pub(super) fn is_at_start(&self) -> bool {
        matches!(self.0.last(), None | Some(b'{' | b'['))
    }

    fn plain(&mut self, text: &[u8]) {
        self.separate();
        self.0.extend_from_slice(text);
    }

    fn quoted(&mut self, text: &[u8]) {
        self.separate();
        self.0.push(b'"');
        self.0.extend_from_slice(text);
        self.0.push(b'"');
    }

    /// A comma, unless this is the first member or item, or a member's value.
    fn separate(&mut self) {
        if !self.is_at_start() && self.0.last() != Some(&b':') {
            self.0.push(b',');
        }
    }
}

/// Holds nothing that JSON escapes.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_items_are_separated_and_texts_escaped() {
        let mut out = Writer::default();
        out.object(|out| {
            out.any_name("a\"").text("x:{[\n");
            out.name("b").list(|out| {
                out.int(-1);
                out.int(i128::MIN);
                out.number(0.1);
                out.micros(Micros::new(250_000));
                out.object(|_| ());
                out.bool(true);
            });
            out.name("c").optional(None::<i64>, Writer::int);
            out.name("d").time(EventTime::default());
        });
        assert_eq!(
            out.into_string(),
            r#"{"a\"":"x:{[\n","b":[-1,-170141183460469231731687303715884105728,0.1,0.25,{},true],"c":null,"d":"1970-01-01T00:00:00.000Z"}"#
        );
    }
}
