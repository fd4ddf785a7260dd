//! `goodfaith resume`: shows the partitions that are stopped, and lets them go on.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;

use super::deployment::DeploymentArgs;
use super::{Format, FormatArg};
use crate::kafka::{self, StoppedPartition};
use crate::model::EventTime;

const EXAMPLES: &str = "\
Examples:
  goodfaith resume --config goodfaith.toml --dry-run
      Say which partitions are stopped, where and why.
  goodfaith resume --config goodfaith.toml --partition 3
      Let partition 3 go on with the record it was stopped before.
  goodfaith resume --config goodfaith.toml
      Let all of them go on.

A partition stops when more than stops.dead_letter_share of its last stops.dead_letter_window records could not be used. It
keeps its state, answers questions, and stays stopped over restarts and rebalances. Nothing is lost meanwhile: its records wait
in the log. Look at the dead letters first: if their producer goes on as before, it will stop again.";

/// Arguments of `resume`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ResumeArgs {
    /// Only this partition
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// Only say what is stopped
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArg,
}

/// Resumes partitions.
pub(super) fn resume(args: &ResumeArgs) -> anyhow::Result<ExitCode> {
    let config = args.deployment.load()?;
    let mut stopped = kafka::stopped_partitions(&config.kafka)
        .context("cannot tell which partitions are stopped")?;
    if let Some(wanted) = args.partition {
        stopped.retain(|one| one.partition == wanted);
        if stopped.is_empty() {
            bail!("partition {wanted} is not stopped");
        }
    }
    if !args.dry_run {
        let time = EventTime::from_millis(kafka::wall_ms()).to_string();
        for one in &stopped {
            let id = format!("resume-{}-{}-{time}", one.partition, one.offset);
            kafka::ask(&config.kafka, one.resume(), &id, &time)
                .with_context(|| format!("partition {} was not resumed", one.partition))?;
        }
    }
    print(&stopped, args)?;
    Ok(ExitCode::SUCCESS)
}

fn print(stopped: &[StoppedPartition], args: &ResumeArgs) -> io::Result<()> {
    let mut out = io::stdout();
    if args.format.format == Format::Json {
        let one = |one: &StoppedPartition| {
            json!({
                "partition": one.partition,
                "offset": one.offset,
                "cause": one.cause.to_string(),
                "resumed": !args.dry_run,
            })
        };
        return writeln!(out, "{}", json!(stopped.iter().map(one).collect::<Vec<_>>()));
    }
    if stopped.is_empty() {
        return writeln!(out, "no partition is stopped");
    }
    let done = if args.dry_run { "stopped" } else { "resumed" };
    for StoppedPartition { partition, offset, cause, .. } in stopped {
        writeln!(out, "partition {partition}: {done} at offset {offset}: {cause}")?;
    }
    Ok(())
}
