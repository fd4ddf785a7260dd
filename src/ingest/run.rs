//! One pass over the rows of a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::expression::Failure;
use super::group::{Collected, VALUES_MAX};
use super::mapping::Mapping;
use super::row::{Columns, Numbered, ReadError, Reader, Record, Row};
use super::rule::Made;
use super::scope::Scope;
use super::writer::Writer;
use super::{IngestError, Observer, Options, Summary};
use crate::files;

/// How many rows pass between two reports of progress.
const ROWS_A_REPORT: u64 = 1024;

/// Ingests a file.
///
/// # Errors
///
/// When the mapping is wrong, or something cannot be read or written. Rows that fail are not errors: they are in the summary.
pub fn ingest(options: &Options, observer: &mut dyn Observer) -> Result<Summary, IngestError> {
    let path = &options.mapping;
    let text = std::fs::read_to_string(path)
        .map_err(|source| IngestError::MappingFile { path: path.clone(), source })?;
    let mapping = Mapping::parse(path, &text, &options.set)?;
    let input_error = |error| {
        let path = options.input.clone();
        IngestError::Input { path, source: error }
    };
    let input = files::open(&options.input).map_err(|error| input_error(ReadError::Io(error)))?;
    let (mut reader, columns) =
        Reader::new(input, mapping.format, mapping.nulls.clone()).map_err(input_error)?;
    mapping.check_columns(&columns)?;
    observer.started(&options.input, &mapping.assumptions);

    let mut writer = Writer::new(options)?;
    let mut run = Run::new(&mapping, &columns);
    while let Some(row) = reader.next_row().map_err(input_error)? {
        if run.summary.rows.is_multiple_of(ROWS_A_REPORT) {
            let (bytes, total) = reader.progress();
            observer.read(bytes, total);
        }
        run.row(row, &mut writer, observer)?;
    }
    run.groups(&mut writer, observer)?;
    let Run { summary, .. } = run;
    observer.writing();
    writer.finish(&summary)?;
    Ok(summary)
}

/// One pass over the rows.
struct Run<'a> {
    mapping: &'a Mapping,
    columns: &'a Columns,
    /// The last row of each key. Invariant: at most `mapping.keys_max` of them.
    last: BTreeMap<String, Arc<Record>>,
    /// What each group has collected, in the order of the mapping.
    collected: Vec<Collected>,
    values: usize,
    summary: Summary,
}

/// What a row comes to.
#[derive(Default)]
struct Mapped {
    is_skipped: bool,
    key: Option<String>,
    events: Vec<Made>,
    /// Group, key and value.
    members: Vec<(usize, String, Option<i64>)>,
}

impl<'a> Run<'a> {
    fn new(mapping: &'a Mapping, columns: &'a Columns) -> Self {
        let collected = mapping.groups.iter().map(|_| Collected::default()).collect();
        let summary = Summary { assumptions: mapping.assumptions.clone(), ..Summary::default() };
        Self { mapping, columns, last: BTreeMap::new(), collected, values: 0, summary }
    }

    fn row(
        &mut self,
        row: Numbered,
        writer: &mut Writer<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), IngestError> {
        self.summary.rows += 1;
        let record = match row.record {
            Ok(record) => Arc::new(record),
            Err(reason) => {
                self.fail(row.line, format!("input: {reason}"), observer);
                return Ok(());
            }
        };
        let mut mapped = Mapped::default();
        if let Err(failure) = self.map(row.line, &record, &mut mapped) {
            self.fail(row.line, text(&failure), observer);
            mapped.events.clear();
            mapped.members.clear();
        }
        self.summary.rows_skipped += u64::from(mapped.is_skipped);
        for (group, key, value) in mapped.members {
            self.values += usize::from(value.is_some());
            if self.values > VALUES_MAX {
                return Err(IngestError::TooManyValues);
            }
            self.collected.get_mut(group).expect("one a group").add(key, value, row.line, &record);
        }
        self.write(mapped.events, writer)?;
        // A row that failed is still the one before the next: it happened.
        mapped.key.map_or(Ok(()), |key| self.remember(key, record))
    }

    /// Fills `mapped` as far as it goes.
    fn map(&self, line: u64, record: &Arc<Record>, mapped: &mut Mapped) -> Result<(), Failure> {
        let Self { mapping, columns, .. } = self;
        let row = Row { columns, record };
        let alone = Scope::new(&mapping.env, &[], line, row, None);
        let context = alone.context();
        if let Some(when) = &mapping.when
            && !when.is_true(&context, &alone)?
        {
            mapped.is_skipped = true;
            return Ok(());
        }
        if let Some(key) = &mapping.key {
            mapped.key = key.text(&context, &alone)?;
        }
        let prev = mapped.key.as_ref().and_then(|key| self.last.get(key));
        let prev = prev.map(|record| Row { columns, record });
        let scope = Scope::new(&mapping.env, &mapping.variables, line, row, prev);
        let context = scope.context();
        for rule in &mapping.rules {
            rule.apply(&context, &scope, &mut mapped.events)?;
        }
        for (index, group) in mapping.groups.iter().enumerate() {
            let member = group.member(&context, &scope)?;
            mapped.members.extend(member.map(|(key, value)| (index, key, value)));
        }
        Ok(())
    }

    fn remember(&mut self, key: String, record: Arc<Record>) -> Result<(), IngestError> {
        self.last.insert(key, record);
        let keys_max = self.mapping.keys_max;
        if self.last.len() as u64 > keys_max {
            Err(IngestError::TooManyKeys(keys_max))
        } else {
            Ok(())
        }
    }

    fn groups(
        &mut self,
        writer: &mut Writer<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), IngestError> {
        let collected = std::mem::take(&mut self.collected);
        for (group, collected) in self.mapping.groups.iter().zip(collected) {
            let (events, failures) = group.events(self.mapping, self.columns, collected);
            for (line, failure) in failures {
                self.fail(line, text(&failure), observer);
            }
            self.write(events, writer)?;
        }
        Ok(())
    }

    fn write(&mut self, events: Vec<Made>, writer: &mut Writer<'_>) -> Result<(), IngestError> {
        for Made { kind, event } in events {
            *self.summary.events.entry(kind).or_default() += 1;
            writer.push(event)?;
        }
        Ok(())
    }

    fn fail(&mut self, line: u64, reason: String, observer: &mut dyn Observer) {
        observer.failed(line, &reason);
        self.summary.rows_failed += 1;
        *self.summary.failures.entry(reason).or_default() += 1;
    }
}

fn text(failure: &Failure) -> String {
    format!("mapping line {}: {}: {}", failure.place.line, failure.place.key, failure.reason)
}
