//! `goodfaith suppress`: mutes the alerts of one squeeze for a time. Evidence and money go on.

use std::process::ExitCode;

use clap::Args;
use serde_json::Map;

use super::command::CommandArgs;
use super::replay::time;
use crate::model::EventTime;
use crate::model::event::Body;

const EXAMPLES: &str = "\
Examples:
  goodfaith suppress ada b7216017b64de758b80ed187540ad948 --reason \"migration on 1 June\" \\
      --actor ops/eva --until 2025-06-02 --config goodfaith.toml

The key is an alert's dedup_key; `goodfaith explain` prints it. Who and why is published
with the suppression. It ends by itself, within 365 days. A key that names no squeeze of
the customer is a dead letter: unknown_squeeze.";

/// Arguments of `suppress`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SuppressArgs {
    /// Whose squeeze
    #[arg(value_name = "CUSTOMER")]
    customer: String,
    /// Which: an alert's dedup_key
    #[arg(value_name = "DEDUP_KEY")]
    dedup_key: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who decides so
    #[arg(long, value_name = "WHO")]
    actor: String,
    /// Until when: RFC 3339, or a date, within 365 days
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: EventTime,
    #[command(flatten)]
    command: CommandArgs,
}

/// Writes the command.
pub(super) fn run(args: &SuppressArgs) -> anyhow::Result<ExitCode> {
    let destination = args.command.destination()?;
    let body = Body::SuppressionRequested {
        dedup_key: args.dedup_key.as_str().into(),
        reason: args.reason.as_str().into(),
        actor: args.actor.as_str().into(),
        until: args.until,
    };
    let event = args.command.command(&args.customer, body)?;
    let placed = event.send(&destination)?;
    event.receipt(&destination, placed.as_ref(), &[], Map::new())?;
    Ok(ExitCode::SUCCESS)
}
