//! `goodfaith ingest`: rows of another system's files to events.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{EXIT_FAILED, Format, FormatArg, UsageError};
use crate::ingest::{
    Broker, Destination, IngestError, Observer, OnFailure, Options, Order, Summary, ingest,
};

/// How many failing rows are told one by one; the others are counted by reason.
const FAILURES_TOLD: u64 = 20;

const EXAMPLES: &str = "\
Examples:
  goodfaith ingest --mapping tickets.toml --in tickets.csv.gz --out events.ndjson
  goodfaith ingest --mapping tickets.toml --in tickets.csv.gz --out topic:goodfaith.events.v1 --bootstrap-servers localhost:9092
  goodfaith ingest --mapping bills.toml --in bills.ndjson --out events.ndjson.zst --reference-out plans.ndjson --set snapshot=\"'2025-01-01T00:00:00Z'\"

A row that fails yields no event. Unless --allow-errors is given nothing is written then, and the exit code is 1.";

/// Arguments of `ingest`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct IngestArgs {
    /// How rows become events: a TOML file of CEL expressions
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// Rows of CSV or NDJSON; plain, gzip or Zstandard, or `-` for stdin
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// Where events go: a file of NDJSON (packed if named .gz or .zst), `-` for stdout, or topic:NAME
    #[arg(long, value_name = "FILE|topic:NAME")]
    out: Destination,
    /// Where plans and list prices go, if not with the events; needed if those go to a topic
    #[arg(long, value_name = "FILE|topic:NAME")]
    reference_out: Option<Destination>,
    /// Set a variable of the mapping to another expression
    #[arg(long = "set", value_name = "NAME=CEL", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Write events as their rows come, instead of by event time
    #[arg(long)]
    no_sort: bool,
    /// Write the events of the other rows when some fail, and end with 0
    #[arg(long)]
    allow_errors: bool,
    /// Kafka brokers to begin with, if events go to a topic
    #[arg(long, value_name = "HOST:PORT,...", default_value = "localhost:9092")]
    bootstrap_servers: String,
    /// A property of librdkafka, for instance for TLS
    #[arg(long = "kafka", value_name = "NAME=VALUE", value_parser = pair)]
    kafka: Vec<(String, String)>,
    #[command(flatten)]
    format: FormatArg,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("not of the form NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// Ingests a file.
pub(super) fn run(args: &IngestArgs) -> anyhow::Result<ExitCode> {
    let mut console = Console::new();
    let result = ingest(&options(args), &mut console);
    console.finish();
    let summary = result.map_err(|error| match error {
        IngestError::MappingFile { .. }
        | IngestError::Mapping(_)
        | IngestError::Input { .. }
        | IngestError::MisplacedReference => UsageError::new(error).into(),
        other => anyhow::Error::from(other),
    })?;
    tell(args, &summary);
    let is_stdout_taken = [Some(&args.out), args.reference_out.as_ref()]
        .contains(&Some(&Destination::File("-".into())));
    if args.format.format == Format::Json && !is_stdout_taken {
        writeln!(io::stdout(), "{}", serde_json::to_string(&summary)?)?;
    }
    let is_fine = summary.rows_failed == 0 || args.allow_errors;
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

fn options(args: &IngestArgs) -> Options {
    Options {
        mapping: args.mapping.clone(),
        set: args.set.clone(),
        input: args.input.clone(),
        output: args.out.clone(),
        reference_output: args.reference_out.clone(),
        broker: Broker {
            bootstrap_servers: args.bootstrap_servers.clone(),
            properties: args.kafka.clone(),
        },
        order: if args.no_sort { Order::AsRead } else { Order::default() },
        on_failure: if args.allow_errors {
            OnFailure::WriteOthers
        } else {
            OnFailure::WriteNothing
        },
    }
}

/// Says in words what was done.
fn tell(args: &IngestArgs, summary: &Summary) {
    let mut lines = Vec::new();
    let Summary { rows, rows_skipped, rows_failed, .. } = summary;
    lines.push(format!("{rows} rows read, {rows_skipped} skipped, {rows_failed} failed"));
    let told_one_by_one = FAILURES_TOLD.min(*rows_failed);
    if *rows_failed > told_one_by_one {
        lines
            .extend(summary.failures.iter().map(|(reason, count)| format!("  {count} × {reason}")));
    }
    if *rows_failed > 0 && !args.allow_errors && !args.no_sort {
        lines.push("nothing written: correct the mapping, or give --allow-errors".to_owned());
    } else {
        let total: u64 = summary.events.values().sum();
        lines.push(format!("{total} events written to {}", destinations(args)));
        lines.extend(summary.events.iter().map(|(kind, count)| format!("  {count} {kind}")));
    }
    // There is nowhere to say that stderr is gone.
    writeln!(io::stderr(), "{}", lines.join("\n")).ok();
}

fn destinations(args: &IngestArgs) -> String {
    let reference = args.reference_out.as_ref();
    reference
        .map_or_else(|| args.out.to_string(), |reference| format!("{} and {reference}", args.out))
}

/// Tells people how it goes, on stderr: a progress bar on a terminal, and the first rows that fail.
struct Console {
    bar: ProgressBar,
    failures: u64,
}

impl Console {
    fn new() -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::no_length()
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, failures: 0 }
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| writeln!(io::stderr(), "{line}").ok());
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Console {
    fn started(&mut self, input: &Path, assumptions: &[String]) {
        self.say(&format!("reading {}", input.display()));
        for assumption in assumptions {
            self.say(&format!("assumed: {assumption}"));
        }
    }

    fn read(&mut self, bytes: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(bytes);
    }

    fn writing(&mut self) {
        self.bar.set_message("writing");
    }

    fn failed(&mut self, line: u64, reason: &str) {
        self.failures += 1;
        if self.failures <= FAILURES_TOLD {
            self.say(&format!("line {line}: {reason}"));
        } else if self.failures == FAILURES_TOLD + 1 {
            self.say("further rows that fail are counted by reason");
        }
    }
}
