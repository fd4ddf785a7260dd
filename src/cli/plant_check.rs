//! `goodfaith plant-check`: what was planted against what was found.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::{EXIT_FAILED, Format, FormatArg, UsageError};
use crate::files;
use crate::generate::{Comparison, LineError};

const EXAMPLES: &str = "\
Examples:
  goodfaith gen --plant planted.ndjson --customers 50000 --years 3 --out events.ndjson
  goodfaith replay --events events.ndjson --out results
  goodfaith plant-check --planted planted.ndjson --alerts results/alerts.ndjson

For each squeeze type: how many were planted, found and missed, how many said
that were not planted, precision (found of all said) and recall (found of all
planted). A squeeze is found if it is opened under its key, since the time and
at the time planted. Each miss and false alarm follows, with the customer and
the ids of the events it rests on.

Ends with 1 if precision or recall of any type is below --least.";

/// Arguments of `plant-check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PlantCheckArgs {
    /// What `gen --plant` wrote; plain, gzip or Zstandard
    #[arg(long, value_name = "FILE")]
    planted: PathBuf,
    /// The `alerts.ndjson` of the replay of the events written with it
    #[arg(long, value_name = "FILE")]
    alerts: PathBuf,
    /// The least precision and recall of each type, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.99, value_parser = share)]
    least: f64,
    #[command(flatten)]
    format: FormatArg,
}

fn share(text: &str) -> Result<f64, &'static str> {
    let share: f64 = text.parse().map_err(|_error| "not a number")?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("not from 0 to 1") }
}

/// Compares two files.
pub(super) fn check(args: &PlantCheckArgs) -> anyhow::Result<ExitCode> {
    let mut comparison = Comparison::default();
    read(&args.planted, |line| comparison.planted(line)).map_err(UsageError::from)?;
    read(&args.alerts, |line| comparison.alert(line)).map_err(UsageError::from)?;
    match args.format.format {
        Format::Text => write!(io::stdout(), "{comparison}")?,
        Format::Json => writeln!(io::stdout(), "{}", comparison.to_json())?,
    }
    let is_enough = comparison.is_at_least(args.least);
    Ok(if is_enough { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// Gives each line of the file at `path` to `take`.
fn read(path: &Path, mut take: impl FnMut(&[u8]) -> Result<(), LineError>) -> anyhow::Result<()> {
    let mut input = files::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut line = Vec::new();
    let cannot_read = || format!("cannot read {}", path.display());
    while input.next_line(&mut line).with_context(cannot_read)? {
        take(&line).with_context(cannot_read)?;
    }
    Ok(())
}
