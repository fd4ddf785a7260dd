//! `goodfaith explain`: why a customer's score is what it is, how it moved and what would restore it; and whether what was published
//! follows from the records it names.

use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};

use super::replay::{open_all, options, partitions, time};
use super::{Format, FormatArg, UsageError, fetch};
use crate::engine::{Action, Check, Effect, EvidenceNote, Explanation, OutputBody, explain};
use crate::model::{Event, EventTime, Text};
use crate::replay::{Options, Replay, Verification, VerificationReport, decoded};
use crate::wire;

/// Evidence told, the latest; the rest is counted.
const EVIDENCE_TOLD: usize = 20;

const EXAMPLES: &str = "\
Examples:
  goodfaith explain ada --events events.ndjson --reference plans.ndjson
      What lifts and lowers the score, what moved it last, what each squeeze saw, and
      what would restore it; then the evidence with its ids.
  goodfaith explain ada --events events.ndjson --at 2025-03-01 --verify
      As it stood then; and every number added up anew from the records it names.
  goodfaith explain ada --url http://127.0.0.1:9464
      The same text from the running service, as of now.
  goodfaith explain --verify --sample 1000 --seed 7 --events events.ndjson
      The sums of every score change of everybody, and 1000 of them added up anew.

Exit code 1: nothing is known of the customer, or something did not verify.";

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// Whom to explain; without, --verify looks at everybody
    #[arg(value_name = "CUSTOMER", required_unless_present = "verify")]
    customer: Option<String>,
    /// Events, one JSON object a line or Protobuf messages, as replay reads them. Several files are one sequence
    #[arg(long, num_args = 1.., value_name = "FILE", required_unless_present = "url")]
    events: Vec<PathBuf>,
    /// Plans, list prices and policies, visible from the start: of policies the last is in force, unless --policy names one
    #[arg(long, num_args = 1.., value_name = "FILE")]
    reference: Vec<PathBuf>,
    /// What differs from the default policy: TOML, or JSON if it is named so
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Read the events up to the first one after this, and explain the state then: RFC 3339, or a date
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<EventTime>,
    /// Partitions, by key as Kafka's; each has its own clock
    #[arg(long, value_name = "N", default_value = "1", value_parser = partitions)]
    partitions: NonZeroU32,
    /// Check what was published against the records it names
    #[arg(long)]
    verify: bool,
    /// Add up only this many score changes anew, drawn by --seed; the sums of all are checked all the same
    #[arg(long, value_name = "N", requires = "verify", conflicts_with = "customer")]
    sample: Option<usize>,
    /// Gives the draw of the sample
    #[arg(long, value_name = "N", default_value_t = 1, requires = "sample")]
    seed: u64,
    /// Ask the running service instead of files
    #[arg(long, value_name = "URL", conflicts_with = "events")]
    url: Option<String>,
    #[command(flatten)]
    format: FormatArg,
}

/// Explains a customer, or verifies a whole run.
pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    match (&args.url, &args.customer) {
        (Some(url), customer) => ask(args, url, customer.as_deref()),
        (None, Some(customer)) => explain_files(args, customer),
        (None, None) => verify_all(args),
    }
}

