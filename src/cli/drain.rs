//! `goodfaith drain`: has every instance end what is under way and leave, so that a version with another engine can go on.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::deployment::DeploymentArgs;
use super::{Format, FormatArg};
use crate::engine::ENGINE;
use crate::kafka;
use crate::model::EventTime;
use crate::wire::Operation;

const EXAMPLES: &str = "\
Examples:
  goodfaith version
      Say which engine this version has. Same engine: no drain, replace one instance after the other.
  goodfaith drain --config goodfaith.toml
      With the version that runs: every instance commits what is under way, leaves the group and exits 0.
  goodfaith drain --config goodfaith.toml --withdraw
      Let the old version work again, if the new one has not begun.

The request stays: an instance of this engine, or of an older one, that starts again leaves again. One of a newer engine does not
mind it. It begins only on a partition of which nothing is left to be handled again, writes so to the journal, and from then on
older engines are refused.";

/// Arguments of `drain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DrainArgs {
    /// The engine to drain, with all older ones
    #[arg(long, value_name = "N", default_value_t = ENGINE, value_parser = clap::value_parser!(u32).range(1..))]
    engine: u32,
    /// Withdraw the last request instead
    #[arg(long, conflicts_with = "engine")]
    withdraw: bool,
    #[command(flatten)]
    deployment: DeploymentArgs,
    #[command(flatten)]
    format: FormatArg,
}

/// Asks for a drain, or for the end of one.
pub(super) fn drain(args: &DrainArgs) -> anyhow::Result<ExitCode> {
    let config = args.deployment.load()?;
    let (operation, done) = if args.withdraw {
        (Operation::Undrain {}, "the drain is withdrawn".to_owned())
    } else {
        let engine = args.engine;
        (Operation::Drain { engine }, format!("every instance up to engine {engine} leaves"))
    };
    let time = EventTime::from_millis(kafka::wall_ms()).to_string();
    kafka::ask(&config.kafka, operation, &format!("drain-{time}"), &time)
        .context("the request was not written")?;
    match args.format.format {
        Format::Text => writeln!(io::stdout(), "{done}")?,
        Format::Json => {
            let engine = (!args.withdraw).then_some(args.engine);
            writeln!(io::stdout(), "{}", json!({"drained": engine, "time": time}))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
