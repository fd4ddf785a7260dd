//! A policy file as written: a tree of tables, lists and plain values, each with its place, whether it was TOML or JSON. What the
//! keys mean is not known here.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use toml::de::{DeTable, DeValue};

use super::{PolicyError, PolicyProblem};

/// Tables and lists lie no deeper in each other than this; what does is refused.
const DEPTH: usize = 16;

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where its key stands, or where it has none, the value.
    pub place: Place,
    /// What it is.
    pub value: NodeValue,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// Any number.
    Number(f64),
    /// A text; a date too.
    Text {
        /// The text.
        text: String,
        /// The line its first character stands in.
        first_line: usize,
    },
    /// True or false.
    Flag(bool),
    /// A list, in order.
    List(Vec<Node>),
    /// A table, by key.
    Table(BTreeMap<String, Node>),
    /// JSON's null.
    Null,
}

/// The tree of a whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub(in crate::model) root: BTreeMap<String, Node>,
}

impl Document {
    /// Reads TOML.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let table = DeTable::parse(text).map_err(|error| {
            let place = place(text, error.span().unwrap_or_default().start);
            PolicyError::at(place, "", PolicyProblem::Syntax(error.message().to_owned()))
        })?;
        Ok(Self { root: toml_table(text, table.get_ref(), 0)? })
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// If it is none, or not an object.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
            let place = Place { line: error.line(), column: error.column() };
            PolicyError::at(place, "", PolicyProblem::Syntax(error.to_string()))
        })?;
        match json_value(text, raw, 0)?.value {
            NodeValue::Table(root) => Ok(Self { root }),
            _ => Err(PolicyError::at(
                place(text, 0),
                "",
                PolicyProblem::Expected("an object of settings".to_owned()),
            )),
        }
    }

    /// What stands under a key of the whole.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.root.get(key)
    }
}

/// The place of an offset in bytes.
fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Place { line, column }
}

fn too_deep(place: Place) -> PolicyError {
    PolicyError::at(place, "", PolicyProblem::Expected(format!("at most {DEPTH} levels")))
}

fn toml_table(
    text: &str,
    table: &DeTable<'_>,
    depth: usize,
) -> Result<BTreeMap<String, Node>, PolicyError> {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<_>)| {
        let key: &toml::Spanned<std::borrow::Cow<'_, str>> = key;
        let value = toml_value(text, value, depth + 1)?;
        let node = Node { place: place(text, key.span().start), value };
        Ok((key.get_ref().to_string(), node))
    };
    table.iter().map(entry).collect()
}

fn toml_value(
    text: &str,
    value: &toml::Spanned<DeValue<'_>>,
    depth: usize,
) -> Result<NodeValue, PolicyError> {
    let start = value.span().start;
    if depth > DEPTH {
        return Err(too_deep(place(text, start)));
    }
    let number = |parsed: Option<f64>| {
        let problem = PolicyProblem::Expected("a number".to_owned());
        parsed
            .map(NodeValue::Number)
            .ok_or_else(|| PolicyError::at(place(text, start), "", problem))
    };
    match value.get_ref() {
        DeValue::String(string) => {
            let quoted = text.get(start..).unwrap_or_default();
            let is_multiline = quoted.starts_with("'''\n") || quoted.starts_with("\"\"\"\n");
            let first_line = place(text, start).line + usize::from(is_multiline);
            Ok(NodeValue::Text { text: string.to_string(), first_line })
        }
        DeValue::Integer(integer) => {
            number(i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|n| n as f64))
        }
        DeValue::Float(float) => number(float.as_str().parse().ok()),
        DeValue::Boolean(flag) => Ok(NodeValue::Flag(*flag)),
        DeValue::Datetime(time) => {
            Ok(NodeValue::Text { text: time.to_string(), first_line: place(text, start).line })
        }
        DeValue::Array(list) => {
            let item = |item: &toml::Spanned<DeValue<'_>>| {
                let place = place(text, item.span().start);
                Ok(Node { place, value: toml_value(text, item, depth + 1)? })
            };
            list.iter().map(item).collect::<Result<_, _>>().map(NodeValue::List)
        }
        DeValue::Table(table) => toml_table(text, table, depth).map(NodeValue::Table),
    }
}

fn json_value(text: &str, raw: &RawValue, depth: usize) -> Result<Node, PolicyError> {
    let written = raw.get();
    // A raw value borrows from the text, so where it stands is how far into the text it points.
    let place = place(text, written.as_ptr().addr() - text.as_ptr().addr());
    if depth > DEPTH {
        return Err(too_deep(place));
    }
    let wrong = |error: serde_json::Error| {
        PolicyError::at(place, "", PolicyProblem::Syntax(error.to_string()))
    };
    let value = match written.as_bytes().first() {
        Some(b'{') => {
            let entries: BTreeMap<String, &RawValue> =
                serde_json::from_str(written).map_err(wrong)?;
            let entry = |(key, raw)| Ok((key, json_value(text, raw, depth + 1)?));
            NodeValue::Table(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(written).map_err(wrong)?;
            let items = items.into_iter().map(|raw| json_value(text, raw, depth + 1));
            NodeValue::List(items.collect::<Result<_, _>>()?)
        }
        Some(b'"') => NodeValue::Text {
            text: serde_json::from_str(written).map_err(wrong)?,
            first_line: place.line,
        },
        Some(b't' | b'f') => NodeValue::Flag(serde_json::from_str(written).map_err(wrong)?),
        Some(b'n') => NodeValue::Null,
        _ => NodeValue::Number(serde_json::from_str(written).map_err(wrong)?),
    };
    Ok(Node { place, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_and_json_say_the_same_each_at_its_place() {
        let toml = Document::from_toml("a = 0x10\n[b]\nc = [true, 'x']\n").unwrap();
        let json = Document::from_json("{\"a\": 16,\n \"b\": {\n\"c\": [true, \"x\"]}}").unwrap();
        let said = |document: &Document| {
            let NodeValue::Table(b) = &document.get("b").unwrap().value else { panic!() };
            let NodeValue::List(list) = &b["c"].value else { panic!() };
            let list: Vec<_> = list.iter().map(|node| node.value.clone()).collect();
            (document.get("a").unwrap().value.clone(), b["c"].place.line, list)
        };
        assert_eq!(said(&toml), said(&json));
        assert_eq!(toml.get("a").unwrap().value, NodeValue::Number(16.0));
    }

    #[test]
    fn a_text_of_many_lines_knows_its_first() {
        let toml = Document::from_toml("\na = '''\none\ntwo'''\nb = 'x'\n").unwrap();
        let first_line = |key: &str| match &toml.get(key).unwrap().value {
            NodeValue::Text { first_line, .. } => *first_line,
            other => panic!("{other:?}"),
        };
        assert_eq!((first_line("a"), first_line("b")), (3, 5));
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        let json = format!("{{\"a\": {}{}}}", "[".repeat(100), "]".repeat(100));
        assert!(Document::from_json(&json).unwrap_err().to_string().contains("16 levels"));
    }
}