/// Asks the running service.
fn ask(args: &ExplainArgs, url: &str, customer: Option<&str>) -> anyhow::Result<ExitCode> {
    let Some(customer) = customer.filter(|_| args.at.is_none() && !args.verify) else {
        return Err(UsageError::new(anyhow!(
            "--at and --verify read the history, which the service does not keep: leave out --url, and give the events as \
             files by --events"
        ))
        .into());
    };
    let path = format!("/v1/customers/{}", fetch::path_segment(customer));
    let (status, body) = fetch::get(url, &path)?;
    let answer: Value = serde_json::from_str(&body)
        .with_context(|| format!("{url} does not answer like the service"))?;
    if status != 200 {
        bail!("{}", answer["detail"].as_str().unwrap_or("the service refuses to answer"));
    }
    match args.format.format {
        Format::Json => writeln!(io::stdout(), "{body}")?,
        Format::Text => {
            for sentence in answer["explanation"].as_array().into_iter().flatten() {
                writeln!(io::stdout(), "{}", sentence.as_str().unwrap_or_default())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What was published of one customer, as far as an explanation names it.
#[derive(Debug, Default)]
struct Trail {
    /// The last score change: its id, and what caused it.
    change: Option<(String, Option<Text>)>,
    /// Evidence recorded and not taken back, oldest first, and what caused it.
    evidence: Vec<(EvidenceNote, Option<Text>)>,
}

impl Trail {
    fn note(&mut self, effect: &Effect, customer: &str) {
        let Action::Publish(output) = &effect.action else { return };
        if *output.customer != *customer {
            return;
        }
        let cause = || output.causation_id.clone();
        match &output.body {
            OutputBody::ScoreChanged(_) => self.change = Some((output.id(), cause())),
            OutputBody::EvidenceRecorded(note) => self.evidence.push(((**note).clone(), cause())),
            OutputBody::EvidenceRetracted(note) => {
                let place = self.evidence.iter().position(|(held, _)| *held == **note);
                place.map(|place| self.evidence.remove(place));
            }
            OutputBody::CustomerErased { .. } => *self = Self::default(),
            _ => {}
        }
    }
}

fn explain_files(args: &ExplainArgs, customer: &str) -> anyhow::Result<ExitCode> {
    let options = read_options(args)?;
    let mut trail = Trail::default();
    let verification = Verification::new(Arc::clone(&options.policy), Some(customer.into()));
    let (replay, verification) =
        replay(args, &options, verification, &mut |effect| trail.note(effect, customer))?;
    let Some(explanation) = replay.explain(customer) else {
        bail!(
            "nothing is known of {customer} by then: no event of it was accepted, or it was erased"
        );
    };
    let report = args.verify.then(|| verification.finish());
    match args.format.format {
        Format::Text => write!(io::stdout(), "{}", text(&explanation, &trail, report.as_ref()))?,
        Format::Json => {
            writeln!(io::stdout(), "{}", json_of(&explanation, &trail, report.as_ref()))?;
        }
    }
    Ok(exit_code(report.as_ref()))
}

fn verify_all(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let options = read_options(args)?;
    let mut verification = Verification::new(Arc::clone(&options.policy), None);
    if let Some(size) = args.sample {
        verification = verification.with_sample(size, args.seed);
    }
    let (_replay, verification) = replay(args, &options, verification, &mut |_effect| {})?;
    let report = verification.finish();
    match args.format.format {
        Format::Text => write!(io::stdout(), "{report}")?,
        Format::Json => writeln!(io::stdout(), "{}", report_json(&report))?,
    }
    Ok(exit_code(Some(&report)))
}

fn exit_code(report: Option<&VerificationReport>) -> ExitCode {
    let is_fine = report.is_none_or(|report| report.failed() == 0);
    if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read_options(args: &ExplainArgs) -> Result<Options, UsageError> {
    // Every evidence is published: no other output depends on it.
    Ok(options(&args.reference, args.policy.as_deref(), args.partitions, true)?)
}

/// Replays the events up to `--at`, shows each effect to `look`, and verifies as it goes.
fn replay(
    args: &ExplainArgs,
    options: &Options,
    mut verification: Verification,
    look: &mut dyn FnMut(&Effect),
) -> anyhow::Result<(Replay, Verification)> {
    let inputs = open_all(&args.events).map_err(UsageError::from)?;
    let mut replay = Replay::new(options);
    let mut record = Vec::new();
    'files: for (path, mut input) in inputs {
        let cannot_read = || format!("cannot read {}", path.display());
        while input.next_record(&mut record).with_context(cannot_read).map_err(UsageError::new)? {
            let record = decoded(&record, input.form());
            if let Some(Ok(event)) = &record {
                if args.at.is_some_and(|at| time_of(event).is_some_and(|time| at < time)) {
                    break 'files;
                }
                if let Event::Customer(event) = event {
                    verification.event(event);
                }
            }
            let mut sink = |effect: &Effect| {
                look(effect);
                verification.effect(effect);
                Ok(())
            };
            replay.decoded_line(record, &mut sink)?;
        }
    }
    let mut sink = |effect: &Effect| {
        look(effect);
        verification.effect(effect);
        Ok(())
    };
    replay.end(args.at, &mut sink)?;
    Ok((replay, verification))
}

/// When something happened that moves the clock.
const fn time_of(event: &Event) -> Option<EventTime> {
    match event {
        Event::Customer(event) => Some(event.time),
        Event::Tick(time) => Some(*time),
        Event::Reference(_) => None,
    }
}

/// For people: the sentences, then the records behind them, then what was checked.
fn text(explanation: &Explanation, trail: &Trail, report: Option<&VerificationReport>) -> String {
    let mut lines = explain(explanation);
    let cause = |cause: &Option<Text>| {
        cause.as_ref().map_or_else(|| "a deadline".to_owned(), |id| format!("event {id}"))
    };
    if let Some((id, by)) = &trail.change {
        lines.push(format!("The last change is record {id}, caused by {}.", cause(by)));
    }
    if !trail.evidence.is_empty() {
        let count = trail.evidence.len();
        lines.push(format!(
            "\nEvidence, the latest of {count}: id, class, weight, since when, cause"
        ));
        let latest = trail.evidence.iter().rev().take(EVIDENCE_TOLD);
        lines.extend(latest.map(|(note, by)| {
            let EvidenceNote { id, class, sign, weight, time, .. } = note;
            let weight = format!("{}{weight}", sign.as_str());
            format!("  {id}  {:<20} {weight:<10} {time}  {}", class.as_str(), cause(by))
        }));
    }
    if let Some(report) = report {
        lines.push("\nThe last change, against the records it names:".to_owned());
        let verdict = |check: &Check| if check.holds() { "ok   " } else { "FAILS" };
        lines.extend(report.last.iter().map(|check| format!("  {} {check}", verdict(check))));
        lines.push(format!("\nAll that was published of the customer: {report}"));
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// For programs: what HTTP answers, and the records behind it.
fn json_of(
    explanation: &Explanation,
    trail: &Trail,
    report: Option<&VerificationReport>,
) -> String {
    let evidence = trail.evidence.iter().map(|(note, cause)| {
        json!({
            "evidence_id": note.id.to_string(),
            "class": note.class.as_str(),
            "key": &*note.key,
            "sign": note.sign.as_str(),
            "weight": note.weight.to_f64(),
            "time": note.time.to_string(),
            "causationid": cause.as_deref(),
        })
    });
    let change = trail.change.as_ref();
    let change = change.map(|(id, cause)| json!({"id": id, "causationid": cause.as_deref()}));
    let mut object = wire::explained_json(explanation);
    object.truncate(object.len() - 1); // its closing brace
    object += &format!(",\"change\":{}", json!(change));
    object += &format!(",\"evidence\":{}", Value::Array(evidence.collect()));
    if let Some(report) = report {
        object += &format!(",\"verified\":{}", report_json(report));
    }
    object + "}"
}

fn report_json(report: &VerificationReport) -> Value {
    let claims = report.claims.iter().map(
        |(claim, tally)| json!({"claim": claim, "checked": tally.checked, "failed": tally.failed}),
    );
    let last = report.last.iter().map(|check| {
        json!({
            "claim": check.claim.to_string(),
            "published": check.published,
            "found": check.found,
            "holds": check.holds(),
        })
    });
    json!({
        "changes": report.changes,
        "recomputed": report.recomputed,
        "failed": report.failed(),
        "claims": Value::Array(claims.collect()),
        "failures": report.failures,
        "last": Value::Array(last.collect()),
    })
}
