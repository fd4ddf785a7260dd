//! `goodfaith policy publish`: writes a policy to the reference topic, from where every partition of the running service takes it.
//!
//! It does not wait until it is in force: `/v1/policy` of each instance says so.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::cli::deployment::DeploymentArgs;
use crate::cli::{Format, FormatArg, UsageError};
use crate::kafka::{KafkaSettings, TopicWriter, wall_ms};
use crate::model::policy::Document;
use crate::model::{
    Event, EventTime, PolicyDocument, PolicyError, ReferenceChange, ReferenceEvent,
};
use crate::wire;

const EXAMPLES: &str = "\
Examples:
  goodfaith policy publish keen.toml --config goodfaith.toml --dry-run
      Check the file, and that it can follow the policy the service began with.
  goodfaith policy publish keen.toml --config goodfaith.toml
      Write it to the reference topic, and print its hash.
  curl http://127.0.0.1:9464/v1/policy
      See on which partitions it is in force, and which rules gather before they may open a squeeze.

Weights, bands, thresholds and base rate act at once. A rule that judges otherwise gathers for its window first; what is open goes on.
Half-lives and lambda are part of what is stored: they are refused here, and by the service. Change them in
policy.file, and have the log scored anew by `goodfaith reset`, or by a new deployment beside the old one, with a group_id and
topic_prefix of its own. Otherwise policy.file stays the policy the service began with.";

/// Arguments of `policy publish`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PublishArgs {
    /// What differs from the default policy, its version stated: TOML, or JSON if it is named so
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// Only check; write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: FormatArg,
}

/// What was published, and where.
#[derive(Debug, Serialize)]
struct Receipt<'a> {
    version: &'a str,
    hash: String,
    topic: String,
    key: String,
    id: String,
    time: String,
    dry_run: bool,
}

/// Publishes a policy.
pub(super) fn publish(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    let config = args.deployment.load()?;
    let document = read(&args.file).map_err(UsageError::from)?;
    let policy = Arc::clone(document.policy());
    policy.can_replace(&config.policy).with_context(|| {
        format!("{} cannot follow the policy the service began with", args.file.display())
    })?;
    let hash = format!("{:016x}", wire::policy_fingerprint(&policy));
    let event = ReferenceEvent {
        id: format!("policy-{hash}").into(),
        source: "/policy-publish".into(),
        time: EventTime::from_millis(wall_ms()),
        change: ReferenceChange::PolicyPublished { policy: Arc::new(document) },
    };
    let receipt = Receipt {
        version: &policy.version,
        hash,
        topic: format!("{}.reference.v1", config.kafka.prefix),
        key: format!("policy/{}", policy.version),
        id: event.id.to_string(),
        time: event.time.to_string(),
        dry_run: args.dry_run,
    };
    if !args.dry_run {
        write(&config.kafka, &receipt, &Event::Reference(event))?;
    }
    print(&receipt, args.format.format)?;
    Ok(ExitCode::SUCCESS)
}

/// The policy in `path`, as it travels.
fn read(path: &Path) -> anyhow::Result<PolicyDocument> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the policy file {}", path.display()))?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    document(&text, is_json).with_context(|| format!("{} is no policy to publish", path.display()))
}

fn document(text: &str, is_json: bool) -> Result<PolicyDocument, PolicyError> {
    let document = if is_json { Document::from_json(text) } else { Document::from_toml(text) };
    PolicyDocument::from_document(&document?)
}

fn write(kafka: &KafkaSettings, receipt: &Receipt<'_>, event: &Event) -> anyhow::Result<()> {
    let properties: Vec<_> = kafka.properties.clone().into_iter().collect();
    let writer = TopicWriter::create(&kafka.bootstrap_servers, &receipt.topic, &properties)?;
    writer.send(&receipt.key, wire::encode_event_json(event).as_bytes(), None)?;
    Ok(writer.finish()?)
}

fn print(receipt: &Receipt<'_>, format: Format) -> io::Result<()> {
    let mut out = io::stdout();
    if format == Format::Json {
        return writeln!(out, "{}", serde_json::to_string(receipt)?);
    }
    let Receipt { version, hash, topic, key, id, time, dry_run } = receipt;
    let done = if *dry_run { "not published, only checked" } else { "published" };
    writeln!(
        out,
        "policy   {version}\nhash     {hash}\ntopic    {topic}\nkey      {key}\nevent    {id}\ntime     {time}\n{done}"
    )
}
