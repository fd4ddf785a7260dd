//! A mapping file: TOML, checked and compiled whole before the first row.
//!
//! It names file, line and key of whatever is wrong, and the nearest right name of what is misspelt.

use std::path::Path;
use std::sync::Arc;

use cel::Env;

use super::expression::{Expression, Place, unknown};
use super::group::Group;
use super::row::{Columns, Format};
use super::rule::{Rule, Template};
use super::scope::Variable;
use super::section::{MappingError, Section, Source};

/// How many keys `prev` is kept for unless `keys_max` says otherwise.
const KEYS_MAX: u64 = 1_000_000;

/// The keys of each kind of table.
const ROOT: [&str; 6] = ["assumptions", "input", "vars", "defaults", "event", "group"];
const INPUT: [&str; 6] = ["format", "delimiter", "null", "when", "key", "keys_max"];
const DEFAULTS: [&str; 4] = ["id", "source", "subject", "time"];
const EVENT: [&str; 8] = ["when", "for_each", "type", "id", "source", "subject", "time", "data"];
const GROUP: [&str; 10] =
    ["key", "when", "value", "min_count", "type", "id", "source", "subject", "time", "data"];

/// A compiled mapping.
pub(super) struct Mapping {
    /// What everything in it is evaluated in.
    pub(super) env: Arc<Env>,
    /// How rows are written.
    pub(super) format: Format,
    /// Texts that stand for a missing value.
    pub(super) nulls: Vec<String>,
    /// Rows that count; the others are as if they were not there.
    pub(super) when: Option<Expression>,
    /// What rows are grouped by for `prev`.
    pub(super) key: Option<Expression>,
    /// How many keys there may be.
    pub(super) keys_max: u64,
    /// What the mapping takes for granted, to be told to whoever runs it.
    pub(super) assumptions: Vec<String>,
    /// In the order of the file.
    pub(super) variables: Vec<Variable>,
    /// In the order of the file.
    pub(super) rules: Vec<Rule>,
    /// In the order of the file.
    pub(super) groups: Vec<Group>,
    file: String,
}

impl Mapping {
    /// Reads a mapping from the `text` of `file`, with other expressions for the variables in `set`.
    ///
    /// # Errors
    ///
    /// At the first thing wrong with it.
    pub(super) fn parse(
        file: &Path,
        text: &str,
        set: &[(String, String)],
    ) -> Result<Self, MappingError> {
        let source = Source::new(file, text);
        let tables = source.parse()?;
        let root = source.root(&tables).only(&ROOT)?;

        let input = root.table("input")?.ok_or_else(|| root.missing("input"))?.only(&INPUT)?;
        let (format, nulls) = (format(&input)?, input.texts("null")?);
        let per_row = ["row", "line"];
        let when = input.expression("when", &per_row)?;
        let key = input.expression("key", &per_row)?;
        let keys_max = input.count("keys_max", KEYS_MAX)?;

        let mut known = vec!["row", "line"];
        known.extend(key.is_some().then_some("prev"));
        let vars = root.table("vars")?;
        let names: Vec<_> = vars.iter().flat_map(Section::keys).collect();
        if let Some((name, _)) = set.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            return Err(root.error("vars", 0, unknown("variable", name, &names)));
        }
        let variables = variables(vars.as_ref(), &known, set)?;
        known.extend(&names);

        let defaults =
            root.table("defaults")?.map(|defaults| defaults.only(&DEFAULTS)).transpose()?;
        let rules = rules(&root, &known, defaults.as_ref())?;
        let groups = groups(&root, &known, defaults.as_ref())?;
        let assumptions = root.texts("assumptions")?;
        let nulls = nulls.unwrap_or_else(|| vec![String::new()]);
        let assumptions = assumptions.unwrap_or_default();
        Ok(Self {
            env: Arc::clone(&source.env),
            format,
            nulls,
            when,
            key,
            keys_max,
            assumptions,
            variables,
            rules,
            groups,
            file: source.file.clone(),
        })
    }

    /// Checks that every column the mapping names is there.
    ///
    /// # Errors
    ///
    /// At the first that is not.
    pub(super) fn check_columns(&self, columns: &Columns) -> Result<(), MappingError> {
        if self.format == Format::Ndjson {
            return Ok(());
        }
        let names: Vec<_> = columns.names().collect();
        for expression in self.expressions() {
            let missing = expression.columns().iter().find(|column| !columns.contains(column));
            if let Some(column) = missing {
                return Err(self.error(expression.place(), unknown("column", column, &names)));
            }
        }
        Ok(())
    }

    /// An error at a place of the mapping.
    pub(super) fn error(&self, place: &Place, message: String) -> MappingError {
        MappingError { file: self.file.clone(), line: place.line, key: place.key.clone(), message }
    }

    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let own = [&self.when, &self.key].into_iter().flatten();
        let variables = self.variables.iter().map(|variable| &variable.expression);
        let rules = self.rules.iter().flat_map(Rule::expressions);
        own.chain(variables).chain(rules).chain(self.groups.iter().flat_map(Group::expressions))
    }
}

