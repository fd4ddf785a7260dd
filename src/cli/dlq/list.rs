//! `goodfaith dlq list`: dead letters, newest last, or how many there are of each reason.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::selection::Selection;
use super::{Bar, bytes_member, one_line, outline, printable, time_text};
use crate::cli::deployment::DeploymentArgs;
use crate::cli::{Format, FormatArg};
use crate::engine::Reason;
use crate::kafka::{self, DeadLetters, Go, LetterPlace, StoredLetter};
use crate::wire::Prospect;

/// Characters of a detail on a terminal.
const DETAIL: usize = 40;

const EXAMPLES: &str = "\
Examples:
  goodfaith dlq list --since 1h --count --config goodfaith.toml
  goodfaith dlq list --reason bad_data --source 3/1000-2000 --config goodfaith.toml
  goodfaith dlq list --since 2026-01-31 --limit 100000 --format json --config goodfaith.toml

PLACE is where the letter is, SOURCE where the record was: partition/offset. BYTES are those of
the value, AGAIN counts how often it was sent again. A reason `-` is a record that is none of ours.";

/// Arguments of `dlq list`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListArgs {
    #[command(flatten)]
    selection: Selection,
    /// Show at most so many: the newest
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    limit: u32,
    /// Only say how many there are of each reason
    #[arg(long, conflicts_with_all = ["limit", "keys"])]
    count: bool,
    /// Show keys too: they name customers
    #[arg(long)]
    keys: bool,
    #[command(flatten)]
    deployment: DeploymentArgs,
    #[command(flatten)]
    format: FormatArg,
}

/// One line of the list.
struct Row {
    cells: [String; 6],
    key: Option<Vec<u8>>,
    json: Value,
}

/// Letters of one reason.
#[derive(Default)]
struct Count {
    letters: u64,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
}

/// Lists them.
pub(super) fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let settings = args.deployment.load()?.kafka;
    let letters = DeadLetters::open(&settings)?;
    if args.count {
        count(args, &letters)?
    } else {
        list(args, &letters)?
    }
    Ok(ExitCode::SUCCESS)
}

/// Hands every letter chosen to `take`.
fn select(
    args: &ListArgs,
    letters: &DeadLetters,
    mut take: impl FnMut(&StoredLetter<'_>),
) -> kafka::Result<()> {
    let spans = letters.spans(args.selection.since.map(|since| since.as_millis()))?;
    let mut bar = Bar::over(&spans);
    for span in spans {
        letters.read(span, |stored| {
            bar.at(span, stored.place.offset);
            if args.selection.takes(stored) {
                take(stored);
            }
            Ok(Go::On)
        })?;
        bar.pass(span);
    }
    Ok(())
}

fn list(args: &ListArgs, letters: &DeadLetters) -> anyhow::Result<()> {
    let limit = usize::try_from(args.limit)?;
    let mut newest: BTreeMap<(Option<i64>, LetterPlace), Row> = BTreeMap::new();
    let mut all = 0_u64;
    select(args, letters, |stored| {
        all += 1;
        newest.insert((stored.arrived_ms, stored.place), Row::new(stored, args.keys));
        if limit < newest.len() {
            newest.pop_first();
        }
    })?;
    let rows: Vec<Row> = newest.into_values().collect();
    let mut out = io::stdout().lock();
    match args.format.format {
        Format::Json => rows.iter().try_for_each(|row| writeln!(out, "{}", row.json))?,
        Format::Text => table(&rows, args.keys, &mut out)?,
    }
    let shown = rows.len() as u64;
    let told = match (all, all - shown) {
        (0, _) => format!("no dead letters of this kind on {}", letters.topic()),
        (_, 0) => format!("{all} dead letters"),
        (_, more) => {
            format!("{shown} dead letters, the newest of {all}: --limit shows the other {more}")
        }
    };
    // There is nowhere to say that stderr is gone.
    writeln!(io::stderr(), "{told}").ok();
    Ok(())
}

impl Row {
    fn new(stored: &StoredLetter<'_>, has_key: bool) -> Self {
        let letter = stored.letter.as_ref();
        let mut json = outline(stored);
        if has_key {
            json.as_object_mut().into_iter().for_each(|object| {
                object.extend([bytes_member("key", stored.record.key)]);
            });
        }
        let of = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        Self {
            cells: [
                stored.place.to_string(),
                time_text(stored.arrived_ms),
                of(letter.map(|letter| letter.reason.to_string())),
                of(letter.and_then(|letter| letter.detail).map(|detail| one_line(detail, DETAIL))),
                of(letter.map(|letter| format!("{}/{}", letter.partition, letter.offset))),
                format!(
                    "{}  {}",
                    stored.record.value.map_or(0, <[u8]>::len),
                    letter.map_or(0, |letter| letter.redrives)
                ),
            ],
            key: stored.record.key.filter(|_| has_key).map(<[u8]>::to_vec),
            json,
        }
    }
}

fn table(rows: &[Row], has_keys: bool, out: &mut impl Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let titles = ["PLACE", "ARRIVED", "REASON", "DETAIL", "SOURCE", "BYTES  AGAIN"];
    let mut widths = titles.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut line = |cells: [&str; 6], key: &str| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let text = padded.chain([key.to_owned()]).collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", text.trim_end())
    };
    line(titles, if has_keys { "KEY" } else { "" })?;
    for row in rows {
        let key = row.key.as_deref().map(|key| one_line(&printable(key).0, 80));
        line(row.cells.each_ref().map(String::as_str), &key.unwrap_or_default())?;
    }
    Ok(())
}

fn count(args: &ListArgs, letters: &DeadLetters) -> anyhow::Result<()> {
    let mut counts: BTreeMap<Option<Reason>, Count> = BTreeMap::new();
    select(args, letters, |stored| {
        let count = counts.entry(stored.letter.as_ref().map(|letter| letter.reason)).or_default();
        count.letters += 1;
        let arrived = stored.arrived_ms;
        count.first_ms = count.first_ms.into_iter().chain(arrived).min();
        count.last_ms = count.last_ms.into_iter().chain(arrived).max();
    })?;
    let mut out = io::stdout().lock();
    let all: u64 = counts.values().map(|count| count.letters).sum();
    for (reason, Count { letters, first_ms, last_ms }) in counts {
        let word = reason.map_or("-", Reason::as_str);
        let prospect = reason.map(Prospect::of);
        match args.format.format {
            Format::Json => {
                let object = json!({
                    "reason": reason.map(Reason::as_str),
                    "letters": letters,
                    "first": first_ms.map(|ms| time_text(Some(ms))),
                    "last": last_ms.map(|ms| time_text(Some(ms))),
                    "retry": prospect.map(|prospect| !prospect.is_never()),
                    "because": prospect.map(Prospect::text),
                });
                writeln!(out, "{object}")?;
            }
            Format::Text => {
                let told = match prospect {
                    None => "no dead letter of goodfaith".to_owned(),
                    Some(Prospect::Once(text)) => format!("worth a retry {text}"),
                    Some(Prospect::Never(text)) => format!("refused again: {text}"),
                };
                let last = time_text(last_ms);
                writeln!(out, "{letters:>9}  {word:<19}  last {last}  {told}")?;
            }
        }
    }
    // There is nowhere to say that stderr is gone.
    writeln!(io::stderr(), "{all} dead letters").ok();
    Ok(())
}
