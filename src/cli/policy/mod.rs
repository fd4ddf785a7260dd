//! `goodfaith policy`: one file a verb of it.

mod check;
mod explain;
mod publish;
mod schema;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::UsageError;
use crate::model::Policy;
use crate::model::policy::{Document, PolicyError};

/// Arguments of `policy`.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    verb: PolicyVerb,
}

#[derive(Debug, Subcommand)]
enum PolicyVerb {
    /// Check a policy file, say what it changes, and run the cases written in it
    Check(check::CheckArgs),
    /// Say what parameters mean, and what they may be
    Explain(explain::ExplainArgs),
    /// Put a policy in force while events flow
    Publish(publish::PublishArgs),
    /// Write the JSON Schema of a policy file to stdout, for editors
    Schema,
}

/// Runs a verb of `policy`.
pub(super) fn run(args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &args.verb {
        PolicyVerb::Check(args) => check::check(args),
        PolicyVerb::Explain(args) => explain::explain(args),
        PolicyVerb::Publish(args) => publish::publish(args),
        PolicyVerb::Schema => schema::schema(),
    }
}

/// Reads a policy file and checks it.
pub(super) fn read(path: &Path) -> anyhow::Result<Policy> {
    Policy::from_document(&read_document(path)?).map_err(|error| refused(path, &error))
}

/// A policy file's tree: JSON if it is named so, else TOML.
fn read_document(path: &Path) -> anyhow::Result<Document> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the policy file {}", path.display()))
        .map_err(UsageError::new)?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let document = if is_json { Document::from_json(&text) } else { Document::from_toml(&text) };
    document.map_err(|error| refused(path, &error))
}

/// `file:line:column: key: what is wrong`.
fn refused(path: &Path, error: &PolicyError) -> anyhow::Error {
    let PolicyError { place, key, problem } = error;
    let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
    UsageError::new(anyhow::anyhow!("{}:{place}: {key}{problem}", path.display())).into()
}
