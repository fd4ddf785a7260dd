//! `goodfaith replay`: the engine over history in files.

use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Format, FormatArg, UsageError, policy};
use crate::engine::{Effect, RollUps};
use crate::files::{self, Input};
use crate::model::{Catalogue, EventTime};
use crate::replay::{Existing, Folder, Options, Replay, Sink, Tally, decoded, read_reference};

/// Lines between two looks at the progress bar.
const LOOK_EVERY: i64 = 4096;

const EXAMPLES: &str = "\
Examples:
  goodfaith replay --events events.ndjson.gz --out results
  goodfaith replay --events jan.ndjson feb.ndjson --until 2025-03-01 --out results
  goodfaith gen --events 100000 --out - | goodfaith replay --events - --out results --force
  goodfaith gen --events 1000000 --format proto --out events.pb.zst
  goodfaith replay --events events.pb.zst --out results --force

A policy.published record among the events takes effect for the records after it; one that changes half-lives or lambda is set aside.

Results: scores.ndjson, alerts.ndjson, loyalty.ndjson, dead_letters.ndjson,
state.ndjson (a line a customer) and summary.json; with --evidence also
evidence.ndjson, with --organisation organisation.ndjson (see `goodfaith organisation`). The same input gives the same bytes.";

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArgs {
    /// Events, one JSON object a line, or `goodfaith.v1.Event` messages, each after its length as a varint; plain, gzip or Zstandard,
    /// or `-` for stdin. Messages are told by a name that ends in .pb or .binpb (before .gz or .zst), on stdin by how they begin. Several
    /// files are one sequence
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    events: Vec<PathBuf>,
    /// Plans, list prices and policies, visible from the start: of policies the last is in force, from the start, unless --policy names
    /// one
    #[arg(long, num_args = 1.., value_name = "FILE")]
    reference: Vec<PathBuf>,
    /// What differs from the default policy: TOML, or JSON if it is named so
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Let time go on to this at the end: RFC 3339, or a date
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<EventTime>,
    /// Partitions, by key as Kafka's; each has its own clock
    #[arg(long, value_name = "N", default_value = "1", value_parser = partitions)]
    partitions: NonZeroU32,
    /// Write every evidence too, to evidence.ndjson
    #[arg(long)]
    evidence: bool,
    /// Add up evidence by channel, agent, team, department, partner and product, in organisation.ndjson
    #[arg(long)]
    organisation: bool,
    /// The folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace results that are already in the folder
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    format: FormatArg,
}

/// Reads a time of the command line: RFC 3339, or a date, which is its midnight UTC.
pub(super) fn time(text: &str) -> Result<EventTime, &'static str> {
    EventTime::parse(text)
        .or_else(|| EventTime::parse_date(text))
        .ok_or("neither a time like 2025-01-31T12:00:00Z nor a date like 2025-01-31")
}

pub(super) fn partitions(text: &str) -> Result<NonZeroU32, &'static str> {
    let count: NonZeroU32 = text.parse().map_err(|_error| "not a whole number from 1")?;
    if count.get() <= 10_000 { Ok(count) } else { Err("more than 10000 partitions") }
}

