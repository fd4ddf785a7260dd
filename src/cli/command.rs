//! What the verbs that write a command about a customer share: the event, where it goes, and the receipt. The contract checks the
//! event, as it would any producer's.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Map, Value, json};

use super::replay::time;
use super::{Format, FormatArg, UsageError, run};
use crate::config::Config;
use crate::kafka::{self, KafkaSettings, Placed};
use crate::model::digest::hex_32;
use crate::model::event::Body;
use crate::model::{CustomerEvent, Event, EventTime};
use crate::wire::{self, Expect, RecordRef};

/// Arguments of every verb that writes a command.
#[derive(Debug, Args)]
pub(super) struct CommandArgs {
    /// Write to the events topic of this configuration, the one `goodfaith run` has
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    config: Option<PathBuf>,
    /// A setting over file and environment; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", conflicts_with = "out")]
    set: Vec<String>,
    /// Append to this file of events instead; `-` is stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The event's id: the same command sent again under it counts once. By default made of what is said, and when
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Who sends it, as the event's source
    #[arg(long, value_name = "SOURCE", default_value = "/operator")]
    source: String,
    /// When it was asked for: RFC 3339, or a date. By default now
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<EventTime>,
    #[command(flatten)]
    format: FormatArg,
}

/// Where a command goes.
#[derive(Debug)]
pub(super) enum Destination {
    /// The events topic.
    Topic(Box<KafkaSettings>),
    /// The end of a file.
    File(PathBuf),
    /// Stdout; the receipt is then words on stderr.
    Stdout,
}

/// A command ready to be sent.
#[derive(Debug)]
pub(super) struct Command {
    /// The customer it is about.
    pub(super) customer: String,
    /// Its event id.
    pub(super) id: String,
    /// When it was asked for.
    pub(super) time: EventTime,
    /// The event, a line of JSON.
    pub(super) line: String,
    /// Type without prefix and version.
    name: String,
    format: Format,
}

impl CommandArgs {
    /// Where the command goes; the settings are read and checked.
    pub(super) fn destination(&self) -> anyhow::Result<Destination> {
        if let Some(out) = &self.out {
            let is_stdout = out.as_os_str() == "-";
            return Ok(if is_stdout {
                Destination::Stdout
            } else {
                Destination::File(out.clone())
            });
        }
        if self.config.is_none() && self.set.is_empty() {
            return Err(UsageError::new(anyhow!(
                "nowhere to write to: --config goodfaith.toml writes to the events topic, --out FILE to a file, --out - to stdout"
            ))
            .into());
        }
        let config = Config::load(self.config.as_deref(), &run::environment(), &self.set);
        Ok(Destination::Topic(Box::new(config.map_err(UsageError::new)?.kafka)))
    }

    /// The command that says `body` about `customer`.
    ///
    /// # Errors
    /// If the contract would refuse it: the message names the field.
    pub(super) fn command(&self, customer: &str, body: Body) -> anyhow::Result<Command> {
        let time = self.time.unwrap_or_else(|| EventTime::from_millis(kafka::wall_ms()));
        let mut event = CustomerEvent {
            customer: customer.into(),
            id: self.id.as_deref().unwrap_or("-").into(),
            source: self.source.as_str().into(),
            time,
            causation_id: None,
            trace: None,
            channel: None,
            actor: None,
            body,
        };
        if self.id.is_none() {
            let said = wire::encode_event_json(&Event::Customer(Box::new(event.clone())));
            event.id = hex_32(&said).into();
        }
        let id = event.id.to_string();
        let line = wire::encode_event_json(&Event::Customer(Box::new(event)));
        check(&line)?;
        let value: Value = serde_json::from_str(&line).context("an event is JSON")?;
        let name = value["type"].as_str().unwrap_or_default();
        let name = name.trim_start_matches("io.goodfaith.").trim_end_matches(".v1").to_owned();
        let format = self.format.format;
        Ok(Command { customer: customer.to_owned(), id, time, line, name, format })
    }
}

/// Is `line` an event by the contract?
fn check(line: &str) -> Result<(), UsageError> {
    let value = Some(line.as_bytes());
    let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
    wire::decode(record, Expect::File).map(drop).map_err(|refused| {
        let detail = refused.detail.map_or_else(String::new, |detail| format!(" {detail}"));
        UsageError::new(anyhow!("the event would be refused: {}{detail}", refused.reason))
    })
}

impl Command {
    /// Writes the command; where it is, if that is a topic.
    pub(super) fn send(&self, destination: &Destination) -> anyhow::Result<Option<Placed>> {
        match destination {
            Destination::Topic(settings) => {
                let placed = kafka::send_event(settings, &self.customer, self.line.as_bytes());
                Ok(Some(placed.context("the command was not written")?))
            }
            Destination::File(path) => {
                append(path, &self.line)?;
                Ok(None)
            }
            Destination::Stdout => {
                writeln!(io::stdout(), "{}", self.line)?;
                Ok(None)
            }
        }
    }

    /// Says what was written and where, and `more`, in words or as further members of one JSON object.
    pub(super) fn receipt(
        &self,
        destination: &Destination,
        placed: Option<&Placed>,
        words: &[String],
        more: Map<String, Value>,
    ) -> io::Result<()> {
        let Self { customer, id, time, name, format, .. } = self;
        let place = match (placed, destination) {
            (Some(Placed { topic, partition, offset }), _) => {
                format!("to {topic}, partition {partition}, offset {offset}")
            }
            (None, Destination::File(path)) => format!("to {}", path.display()),
            (None, _) => "to stdout".to_owned(),
        };
        let text = format!("Wrote {name} of {customer}, event {id}, {place}.\n{}", lines(words));
        match (destination, format) {
            // Stdout has the event.
            (Destination::Stdout, _) => write!(io::stderr(), "{text}"),
            (_, Format::Text) => write!(io::stdout(), "{text}"),
            (_, Format::Json) => {
                let mut object = json!({
                    "event": name,
                    "customer": customer,
                    "id": id,
                    "time": time.to_string(),
                    "topic": placed.map(|placed| &placed.topic),
                    "partition": placed.map(|placed| placed.partition),
                    "offset": placed.map(|placed| placed.offset),
                });
                object.as_object_mut().into_iter().for_each(|object| object.extend(more.clone()));
                writeln!(io::stdout(), "{object}")
            }
        }
    }
}

fn lines(words: &[String]) -> String {
    words.iter().map(|line| format!("{line}\n")).collect()
}

/// Appends to a plain file of events: what it held stays.
fn append(path: &Path, line: &str) -> anyhow::Result<()> {
    let is_packed = path.extension().is_some_and(|ending| ending == "gz" || ending == "zst");
    if is_packed {
        let told = format!("{} is packed: name a plain file", path.display());
        return Err(UsageError::new(anyhow!(told)).into());
    }
    let cannot_write = || format!("cannot write to {}", path.display());
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let mut file = opened.with_context(cannot_write).map_err(UsageError::new)?;
    writeln!(file, "{line}").with_context(cannot_write)
}
