//! The layers of a configuration, one over the other, and where each setting came from. Every layer is checked against the same
//! names and types on its own, so that an error names the line, the variable or the flag at fault.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize as _;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::ConfigError;
use super::raw::RawConfig;
use crate::model::nearest::hint;

/// What a variable that overrides a setting starts with; `__` stands between its parts.
pub(super) const PREFIX: &str = "GOODFAITH__";

/// All layers as one, and where its parts came from.
#[derive(Debug)]
pub(super) struct Layers {
    /// The settings in force, defaults included.
    pub(super) raw: RawConfig,
    file: Option<File>,
    /// The last variable or flag that set a key.
    overrides: BTreeMap<Vec<String>, String>,
}

/// The file's name as given, and its text.
#[derive(Debug)]
struct File {
    name: String,
    text: String,
}

/// One setting laid over the file.
struct Override {
    /// The variable or flag, as its user knows it.
    origin: String,
    key: Vec<String>,
    text: String,
}

impl Layers {
    /// Reads all layers.
    pub(super) fn read(
        path: Option<&Path>,
        environment: &BTreeMap<String, String>,
        flags: &[String],
    ) -> Result<Self, ConfigError> {
        let file = path.map(File::read).transpose()?;
        let mut table = file.as_ref().map(File::table).transpose()?.unwrap_or_default();
        let mut overrides = BTreeMap::new();
        for layer in from_environment(environment).chain(from_flags(flags)) {
            let Override { origin, key, text } = layer?;
            let value = read_value(&key, &text)
                .map_err(|problem| ConfigError::Wrong { origin: origin.clone(), problem })?;
            insert(&mut table, &key, value);
            overrides.insert(key, origin);
        }
        let raw =
            RawConfig::deserialize(Value::Table(table)).map_err(|error| ConfigError::Wrong {
                origin: path.map_or_else(
                    || "the configuration".to_owned(),
                    |path| path.display().to_string(),
                ),
                problem: error.message().to_owned(),
            })?;
        Ok(Self { raw, file, overrides })
    }

    /// Where `key` was set; of a key set nowhere, where it could be.
    pub(super) fn origin(&self, key: &[String]) -> String {
        if let Some(origin) = self.overrides.get(key) {
            return origin.clone();
        }
        match &self.file {
            Some(file) => file.place_of(key),
            None => format!("{PREFIX}{}", key.join("__").to_uppercase()),
        }
    }

    /// The error that `key` is wrong.
    pub(super) fn wrong(&self, key: &[String], problem: &str) -> ConfigError {
        ConfigError::Wrong {
            origin: self.origin(key),
            problem: format!("{}: {problem}", key.join(".")),
        }
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self { name: path.display().to_string(), text })
    }

    /// The file's settings, known to be of the right names and types.
    fn table(&self) -> Result<Table, ConfigError> {
        let checked = toml::from_str::<RawConfig>(&self.text)
            .and_then(|_raw| toml::from_str::<Table>(&self.text));
        checked.map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or_default();
        let key =
            DeTable::parse(&self.text).ok().and_then(|table| key_at(table.get_ref(), span.start));
        let problem = match key {
            Some(key) => format!("{}: {}", key.join("."), told(error.message())),
            None => told(error.message()),
        };
        ConfigError::Wrong { origin: self.place(span.start), problem }
    }

    /// `name:line:column` of an offset in bytes.
    fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{line}:{column}", self.name)
    }

    /// Where the file sets `key`, or its name if it does not.
    fn place_of(&self, key: &[String]) -> String {
        let table = DeTable::parse(&self.text).ok();
        let span = table.and_then(|table| span_of(table.get_ref(), key));
        span.map_or_else(|| self.name.clone(), |span| self.place(span.start))
    }
}

