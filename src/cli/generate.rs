//! `goodfaith gen`: the simulated telecom as a file.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum, value_parser};

use super::UsageError;
use super::replay::time;
use crate::files::{self, Output};
use crate::generate::{
    Disorder, Form, GeneratedRecord, Population, PopulationSettings, Records, Settings, Share,
};
use crate::model::EventTime;

const EXAMPLES: &str = "\
Examples:
  goodfaith gen --events 100000 --out events.ndjson.gz
  goodfaith gen --seed 7 --customers 50000 --months 12 --out events.ndjson
  goodfaith gen --events 5000 --late-share 0.02 --poison-share 0.01 --out -
  goodfaith gen --events 100000 --out - | goodfaith replay --events - --out results
  goodfaith gen --plant planted.ndjson --customers 50000 --years 3 --out events.ndjson

With --plant the customers are others: a part of them is squeezed in one of the twenty ways, a part lives through
something that only looks so (a decoy), and FILE says who and when, a line each. `goodfaith plant-check` compares
that with the alerts of a replay. Planted is what events say in their order: some that arrive late come too late.

The same arguments give the same bytes, on every platform.";

/// Arguments of `gen`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GenArgs {
    /// Gives every draw of chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Customers at one time
    #[arg(long, value_name = "N", default_value = "1000")]
    customers: NonZeroU32,
    /// End after this many records
    #[arg(long, value_name = "N", required_unless_present_any = ["months", "years", "plant"])]
    events: Option<u64>,
    /// The day the simulated time begins; histories reach back before it
    #[arg(long, value_name = "TIME", default_value = "2025-01-01", value_parser = from)]
    from: EventTime,
    /// End after this many months of simulated time
    #[arg(long, value_name = "N")]
    months: Option<NonZeroU32>,
    /// End after this many years of simulated time; with --plant, 3 unless said otherwise
    #[arg(long, value_name = "N", conflicts_with = "months", value_parser = value_parser!(u32).range(1..=100))]
    years: Option<u32>,
    /// Plant squeezes and decoys, and write to this file what was planted, a JSON object a line
    #[arg(long, value_name = "FILE", conflicts_with = "events")]
    plant: Option<PathBuf>,
    /// Share of the planted population squeezed by the course of its contract, and again by something beside it, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.2", requires = "plant")]
    squeezed_share: Share,
    /// Share of it with a decoy, likewise, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.2", requires = "plant")]
    decoy_share: Share,
    /// Share of events that arrive late, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0")]
    late_share: Share,
    /// Share of events that arrive twice, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0")]
    duplicate_share: Share,
    /// Share of records that are bad on purpose, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0")]
    poison_share: Share,
    /// How to write events
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: EventFormat,
    /// The file; packed if it ends in .gz or .zst, `-` is stdout
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum EventFormat {
    /// NDJSON: one `CloudEvents` object a line.
    #[default]
    Json,
    /// `goodfaith.v1.Event` messages, each after its length as a varint.
    Proto,
}

fn from(text: &str) -> Result<EventTime, &'static str> {
    time(text).and_then(|from| {
        let is_possible = Settings::EARLIEST <= from && from < EventTime::END.plus_months(-36);
        if is_possible { Ok(from) } else { Err("not from 1980 to 2196") }
    })
}

/// Writes simulated events to a file.
pub(super) fn generate(args: &GenArgs) -> anyhow::Result<ExitCode> {
    let disorder = Disorder {
        late: args.late_share,
        duplicate: args.duplicate_share,
        poison: args.poison_share,
    };
    let form = match args.format {
        EventFormat::Json => Form::Json,
        EventFormat::Proto => Form::Proto,
    };
    if let Some(planted) = &args.plant {
        let population = Population::new(population(args).map_err(UsageError::from)?);
        write_planted(planted, population)?;
        write_all(args, form, Records::of(population.events(), args.seed, disorder, form))?;
    } else {
        let settings = Settings {
            seed: args.seed,
            customers: args.customers,
            from: args.from,
            months: args.months(),
        };
        write_all(args, form, Records::new(settings, disorder, form))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl GenArgs {
    /// Months of the span, if it has an end.
    fn months(&self) -> Option<NonZeroU32> {
        self.months.or_else(|| NonZeroU32::new(self.years? * 12))
    }
}

fn population(args: &GenArgs) -> anyhow::Result<PopulationSettings> {
    let months = args.months().map_or(36, NonZeroU32::get);
    let least = Population::MONTHS_MIN;
    let months = NonZeroU32::new(months).filter(|months| months.get() >= least);
    Ok(PopulationSettings {
        seed: args.seed,
        customers: args.customers,
        from: args.from,
        months: months.with_context(|| {
            format!(
                "--plant needs a span of at least {least} months: the slowest rules take a year"
            )
        })?,
        squeezed: args.squeezed_share,
        decoys: args.decoy_share,
    })
}

fn write_planted(path: &Path, population: Population) -> anyhow::Result<()> {
    let cannot_write = || format!("cannot write to {}", path.display());
    let output = files::create(path).with_context(cannot_write);
    let mut output = output.map_err(UsageError::from)?;
    for planted in population.planted() {
        writeln!(output, "{}", planted.to_json()).with_context(cannot_write)?;
    }
    output.finish().with_context(cannot_write)
}

fn write_all(
    args: &GenArgs,
    form: Form,
    records: impl Iterator<Item = GeneratedRecord>,
) -> anyhow::Result<()> {
    let cannot_write = || format!("cannot write to {}", args.out.display());
    let output = files::create(&args.out).with_context(cannot_write);
    let mut output = output.map_err(UsageError::from)?;
    let limit = usize::try_from(args.events.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    for record in records.take(limit) {
        write(&mut output, form, &record).with_context(cannot_write)?;
    }
    output.finish().with_context(cannot_write)
}

fn write(output: &mut Output, form: Form, record: &GeneratedRecord) -> std::io::Result<()> {
    match form {
        Form::Json => {
            output.write_all(&record.value)?;
            output.write_all(b"\n")
        }
        Form::Proto => {
            output.write_all(&varint(record.value.len() as u64))?;
            output.write_all(&record.value)
        }
    }
}

/// `number` as Protobuf writes lengths: seven bits a byte, the least first, all but the last marked.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2);
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_protobuf_does() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [0x7f]);
        assert_eq!(varint(300), [0xac, 0x02]);
    }
}
