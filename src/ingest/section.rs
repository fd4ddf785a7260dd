//! The tables of a mapping file, read key by key, each mistake with its place.
//!
//! The keys a mapping may have, and what they mean, are not known here.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use cel::Env;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::expression::{Expression, Place, unknown};
use super::functions;
use super::rule::{Data, Field};

/// What is wrong with a mapping.
#[derive(Debug, Error)]
#[error("{file}:{line}: {key}{}{message}", if key.is_empty() { "" } else { ": " })]
pub struct MappingError {
    /// The mapping file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The key, as in `event[2].data.severity`; empty if the file is not TOML.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

/// A mapping file, and what its expressions are compiled for.
pub(super) struct Source<'a> {
    pub(super) file: String,
    pub(super) env: Arc<Env>,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &Path, text: &'a str) -> Self {
        Self { file: file.display().to_string(), env: Arc::new(functions::environment()), text }
    }

    /// The tables of the file.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'a>>, MappingError> {
        DeTable::parse(self.text).map_err(|error| {
            let line = self.line(error.span().map_or(0, |span| span.start));
            let message = error.message().to_owned();
            MappingError { file: self.file.clone(), line, key: String::new(), message }
        })
    }

    /// The file itself as a table.
    pub(super) fn root<'s, 'i>(&'s self, table: &'s Spanned<DeTable<'i>>) -> Section<'s, 'i> {
        self.section(String::new(), table.span().start, table.get_ref())
    }

    fn section<'s, 'i>(
        &'s self,
        path: String,
        at: usize,
        table: &'s DeTable<'i>,
    ) -> Section<'s, 'i> {
        Section { source: self, path, at, table }
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}

/// A table of the file.
pub(super) struct Section<'a, 'i> {
    source: &'a Source<'a>,
    /// Its key, empty for the file itself.
    path: String,
    /// Where it begins, in bytes.
    at: usize,
    table: &'a DeTable<'i>,
}

impl<'a, 'i> Section<'a, 'i> {
    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// An error at a key, `at` bytes from the beginning.
    pub(super) fn error(&self, key: &str, at: usize, message: String) -> MappingError {
        MappingError {
            file: self.source.file.clone(),
            line: self.source.line(at),
            key: self.key(key),
            message,
        }
    }

    /// The error that a key is missing.
    pub(super) fn missing(&self, key: &str) -> MappingError {
        self.error(key, self.at, "is missing".to_owned())
    }

    /// The error that a value is not what it should be.
    pub(super) fn wrong(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        want: &str,
    ) -> MappingError {
        let message = format!("is {}, not {want}", value.get_ref().type_str());
        self.error(key, value.span().start, message)
    }

