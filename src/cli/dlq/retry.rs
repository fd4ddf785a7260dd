//! `goodfaith dlq retry`: sends dead letters back to the partitions they came from. A plan, unless it is told to act.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::selection::Selection;
use super::{Bar, spans_of};
use crate::cli::deployment::DeploymentArgs;
use crate::cli::{EXIT_FAILED, Format, FormatArg};
use crate::engine::Reason;
use crate::kafka::{DeadLetters, Go, Left, LetterPlace, Retry, StoredLetter};
use crate::wire::{Prospect, REDRIVES_MAX};

const NOTES: &str = "\
Examples:
  goodfaith dlq retry --reason unknown_type --config goodfaith.toml
      The plan: how many would be sent, of what reasons, and which are left.
  goodfaith dlq retry --reason unknown_type --config goodfaith.toml --execute --limit 10
      Send the first ten, and look how they fare; without --limit it goes on behind them.
  goodfaith dlq retry 3/17 3/18 --config goodfaith.toml --execute

What makes sense:
  unknown_type, bad_data, bad_envelope, not_json, not_protobuf, bad_framing
      once a version of goodfaith runs whose contract accepts these bytes
  time_in_future                     once the time has come
  unknown_evidence, unknown_squeeze  if what the command names was read after it
  too_late, erased, key_mismatch, own_output, misplaced_reference
      never: they are refused again, and so are sent only if named by --reason or PLACE

A record goes to the partition it came from, with its own key, value and headers, and the header
gfredrive, which counts: a record sent 3 times is left for good. It is read there as a new record;
one that an engine has accepted meanwhile is ignored as a duplicate, if it is among the last 64 of
its customer. The dead letter stays where it is until the topic's retention.ms takes it.

Guarantee: the same retry (the same reasons, times and places) sends no dead letter twice and leaves
none out, wherever it is cut off: run it again, and it goes on where it was. Records and progress
are one transaction; the progress is a committed offset of the group `<group_id>.retry`. What is
not covered: letters that a retry of other arguments sent too, and progress older than the
brokers' offsets.retention.minutes (7 days unless set). `--since 2h` is another time, so another
retry, whenever it is run: copy the absolute time from the plan. --again begins anew. It needs
access to the events topic, that group, and the transactional id `<group_id>/retry/0`.";

/// Arguments of `dlq retry`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct RetryArgs {
    /// These, and no others: PARTITION/OFFSET, as `dlq list` prints them
    #[arg(value_name = "PLACE", conflicts_with_all = ["reason", "since", "until", "source"])]
    places: Vec<LetterPlace>,
    #[command(flatten)]
    selection: Selection,
    /// Send at most so many, the oldest of each partition first; the same retry goes on behind them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Begin again: send what this retry has sent already, too
    #[arg(long)]
    again: bool,
    /// Send them; otherwise only say what would be sent
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    deployment: DeploymentArgs,
    #[command(flatten)]
    format: FormatArg,
}

/// What a retry does, or would.
#[derive(Default)]
struct Account {
    selected: BTreeMap<Reason, u64>,
    left: BTreeMap<(Left, Option<Reason>), u64>,
}

impl Account {
    fn selected(&self) -> u64 {
        self.selected.values().sum()
    }

    /// Letters that were asked for and cannot be sent.
    fn refused(&self) -> u64 {
        let is_refused = |left: &Left| {
            matches!(
                left,
                Left::TooOften | Left::OtherTopic | Left::PartitionGone | Left::Truncated
            )
        };
        self.left.iter().filter(|((left, _), _)| is_refused(left)).map(|(_, count)| count).sum()
    }
}