/// Replays files into a folder.
pub(super) fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut options =
        options(&args.reference, args.policy.as_deref(), args.partitions, args.evidence)
            .map_err(UsageError::from)?;
    if args.organisation {
        options.roll_ups = RollUps::Kept;
    }
    let inputs = open_all(&args.events).map_err(UsageError::from)?;
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let mut folder = Folder::create(&args.out, existing, args.evidence).map_err(UsageError::new)?;
    let (mut replay, mut tally) = (Replay::new(&options), Tally::default());
    let mut progress = Progress::over(&inputs);

    let mut sink = |effect: &Effect| {
        tally.count(effect);
        folder.write(effect)
    };
    for (path, input) in inputs {
        feed(&mut replay, path, input, &mut progress, &mut sink)?;
    }
    let cannot_write = || format!("cannot write to {}", args.out.display());
    replay.end(args.until, &mut sink).with_context(cannot_write)?;
    for customer in replay.customers() {
        folder.write_state(&customer).with_context(cannot_write)?;
    }
    if args.organisation {
        folder.write_parts(replay.organisation()).with_context(cannot_write)?;
    }
    let summary = replay.summary();
    folder.finish(&summary).with_context(cannot_write)?;

    let elapsed = progress.finish();
    tell(args, &replay, &tally, elapsed);
    if args.format.format == Format::Json {
        writeln!(io::stdout(), "{}", summary.to_json())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads what a replay runs with.
pub(super) fn options(
    reference: &[PathBuf],
    policy_file: Option<&Path>,
    partitions: NonZeroU32,
    audit: bool,
) -> anyhow::Result<Options> {
    let (mut catalogue, mut published) = (Catalogue::default(), None);
    for path in reference {
        let last = read_reference(&mut open(path)?, &mut catalogue)
            .with_context(|| format!("{} is no reference file", path.display()))?;
        published = last.or(published);
    }
    let stated = policy_file.map(policy::read).transpose()?;
    Ok(Options {
        policy: stated.map(Arc::new).or(published).unwrap_or_default(),
        catalogue: Arc::new(catalogue),
        partitions,
        audit,
        roll_ups: RollUps::Off,
    })
}

fn open(path: &Path) -> anyhow::Result<Input> {
    files::open(path).with_context(|| format!("cannot open {}", path.display()))
}

/// Opens all files before the first is read: a misspelt last name should not cost an hour.
pub(super) fn open_all(paths: &[PathBuf]) -> anyhow::Result<Vec<(&Path, Input)>> {
    paths.iter().map(|path| Ok((path.as_path(), open(path)?))).collect()
}

fn feed(
    replay: &mut Replay,
    path: &Path,
    mut input: Input,
    progress: &mut Progress,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    let mut record = Vec::new();
    let cannot_read = |error| {
        UsageError::new(
            anyhow::Error::new(error).context(format!("cannot read {}", path.display())),
        )
    };
    while input.next_record(&mut record).map_err(cannot_read)? {
        let record = decoded(&record, input.form());
        replay.decoded_line(record, sink).context("cannot write the results")?;
        if replay.line_number() % LOOK_EVERY == 0 {
            progress.show(&input, replay.line_number());
        }
    }
    progress.file_ended(&input);
    Ok(())
}

/// A bar on stderr, seen only on a terminal, and the time taken.
struct Progress {
    bar: ProgressBar,
    bytes_before: u64,
}

impl Progress {
    /// The bar spans all files if their sizes are known.
    fn over(inputs: &[(&Path, Input)]) -> Self {
        let total = inputs.iter().map(|(_, input)| input.bytes_total()).sum::<Option<u64>>();
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{bar:30} {percent:>3} %  {msg}  {eta} left"),
            None => (ProgressBar::no_length(), "{spinner} {msg}  {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is a constant");
        Self { bar: bar.with_style(style), bytes_before: 0 }
    }

    fn show(&self, input: &Input, lines: i64) {
        self.bar.set_message(format!("{lines} records, {:.0}/s", rate(lines, self.bar.elapsed())));
        self.bar.set_position(self.bytes_before + input.bytes_read());
    }

    fn file_ended(&mut self, input: &Input) {
        self.bytes_before += input.bytes_read();
    }

    fn finish(&self) -> Duration {
        self.bar.finish_and_clear();
        self.bar.elapsed()
    }
}

fn rate(count: i64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}

/// Tells people on stderr what came of it. There is nowhere to say that stderr is gone.
fn tell(args: &ReplayArgs, replay: &Replay, tally: &Tally, elapsed: Duration) {
    let (records, customers) = (replay.summary().counters.records, replay.customer_count());
    let per_second = rate(records.cast_signed(), elapsed);
    let seconds = elapsed.as_secs_f64();
    let folder = args.out.display();
    write!(
        io::stderr(),
        "{records} records of {customers} customers in {seconds:.1} s ({per_second:.0}/s)\n\n{tally}\n\
         Look next: {folder}/alerts.ndjson says who is squeezed or let down, for how much and since when;\n\
         {folder}/scores.ndjson why each score moved; {folder}/state.ndjson where everybody stands.\n"
    )
    .ok();
    if !tally.dead_letters.is_empty() {
        let hint = "names each refused line, and the field at fault";
        writeln!(io::stderr(), "{folder}/dead_letters.ndjson {hint}.").ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_a_date() {
        assert_eq!(time("2025-03-01"), time("2025-03-01T01:00:00+01:00"));
        assert!(time("tomorrow").is_err());
    }

    #[test]
    fn partitions_are_bounded() {
        assert!(partitions("0").is_err() && partitions("10001").is_err());
        assert_eq!(partitions("8").map(NonZeroU32::get), Ok(8));
    }
}
