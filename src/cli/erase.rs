//! `goodfaith erase`: has all that is known of a customer forgotten, and says what goes when.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value, json};

use super::UsageError;
use super::command::{Command, CommandArgs, Destination};
use crate::kafka::{self, Expiry, KafkaSettings, Placed, TopicTail};
use crate::model::event::Body;

const EXAMPLES: &str = "\
Examples:
  goodfaith erase ada --config goodfaith.toml --wait
      Ask, wait until the service has done it, and print the receipt.
  goodfaith erase ada --out events.ndjson
      Append the request to a file of events: `replay` honours it.

The service drops the customer's state and writes a tombstone wherever the last word on a
customer is kept; what is kept by age expires. Events from before the request are refused
from then on. Your own events topic keeps its records as long as you let it.";

/// Arguments of `erase`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct EraseArgs {
    /// Whom to forget
    #[arg(value_name = "CUSTOMER")]
    customer: String,
    /// Wait until the tombstone is on the scores topic
    #[arg(long, conflicts_with = "out")]
    wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "wait", value_parser = clap::value_parser!(u32).range(1..=86400))]
    timeout: u32,
    #[command(flatten)]
    command: CommandArgs,
}

/// Writes the command, and waits for it if asked to.
pub(super) fn run(args: &EraseArgs) -> anyhow::Result<ExitCode> {
    let destination = args.command.destination()?;
    let command = args.command.command(&args.customer, Body::ErasureRequested)?;
    let settings = match &destination {
        Destination::Topic(settings) => Some(&**settings),
        Destination::File(_) | Destination::Stdout => None,
    };
    // Opened before the request is sent: what it causes comes after.
    let tail = settings.filter(|_| args.wait).map(follow).transpose()?;
    let placed = command.send(&destination)?;
    let timeout = Duration::from_secs(args.timeout.into());
    let done = tail.map(|tail| wait(tail, &command, timeout)).transpose()?;
    let plan = settings.map(|settings| Plan::new(settings, &command));
    let (words, more) = plan.map_or_else(Default::default, |plan| {
        (plan.words(&command, done.as_ref()), plan.members(done.as_ref()))
    });
    command.receipt(&destination, placed.as_ref(), &words, more)?;
    Ok(ExitCode::SUCCESS)
}

/// Follows where an erasure shows: as a tombstone, or as a dead letter.
fn follow(settings: &KafkaSettings) -> anyhow::Result<TopicTail> {
    TopicTail::open_at_end(settings, &["scores", "dead-letters"])
        .map_err(|error| UsageError::new(error).into())
}

/// Where the tombstone of the customer is, once it is there.
fn wait(mut tail: TopicTail, command: &Command, timeout: Duration) -> anyhow::Result<Placed> {
    let key = Some(command.customer.as_bytes());
    let deadline_ms = kafka::wall_ms().saturating_add(i64::try_from(timeout.as_millis())?);
    loop {
        let left = u64::try_from(deadline_ms - kafka::wall_ms()).unwrap_or(0);
        if left == 0 {
            bail!(
                "the request is written, but no tombstone came within {} s: is `goodfaith run` running on this topic?",
                timeout.as_secs()
            );
        }
        let Some(record) = tail.next(Duration::from_millis(left))? else { continue };
        if record.key.as_deref() != key {
            continue;
        }
        match (record.reason, record.value) {
            (None, None) => return Ok(record.place),
            (Some(reason), Some(value)) if value == command.line.as_bytes() => {
                bail!("the request was refused: {reason}; see {}", record.place.topic);
            }
            _ => {}
        }
    }
}

/// What goes when, as the service creates its topics.
struct Plan {
    events: String,
    expiries: Vec<Expiry>,
    /// When the last of it is gone.
    gone_by: String,
    days: i64,
}

impl Plan {
    fn new(settings: &KafkaSettings, command: &Command) -> Self {
        let expiries = kafka::expiries(&settings.prefix);
        let days = expiries.iter().map(|expiry| expiry.days).max().unwrap_or(0);
        let gone_by = command.time.plus_days(days).to_string();
        Self { events: format!("{}.events.v1", settings.prefix), expiries, gone_by, days }
    }

    /// The topics that forget by tombstone, or by age.
    fn topics(&self, has_tombstone: bool) -> impl Iterator<Item = &Expiry> {
        self.expiries.iter().filter(move |expiry| expiry.has_tombstone == has_tombstone)
    }

    fn words(&self, command: &Command, done: Option<&Placed>) -> Vec<String> {
        let tombstones: Vec<&str> = self.topics(true).map(|expiry| &*expiry.topic).collect();
        let of_squeezes = |topic: &&str| topic.ends_with(".open-alerts.v1");
        let told = tombstones.iter().map(|topic| {
            if of_squeezes(topic) {
                format!("{topic} (one for each squeeze still open)")
            } else {
                (*topic).to_owned()
            }
        });
        let told: Vec<String> = told.collect();
        let aging: Vec<String> = self
            .topics(false)
            .map(|expiry| format!("{} ({} days)", expiry.topic, expiry.days))
            .collect();
        let seen = match done {
            Some(Placed { topic, partition, offset }) => {
                format!(
                    "Done: the tombstone is on {topic}, partition {partition}, offset {offset}."
                )
            }
            None => format!(
                "To see it done: ask with --wait, or look for the tombstone of key {} on {}.",
                command.customer,
                tombstones.first().unwrap_or(&"the scores topic")
            ),
        };
        vec![
            "The service drops the customer's state and timers; nothing from before is scored again.".to_owned(),
            format!("Tombstones: {}.", told.join(", ")),
            format!("Gone by age: {}.", aging.join(", ")),
            format!("All the service published is gone by {} ({} days).", self.gone_by, self.days),
            format!("{} keeps its records as long as you keep them; a replay honours the request.", self.events),
            seen,
        ]
    }

    fn members(&self, done: Option<&Placed>) -> Map<String, Value> {
        let named = |has_tombstone| {
            let topics = self.topics(has_tombstone);
            topics.map(|one| json!({"topic": one.topic, "days": one.days})).collect::<Vec<_>>()
        };
        let done = done.map(
            |place| json!({"topic": place.topic, "partition": place.partition, "offset": place.offset}),
        );
        let members = [
            ("tombstones", json!(named(true))),
            ("gone_by_age", json!(named(false))),
            ("gone_by", json!(self.gone_by)),
            ("kept_by_you", json!(self.events)),
            ("done", json!(done)),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
