//! Rows of another system's files to events, by a mapping: CEL expressions in a TOML file.
//!
//! A row that fails yields no event at all, and is reported by line and reason without its content. Events are sorted by the time
//! they happened, and written only when every row has been read, so that a mapping that is wrong leaves nothing behind. What the
//! events mean is not known here: each is checked by `wire` as any other record would be.
//!
//! ```toml
//! assumptions = ["Times have no zone: they are taken as UTC."]
//!
//! [input]
//! format = "csv"                       # or "ndjson"
//! null = ["", "?"]                     # texts that mean: missing
//! when = "row.caller != null"          # rows that count
//! key = "row.ticket"                   # `prev` is the row before of the same key, in file order
//!
//! [vars]                               # evaluated at most once a row, when used
//! opened = "parse_time(row.opened, '%d/%m/%Y %H:%M', 'UTC')"
//!
//! [defaults]                           # for every event that does not say otherwise
//! source = "'/tickets'"
//! subject = "row.caller"
//!
//! [[event]]
//! when = "prev == null"
//! type = "'contact.opened'"            # short for io.goodfaith.contact.opened.v1
//! id = "'contact-' + row.ticket"
//! time = "opened"
//! data = { contact_id = "row.ticket", issue = "row.topic" }
//! ```
//!
//! An event may have `for_each`, a list: one event an item, which is `item`. A `[[group]]` makes one event of all rows of a `key`
//! (with `when`, `min_count`, an int `value`): in it `row` is the first of them, and `key`, `count` and `median` are known. In
//! `data`, texts are expressions, numbers and booleans stand for themselves, and what is null is left out.
//!
//! Beside CEL's own functions and its string, list and math extensions there are these; what they are given as null stays null:
//!
//! | function | gives |
//! |---|---|
//! | `parse_time(text, format, zone)` | the time in `text`, read by a `strptime` format, local to an IANA zone unless it has an offset |
//! | `add_days(time, n)`, `add_months(time, n)` | a time moved; the day of the month is clamped |
//! | `minor(text)`, `minor(text, digits)` | a decimal amount in minor units, exactly: `29.85` is 2985 |
//! | `money(minor, currency)` | money as events have it |
//! | `div_round(n, d)` | a quotient of ints, half rounded to even |

mod expression;
mod functions;
mod group;
mod mapping;
mod row;
mod rule;
mod run;
mod scope;
mod section;
mod sink;
mod sort;
mod uses;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use group::VALUES_MAX;

pub use row::ReadError;
pub use run::ingest;
pub use section::MappingError;
pub use sink::{Broker, Destination, WriteError};

/// What to ingest, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The mapping file.
    pub mapping: PathBuf,
    /// Variables of the mapping with another expression than it gives them.
    pub set: Vec<(String, String)>,
    /// The rows; `-` is standard input.
    pub input: PathBuf,
    /// Where events go.
    pub output: Destination,
    /// Where reference events go, if not with the others.
    pub reference_output: Option<Destination>,
    /// How a broker is reached, if a destination is a topic.
    pub broker: Broker,
    /// Sort by event time, or write as the rows come.
    pub order: Order,
    /// What rows that fail do to the rest.
    pub on_failure: OnFailure,
}

/// In which order events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By event time; those of one time as their rows stand in the file. Holds this many bytes in memory, the rest on disk.
    ByTime {
        /// Bytes of events in memory.
        run_bytes: usize,
    },
    /// As the rows stand in the file, while it is being read.
    AsRead,
}

impl Default for Order {
    fn default() -> Self {
        Self::ByTime { run_bytes: sort::RUN_BYTES }
    }
}

/// What rows that fail do to the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing is written, unless it was already, for want of sorting.
    WriteNothing,
    /// The events of the other rows are written.
    WriteOthers,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows read, failed and skipped ones included.
    pub rows: u64,
    /// Rows that `input.when` leaves out.
    pub rows_skipped: u64,
    /// Rows without events because something in them failed, and groups.
    pub rows_failed: u64,
    /// Events written, by type without prefix and version.
    pub events: BTreeMap<String, u64>,
    /// Failures by reason, as `line of the mapping: key: reason`.
    pub failures: BTreeMap<String, u64>,
    /// What the mapping takes for granted.
    pub assumptions: Vec<String>,
}

/// Why nothing could be ingested.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The mapping file cannot be read.
    #[error("mapping {path} cannot be read")]
    MappingFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The mapping is wrong.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The rows cannot be read.
    #[error("input {path}: {source}")]
    Input {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// There are more keys than `prev` is kept for.
    #[error(
        "more than {0} keys: `prev` keeps a row of each in memory; allow more by `input.keys_max` in the mapping"
    )]
    TooManyKeys(u64),
    /// The groups hold too many values.
    #[error("the groups hold more than {VALUES_MAX} values, the most that are kept in memory")]
    TooManyValues,
    /// Reference events have no place among the events of customers.
    #[error(
        "the mapping makes reference events, and a topic of events takes none; name `--reference-out`"
    )]
    MisplacedReference,
    /// Sorting failed: the folder for temporary files is full or cannot be written.
    #[error("events cannot be sorted in the folder for temporary files")]
    Sort(#[source] io::Error),
    /// The events cannot be written.
    #[error("{destination} cannot be written")]
    Output {
        /// Where to.
        destination: Destination,
        /// Why.
        #[source]
        source: Box<WriteError>,
    },
}

/// Told how it goes.
pub trait Observer {
    /// The input is open and the mapping fits it; these are its assumptions.
    fn started(&mut self, input: &Path, assumptions: &[String]);
    /// Now and then: bytes read of the file, packed if it is packed, and how many it has, if that is known.
    fn read(&mut self, bytes: u64, total: Option<u64>);
    /// Every row is read; sorted events are being written.
    fn writing(&mut self);
    /// A row or group failed: its line in the input, and why.
    fn failed(&mut self, line: u64, reason: &str);
}