fn format(input: &Section<'_, '_>) -> Result<Format, MappingError> {
    let delimiter = input.text("delimiter")?;
    let (format, at) = input.text("format")?.ok_or_else(|| input.missing("format"))?;
    match format.as_str() {
        "ndjson" => Ok(Format::Ndjson),
        "csv" => match delimiter {
            None => Ok(Format::Csv { delimiter: b',' }),
            Some((text, at)) => match *text.as_bytes() {
                [delimiter] => Ok(Format::Csv { delimiter }),
                _ => {
                    Err(input.error("delimiter", at, "is not a single ASCII character".to_owned()))
                }
            },
        },
        other => Err(input.error("format", at, unknown("format", other, &["csv", "ndjson"]))),
    }
}

fn variables(
    section: Option<&Section<'_, '_>>,
    known: &[&str],
    set: &[(String, String)],
) -> Result<Vec<Variable>, MappingError> {
    let Some(section) = section else { return Ok(Vec::new()) };
    let mut variables: Vec<Variable> = Vec::new();
    for (name, value) in section.in_file_order() {
        let at = value.span().start;
        if !is_free(name) {
            return Err(section.error(name, at, "cannot be the name of a variable".to_owned()));
        }
        let other = set.iter().rev().find(|(other, _)| other == name);
        let source = other.map(|(_, other)| other.as_str()).or_else(|| value.get_ref().as_str());
        let source =
            source.ok_or_else(|| section.wrong(name, value, "a text with an expression"))?;
        // Only those above it: so none can depend on itself.
        let above = variables.iter().map(|variable| variable.name.as_str());
        let known: Vec<_> = known.iter().copied().chain(above).collect();
        let expression = section.compile(name, at, source, &known)?;
        variables.push(Variable { name: name.to_owned(), expression });
    }
    Ok(variables)
}

/// Whether a variable may be called so.
fn is_free(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !["row", "prev", "line", "item", "key", "count", "median"].contains(&name)
}

fn rules(
    root: &Section<'_, '_>,
    known: &[&str],
    defaults: Option<&Section<'_, '_>>,
) -> Result<Vec<Rule>, MappingError> {
    let sections = root.tables("event")?;
    sections
        .into_iter()
        .map(|section| {
            let section = section.only(&EVENT)?;
            let when = section.expression("when", known)?;
            let for_each = section.expression("for_each", known)?;
            let mut known = known.to_vec();
            known.extend(for_each.is_some().then_some("item"));
            let template = template(&section, &known, defaults, &DEFAULTS)?;
            Ok(Rule { when, for_each, template })
        })
        .collect()
}

fn groups(
    root: &Section<'_, '_>,
    known: &[&str],
    defaults: Option<&Section<'_, '_>>,
) -> Result<Vec<Group>, MappingError> {
    // A group is not one row: it has no row before it.
    let known: Vec<_> = known.iter().copied().filter(|name| *name != "prev").collect();
    let sections = root.tables("group")?;
    sections
        .into_iter()
        .map(|section| {
            let section = section.only(&GROUP)?;
            let key = section.expression("key", &known)?;
            let key = key.ok_or_else(|| section.missing("key"))?;
            let value = section.expression("value", &known)?;
            let when = section.expression("when", &known)?;
            let count_min = section.count("min_count", 1)?;
            let mut known = known.clone();
            known.extend(["key", "count"]);
            known.extend(value.is_some().then_some("median"));
            // What concerns many rows is about the catalogue: no customer unless one is named.
            let inherited = ["id", "source", "time"];
            let template = template(&section, &known, defaults, &inherited)?;
            Ok(Group { key, when, value, count_min, template })
        })
        .collect()
}

fn template(
    section: &Section<'_, '_>,
    known: &[&str],
    defaults: Option<&Section<'_, '_>>,
    inherited: &[&str],
) -> Result<Template, MappingError> {
    let kind = section.expression("type", known)?.ok_or_else(|| section.missing("type"))?;
    let [id, source, subject, time] = DEFAULTS.map(|key| {
        let own = section.expression(key, known).transpose();
        let defaults = defaults.filter(|_| inherited.contains(&key));
        let default = || defaults.and_then(|defaults| defaults.expression(key, known).transpose());
        own.or_else(default).transpose()
    });
    let data = section.table("data")?.map(|data| data.fields(known)).transpose()?;
    Ok(Template {
        kind,
        id: id?.ok_or_else(|| section.missing("id"))?,
        source: source?.ok_or_else(|| section.missing("source"))?,
        subject: subject?,
        time: time?.ok_or_else(|| section.missing("time"))?,
        data: data.unwrap_or_default(),
    })
}