/// The path of the innermost key or value that holds the byte at `offset`.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<Vec<String>> {
    table.iter().find_map(|(key, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(inner) => key_at(inner, offset),
            _ => None,
        };
        let is_here = key.span().contains(&offset) || value.span().contains(&offset);
        let below = inner.or_else(|| is_here.then(Vec::new))?;
        Some([vec![key.get_ref().to_string()], below].concat())
    })
}

/// Where `key` stands.
fn span_of(table: &DeTable<'_>, key: &[String]) -> Option<Range<usize>> {
    let (first, rest) = key.split_first()?;
    let (name, value) = table.iter().find(|(name, _value)| name.get_ref() == first)?;
    match value.get_ref() {
        DeValue::Table(inner) if !rest.is_empty() => span_of(inner, rest),
        _ => Some(name.span()),
    }
}

/// What serde says, in the words of this page: with the nearest right name where a name is wrong, and no type of Rust.
fn told(message: &str) -> String {
    let Some((what, expected)) = message.split_once(", expected ") else {
        return message.to_owned();
    };
    let unknown = match what {
        _ if what.starts_with("unknown field") => "unknown key".to_owned(), // the path before it says which
        _ if what.starts_with("unknown variant") => what.replace("variant", "value"),
        _ => return format!("{what}, expected {}", plain(expected)),
    };
    let names = quoted(expected);
    format!("{unknown}; {}", hint(quoted(what).first().unwrap_or(&""), &names))
}

/// The names in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A type as a user knows it.
fn plain(expected: &str) -> &str {
    match expected {
        "usize" | "i32" => "a whole number",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}

/// The settings among the environment, in the order of their names.
fn from_environment(
    environment: &BTreeMap<String, String>,
) -> impl Iterator<Item = Result<Override, ConfigError>> {
    let ours = environment
        .iter()
        .filter_map(|(name, text)| Some((name, name.strip_prefix(PREFIX)?, text)));
    ours.map(|(name, path, text)| {
        let key = key_of(path.split("__").map(str::to_lowercase), |name| name.replace('_', "."));
        Ok(Override { origin: name.clone(), key, text: text.clone() })
    })
}

/// The settings among the flags, in the order given.
fn from_flags(flags: &[String]) -> impl Iterator<Item = Result<Override, ConfigError>> {
    flags.iter().map(|flag| {
        let origin = format!("--set {flag}");
        let Some((path, text)) = flag.split_once('=') else {
            let problem = "is not of the form section.key=value".to_owned();
            return Err(ConfigError::Wrong { origin, problem });
        };
        let key = key_of(path.split('.').map(str::to_owned), str::to_owned);
        Ok(Override { origin: format!("--set {path}"), key, text: text.to_owned() })
    })
}

/// The key its parts make. What follows `kafka.properties` is one name, dots and all, in librdkafka's spelling.
fn key_of(parts: impl Iterator<Item = String>, spell: impl Fn(&str) -> String) -> Vec<String> {
    let mut key: Vec<String> = parts.collect();
    if key.len() > 2 && key[..2] == ["kafka", "properties"] {
        let name = spell(&key.split_off(2).join("."));
        key.push(name);
    }
    key
}

/// What `text` says where a `key` stands: a TOML value where one is wanted, else the text itself.
fn read_value(key: &[String], text: &str) -> Result<Value, String> {
    let as_toml = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"));
    let as_text = Value::String(text.to_owned());
    let mut problem = None;
    for value in as_toml.into_iter().chain([as_text]) {
        let mut alone = Table::new();
        insert(&mut alone, key, value.clone());
        match RawConfig::deserialize(Value::Table(alone)) {
            Ok(_raw) => return Ok(value),
            Err(error) => problem = problem.or_else(|| Some(told(error.message()))),
        }
    }
    Err(format!("{}: {}", key.join("."), problem.unwrap_or_default()))
}

/// Sets `key` in `table`, making the tables on its way.
fn insert(table: &mut Table, key: &[String], value: Value) {
    match key {
        [] => {}
        [name] => {
            table.insert(name.clone(), value);
        }
        [section, rest @ ..] => {
            let inner = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
