//! Rows of the input: read one by one, and shown to expressions without copying what they do not ask for.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, Type,
};
use cel::common::value::{CowVal, Val};

use crate::files::Input;

/// One row, as read.
#[derive(Debug, Clone)]
pub(super) enum Record {
    /// Its fields in the order of the header.
    Csv(csv::StringRecord),
    /// Its object.
    Json(serde_json::Map<String, serde_json::Value>),
}

/// What all rows have in common.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// Position by name; empty for NDJSON, whose objects name their own fields.
    positions: BTreeMap<String, usize>,
    /// Texts that stand for a missing value.
    nulls: Vec<String>,
}

impl Columns {
    /// The names, in no particular order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.positions.keys().map(String::as_str)
    }

    /// Whether a row has a column of this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.positions.contains_key(name)
    }
}

/// A row as an expression sees it: `row.name`, null where the value is missing.
#[derive(Clone, Copy)]
pub(super) struct Row<'v> {
    /// Where its fields are.
    pub(super) columns: &'v Columns,
    /// Its fields.
    pub(super) record: &'v Record,
}

static ROW: Type = Type::new_unspecified_type("row");

impl<'v> Row<'v> {
    fn field(&self, name: &str) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        match self.record {
            Record::Csv(fields) => {
                let position = self.columns.positions.get(name).copied();
                let position = position.ok_or_else(|| ExecutionError::no_such_key(name))?;
                Ok(self.text(fields.get(position).unwrap_or_default()))
            }
            Record::Json(object) => Ok(match object.get(name) {
                Some(serde_json::Value::String(text)) => self.text(text),
                Some(value) => from_json(value),
                None => Box::new(CelNull),
            }),
        }
    }

    fn text(&self, text: &'v str) -> Box<dyn Val + 'v> {
        let is_null = self.columns.nulls.iter().any(|null| null == text);
        if is_null { Box::new(CelNull) } else { Box::new(CelString::from(text)) }
    }
}

fn from_json<'v>(value: &'v serde_json::Value) -> Box<dyn Val + 'v> {
    match value {
        serde_json::Value::Null => Box::new(CelNull),
        serde_json::Value::Bool(value) => Box::new(CelBool::from(*value)),
        serde_json::Value::String(text) => Box::new(CelString::from(text.as_str())),
        serde_json::Value::Array(items) => {
            Box::new(CelList::from(items.iter().map(from_json).collect::<Vec<_>>()))
        }
        serde_json::Value::Object(fields) => {
            Box::new(map_of(fields.iter().map(|(name, value)| (name.as_str(), from_json(value)))))
        }
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(int)) => Box::new(CelUInt::from(int)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
    }
}

/// A map of named values.
#[expect(
    clippy::disallowed_types,
    reason = "what CEL builds its maps from; JSON puts their keys in order again"
)]
pub(super) fn map_of<'v>(
    fields: impl IntoIterator<Item = (&'v str, Box<dyn Val + 'v>)>,
) -> CelMap<'v> {
    let fields = fields.into_iter().map(|(name, value)| (CelMapKey::from(name), value));
    CelMap::from(fields.collect::<std::collections::HashMap<_, _>>())
}

impl Val for Row<'_> {
    fn get_type(&self) -> &Type {
        &ROW
    }

    fn cel_type() -> &'static Type {
        &ROW
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

impl Indexer for Row<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name =
            name.downcast_ref::<CelString<'_>>().ok_or_else(|| ExecutionError::UnexpectedType {
                got: name.get_type().name().to_owned(),
                want: "string".to_owned(),
            })?;
        self.field(name.inner()).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

impl fmt::Debug for Row<'_> {
    /// No fields: they may hold personal data, and CEL puts values into messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("row")
    }
}

/// How the rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// With a header line.
    Csv {
        /// Between two fields.
        delimiter: u8,
    },
    /// A JSON object a line; blank lines are skipped.
    Ndjson,
}

/// Reads rows from a file.
#[derive(Debug)]
pub(super) enum Reader {
    Csv(csv::Reader<Input>),
    Ndjson { input: Input, line: u64, text: Vec<u8> },
}

/// A row and where it stands, or why it cannot be read.
#[derive(Debug)]
pub(super) struct Numbered {
    /// The line it starts on, from 1.
    pub(super) line: u64,
    /// The row, or a reason that holds none of its text.
    pub(super) record: Result<Record, &'static str>,
}

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself.
    #[error("cannot be read")]
    Io(#[from] std::io::Error),
    /// Its header.
    #[error("no usable header: {0}")]
    Header(String),
}

impl Reader {
    /// Reads the header, if the format has one.
    pub(super) fn new(
        input: Input,
        format: Format,
        nulls: Vec<String>,
    ) -> Result<(Self, Columns), ReadError> {
        let Format::Csv { delimiter } = format else {
            let columns = Columns { positions: BTreeMap::new(), nulls };
            return Ok((Self::Ndjson { input, line: 0, text: Vec::new() }, columns));
        };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(input);
        let header = reader.headers().map_err(header_error)?;
        let mut positions = BTreeMap::new();
        for (position, name) in header.iter().enumerate() {
            if positions.insert(name.to_owned(), position).is_some() {
                return Err(ReadError::Header(format!("column `{name}` comes twice")));
            }
        }
        if header.is_empty() {
            return Err(ReadError::Header("the file is empty".to_owned()));
        }
        Ok((Self::Csv(reader), Columns { positions, nulls }))
    }

    /// The next row; `None` at the end of the file.
    pub(super) fn next_row(&mut self) -> Result<Option<Numbered>, ReadError> {
        match self {
            Self::Csv(reader) => {
                let mut fields = csv::StringRecord::new();
                let result = reader.read_record(&mut fields);
                csv_row(result, fields)
            }
            Self::Ndjson { input, line, text } => {
                while input.next_line(text)? {
                    *line += 1;
                    if !text.iter().all(u8::is_ascii_whitespace) {
                        let record = serde_json::from_slice(text).map(Record::Json);
                        let record = record.map_err(|_| "the line is not a JSON object");
                        return Ok(Some(Numbered { line: *line, record }));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Bytes taken from the file so far, and its size.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        let input = match self {
            Self::Csv(reader) => reader.get_ref(),
            Self::Ndjson { input, .. } => input,
        };
        (input.bytes_read(), input.bytes_total())
    }
}

fn header_error(error: csv::Error) -> ReadError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => ReadError::Io(error),
        _ => ReadError::Header("it is not UTF-8".to_owned()),
    }
}

fn csv_row(
    result: csv::Result<bool>,
    fields: csv::StringRecord,
) -> Result<Option<Numbered>, ReadError> {
    let line = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
    match result {
        Ok(false) => Ok(None),
        Ok(true) => {
            Ok(Some(Numbered { line: line(fields.position()), record: Ok(Record::Csv(fields)) }))
        }
        Err(error) => match error.into_kind() {
            csv::ErrorKind::Utf8 { pos, .. } => {
                Ok(Some(Numbered { line: line(pos.as_ref()), record: Err("the row is not UTF-8") }))
            }
            csv::ErrorKind::UnequalLengths { pos, .. } => Ok(Some(Numbered {
                line: line(pos.as_ref()),
                record: Err("the row has more or fewer fields than the header"),
            })),
            csv::ErrorKind::Io(error) => Err(ReadError::Io(error)),
            other => Err(ReadError::Io(std::io::Error::other(format!("{other:?}")))),
        },
    }
}