    /// A text, and where it stands.
    pub(super) fn text(&self, key: &str) -> Result<Option<(String, usize)>, MappingError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let text = value.get_ref().as_str().ok_or_else(|| self.wrong(key, value, "a text"))?;
        Ok(Some((text.to_owned(), value.span().start)))
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, MappingError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let wrong = || self.wrong(key, value, "a list of texts");
        let items = value.get_ref().as_array().ok_or_else(wrong)?;
        let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
        texts.collect::<Option<_>>().map(Some).ok_or_else(wrong)
    }

    /// A number of 1 or more.
    pub(super) fn count(&self, key: &str, default: u64) -> Result<u64, MappingError> {
        let Some(value) = self.table.get(key) else { return Ok(default) };
        let count = value.get_ref().as_integer();
        let count = count.and_then(|int| u64::from_str_radix(int.as_str(), int.radix()).ok());
        count
            .filter(|count| *count > 0)
            .ok_or_else(|| self.wrong(key, value, "a number of 1 or more"))
    }

    /// A table.
    pub(super) fn table(&self, key: &str) -> Result<Option<Self>, MappingError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let table = value.get_ref().as_table().ok_or_else(|| self.wrong(key, value, "a table"))?;
        Ok(Some(self.source.section(self.key(key), value.span().start, table)))
    }

    /// A list of tables.
    pub(super) fn tables(&self, key: &str) -> Result<Vec<Self>, MappingError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let wrong = || self.wrong(key, value, "a list of tables");
        let items = value.get_ref().as_array().ok_or_else(wrong)?;
        let sections = items.iter().enumerate().map(|(index, item)| {
            let table = item.get_ref().as_table().ok_or_else(wrong)?;
            let path = format!("{}[{}]", self.key(key), index + 1);
            Ok(self.source.section(path, item.span().start, table))
        });
        sections.collect()
    }

    /// An expression that may use the names in `known`.
    pub(super) fn expression(
        &self,
        key: &str,
        known: &[&str],
    ) -> Result<Option<Expression>, MappingError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        match self.data(key, value, known)? {
            Data::Expression(expression) => Ok(Some(expression)),
            Data::Constant(_) | Data::Table(_) => {
                Err(self.wrong(key, value, "a text with an expression"))
            }
        }
    }

    fn data(
        &self,
        key: &str,
        value: &'a Spanned<DeValue<'i>>,
        known: &[&str],
    ) -> Result<Data, MappingError> {
        let at = value.span().start;
        match value.get_ref() {
            DeValue::String(source) => self.compile(key, at, source, known).map(Data::Expression),
            DeValue::Boolean(value) => Ok(Data::Constant((*value).into())),
            DeValue::Integer(int) => {
                let int = i64::from_str_radix(int.as_str(), int.radix());
                int.map(|int| Data::Constant(int.into()))
                    .map_err(|_| self.wrong(key, value, "an int of 64 bits"))
            }
            DeValue::Table(table) => {
                let section = self.source.section(self.key(key), at, table);
                section.fields(known).map(Data::Table)
            }
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) => Err(self.wrong(
                key,
                value,
                "a text with an expression, an int, a boolean or a table",
            )),
        }
    }

    /// Compiles `source` in the place of a key, `at` bytes from the beginning.
    pub(super) fn compile(
        &self,
        key: &str,
        at: usize,
        source: &str,
        known: &[&str],
    ) -> Result<Expression, MappingError> {
        let place = Place { line: self.source.line(at), key: self.key(key) };
        Expression::compile(&self.source.env, source, place, known)
            .map_err(|message| self.error(key, at, message))
    }

    /// The fields of an event's data.
    pub(super) fn fields(&self, known: &[&str]) -> Result<Vec<Field>, MappingError> {
        let fields = self.in_file_order().into_iter().map(|(name, value)| {
            let place = Place { line: self.source.line(value.span().start), key: self.key(name) };
            Ok(Field {
                name: name.to_owned(),
                value: self.data(name, value, known)?,
                place: Arc::new(place),
                is_known: OnceLock::new(),
            })
        });
        fields.collect()
    }

    /// Every key, in the order of the file.
    pub(super) fn keys(&self) -> Vec<&'a str> {
        self.in_file_order().into_iter().map(|(name, _)| name).collect()
    }

    /// Every key and value, in the order of the file.
    pub(super) fn in_file_order(&self) -> Vec<(&'a str, &'a Spanned<DeValue<'i>>)> {
        let mut fields: Vec<_> = self.table.iter().collect();
        fields.sort_by_key(|(name, _)| name.span().start);
        fields.into_iter().map(|(name, value)| (name.get_ref().as_ref(), value)).collect()
    }

    /// Refuses the first key that is not one of `keys`.
    pub(super) fn only(self, keys: &[&str]) -> Result<Self, MappingError> {
        let mut fields = self.in_file_order().into_iter();
        let Some((name, _)) = fields.find(|(name, _)| !keys.contains(name)) else {
            return Ok(self);
        };
        let at = self.table.get_key_value(name).map_or(self.at, |(name, _)| name.span().start);
        Err(self.error(name, at, unknown("key", name, keys)))
    }
}
