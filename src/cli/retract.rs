//! `goodfaith retract`: takes one direct evidence about a customer back.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde_json::Map;

use super::UsageError;
use super::command::CommandArgs;
use crate::model::EvidenceId;
use crate::model::event::Body;

const EXAMPLES: &str = "\
Examples:
  goodfaith retract ada 7b20d07e27680b32 --config goodfaith.toml
  goodfaith retract ada 7b20d07e27680b32 --out events.ndjson

`goodfaith explain` prints the ids. Only what is among the customer's last 64 direct
evidences can be taken back, and it cannot return; promises and failures are corrected
by facts about them. What cannot be taken back is a dead letter: unknown_evidence.";

/// Arguments of `retract`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RetractArgs {
    /// Whose evidence
    #[arg(value_name = "CUSTOMER")]
    customer: String,
    /// Which: 16 hex digits
    #[arg(value_name = "EVIDENCE_ID")]
    evidence_id: String,
    #[command(flatten)]
    command: CommandArgs,
}

/// Writes the command.
pub(super) fn run(args: &RetractArgs) -> anyhow::Result<ExitCode> {
    let RetractArgs { customer, evidence_id, command } = args;
    if EvidenceId::parse(evidence_id).is_none() {
        let told = anyhow!(
            "`{evidence_id}` is no evidence id: 16 hex digits, as `goodfaith explain {customer}` prints them"
        );
        return Err(UsageError::new(told).into());
    }
    let destination = command.destination()?;
    let body = Body::RetractionRequested { evidence_id: evidence_id.as_str().into() };
    let event = command.command(customer, body)?;
    let placed = event.send(&destination)?;
    event.receipt(&destination, placed.as_ref(), &[], Map::new())?;
    Ok(ExitCode::SUCCESS)
}