/// Plans, and sends if told to.
pub(super) fn run(args: &RetryArgs) -> anyhow::Result<ExitCode> {
    let settings = args.deployment.load()?.kafka;
    let letters = DeadLetters::open(&settings)?;
    let name = args.name();
    let mut retry =
        if args.execute { Retry::start(&settings, &name) } else { Retry::plan(&settings, &name) }
            .context("the retry cannot begin")?;
    if args.again {
        retry.begin_again();
    }
    let account = pass(args, &letters, &mut retry).with_context(|| {
        let (sent, command) = (retry.sent(), args.command());
        format!("{sent} dead letters were sent for certain; {command} goes on behind them")
    })?;
    match args.format.format {
        Format::Json => writeln!(io::stdout(), "{}", object(args, &retry, &account))?,
        Format::Text => write!(io::stdout(), "{}", text(args, &letters, &retry, &account))?,
    }
    let is_fine = account.refused() == 0;
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

impl RetryArgs {
    /// Names the retry: the same choice, the same retry.
    fn name(&self) -> String {
        if self.places.is_empty() {
            return self.selection.to_string();
        }
        let mut places = self.places.clone();
        places.sort();
        places.dedup();
        places.iter().map(LetterPlace::to_string).collect::<Vec<_>>().join(" ")
    }

    /// The command that sends what this one chooses, whenever it is run.
    fn command(&self) -> String {
        let limit = self.limit.map(|limit| format!("--limit {limit}"));
        let name = Some(self.name()).filter(|name| !name.is_empty());
        let parts = ["goodfaith dlq retry".to_owned()].into_iter().chain(name).chain(limit);
        parts.chain(["--execute".to_owned()]).collect::<Vec<_>>().join(" ")
    }

    /// What would be refused again is sent only if it is asked for by name.
    fn is_named(&self, stored: &StoredLetter<'_>) -> bool {
        let reasons = &self.selection.reason;
        let is_reason =
            stored.letter.as_ref().is_some_and(|letter| reasons.contains(&letter.reason));
        !self.places.is_empty() || is_reason
    }
}

/// Looks at every letter there is now, and sends those to be sent: what comes back meanwhile is left for another time.
fn pass(args: &RetryArgs, letters: &DeadLetters, retry: &mut Retry) -> anyhow::Result<Account> {
    let spans = if args.places.is_empty() {
        letters.spans(args.selection.since.map(|since| since.as_millis()))?
    } else {
        spans_of(letters, &args.places)?
    };
    let (mut account, mut bar) = (Account::default(), Bar::over(&spans));
    for span in spans {
        let mut is_found = false;
        letters.read(span, |stored| {
            is_found = true;
            bar.at(span, stored.place.offset);
            if !args.selection.takes(stored) {
                return Ok(Go::On);
            }
            let reason = stored.letter.as_ref().map(|letter| letter.reason);
            match (retry.judge(stored, args.is_named(stored)), reason) {
                (Ok(()), Some(reason)) => {
                    if args.limit.is_some_and(|limit| limit <= account.selected()) {
                        return Ok(Go::Stop);
                    }
                    if args.execute {
                        retry.send(stored)?;
                    }
                    *account.selected.entry(reason).or_default() += 1;
                }
                (Err(left), reason) => *account.left.entry((left, reason)).or_default() += 1,
                (Ok(()), None) => unreachable!("a letter judged fit has a reason"),
            }
            Ok(Go::On)
        })?;
        if !args.places.is_empty() && !is_found {
            bail!("{}: no record at {}/{}", letters.topic(), span.partition, span.start);
        }
        bar.pass(span);
    }
    if args.execute {
        retry.finish()?;
    }
    Ok(account)
}

/// Why letters of a reason are left, for people.
fn because(left: Left, reason: Option<Reason>) -> String {
    match (left, reason.map(Prospect::of)) {
        (Left::Foreign, _) => "no dead letters of goodfaith".to_owned(),
        (Left::OtherTopic, _) => "refused: they came from another topic".to_owned(),
        (Left::PartitionGone, _) => {
            "refused: the events topic no longer has the partition they came from".to_owned()
        }
        (Left::Sent, _) => "sent by this retry before; --again sends them once more".to_owned(),
        (Left::TooOften, _) => {
            format!("refused: sent again {REDRIVES_MAX} times already, which is the most")
        }
        (Left::Truncated, _) => {
            "refused: a part of each is here only, all of it where it was read (`dlq show` names the place)".to_owned()
        }
        (Left::Hopeless, prospect) => {
            let why = prospect.map_or("", Prospect::text);
            format!("refused again if sent: {why}; naming the reason sends them all the same")
        }
    }
}

fn text(args: &RetryArgs, letters: &DeadLetters, retry: &Retry, account: &Account) -> String {
    let (from, to) = (letters.topic(), retry.topic());
    let verb = if args.execute { "sent" } else { "send" };
    let mut lines = vec![if args.execute {
        format!("Sent {} dead letters of {from} back to {to}.", retry.sent())
    } else {
        format!(
            "A plan to send {} dead letters of {from} back to {to}; nothing is sent.",
            account.selected()
        )
    }];
    for (reason, count) in &account.selected {
        let prospect = match Prospect::of(*reason) {
            Prospect::Once(text) => format!("accepted {text}"),
            Prospect::Never(text) => format!("will be refused again: {text}"),
        };
        lines.push(format!("  {verb:<5} {count:>8}  {reason:<19}  {prospect}"));
    }
    for ((left, reason), count) in &account.left {
        let word = reason.map_or("-", Reason::as_str);
        lines.push(format!("  leave {count:>8}  {word:<19}  {}", because(*left, *reason)));
    }
    if !args.execute && account.selected() > 0 {
        lines.push(format!("To send them: {}, and the same configuration.", args.command()));
    }
    lines.join("\n") + "\n"
}

fn object(args: &RetryArgs, retry: &Retry, account: &Account) -> Value {
    let selected: Map<String, Value> = account
        .selected
        .iter()
        .map(|(reason, count)| (reason.to_string(), (*count).into()))
        .collect();
    let left: Vec<Value> = account
        .left
        .iter()
        .map(|((left, reason), count)| {
            json!({
                "letters": count,
                "reason": reason.map(Reason::as_str),
                "because": because(*left, *reason),
            })
        })
        .collect();
    json!({
        "executed": args.execute,
        "topic": retry.topic(),
        "selected": account.selected(),
        "reasons": selected,
        "sent": retry.sent(),
        "left": left,
        "refused": account.refused(),
    })
}
