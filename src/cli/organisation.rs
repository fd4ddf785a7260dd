//! `goodfaith organisation`: what the roll-ups of a deployment, or those of a replay, say of the organisation.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::{Value as Json, json};

use super::deployment::DeploymentArgs;
use super::{Format, FormatArg, UsageError, policy};
use crate::config::Config;
use crate::engine::OrganisationPart;
use crate::files;
use crate::kafka::{self, Go, OutputRecord};
use crate::model::organisation::{
    IndexReading, Report, RollUp, Unit, UnitKind, UnitReading, Value, Verdict,
};
use crate::model::{Dimension, EventTime, Policy};
use crate::wire::{self, FileKind};

const NOTES: &str = "\
Examples:
  goodfaith organisation --config goodfaith.toml
      What the service publishes if organisation.publish is set, read under its policy.
  goodfaith replay --events events.ndjson --organisation --out results
  goodfaith organisation --from results
  goodfaith organisation --from results --policy policy.toml

Scores are means drawn to those of the unit above (20 observations' worth), in 0 to 1. A unit with fewer
than 30 effective observations or 20 customers is withheld; the policy's `organisation` says how many. Its
`values` are what the firm declares, each with the evidence that shows it: open = [\"TRA.*\"]. The lottery coefficient is the share of all
difference in care that lies between units: how much depends on whom one happens to get. Scores of single
agents are data about employees, and are shown only with --agents. None of it is for targets or pay.

Of several parts of one unit and partition the last counts, on the topic as in a file; files are added up.";

/// Arguments of `organisation`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct OrganisationArgs {
    /// A replay's folder, or a file of roll-ups (plain, gzip or Zstandard), instead of a deployment's topic; several are added up
    #[arg(long, num_args = 1.., value_name = "DIR|FILE", conflicts_with_all = ["config", "set"])]
    from: Vec<PathBuf>,
    /// The policy that declares values and says what is too little to tell; without it the deployment's, or the defaults
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    deployment: DeploymentArgs,
    /// Show single agents too
    #[arg(long)]
    agents: bool,
    #[command(flatten)]
    format: FormatArg,
}

/// Prints what the roll-ups say.
pub(super) fn organisation(args: &OrganisationArgs) -> anyhow::Result<ExitCode> {
    let policy = args.policy.as_deref().map(policy::read).transpose().map_err(UsageError::from)?;
    let mut report = if args.from.is_empty() {
        let config = args.deployment.load().context("nothing to read: --from, or a deployment")?;
        let sum = published(&config)?;
        sum.read(policy.as_ref().unwrap_or(&config.policy)).context(
            "the topic holds nothing: organisation.publish = true has the service publish them",
        )?
    } else {
        let sum = stored(&args.from).map_err(UsageError::from)?;
        sum.read(&policy.unwrap_or_default()).map_err(UsageError::from)?
    };
    if !args.agents {
        report.units.retain(|reading| reading.unit.kind != UnitKind::Agent);
    }
    let mut out = io::stdout().lock();
    match args.format.format {
        Format::Json => writeln!(out, "{}", as_json(&report))?,
        Format::Text => tell(&report, &mut out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What the organisation topic of a deployment holds.
fn published(config: &Config) -> anyhow::Result<Sum> {
    let mut parts = BTreeMap::<Vec<u8>, OrganisationPart>::new();
    let mut refused = Ok(());
    kafka::read_outputs(&config.kafka, "organisation", |record| {
        let OutputRecord { partition, offset, key, value } = record;
        let key = key.unwrap_or_default();
        match value.map(wire::read_part).transpose() {
            Ok(Some((_, part))) => drop(parts.insert(key.to_vec(), part)),
            // What a reset took back.
            Ok(None) => drop(parts.remove(key)),
            Err(error) => refused = Err(error).context(format!("at {partition}/{offset}")),
        }
        if refused.is_ok() { Go::On } else { Go::Stop }
    })?;
    refused.context("the organisation topic holds what is no part of any roll-up")?;
    let mut sum = Sum::default();
    parts.into_values().try_for_each(|part| sum.add(part))?;
    Ok(sum)
}

/// What files hold.
fn stored(paths: &[PathBuf]) -> anyhow::Result<Sum> {
    let mut sum = Sum::default();
    paths.iter().try_for_each(|path| sum.add_file(path))?;
    Ok(sum)
}

/// All parts, added up.
#[derive(Default)]
struct Sum {
    units: BTreeMap<Unit, RollUp>,
    half_lives_ms: Option<[i64; 6]>,
    as_of: EventTime,
}

impl Sum {
    /// Adds the last part of each unit and partition in a file.
    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let inside = path.join(format!("{}.ndjson", FileKind::Organisation.as_str()));
        let file = if path.is_dir() { inside } else { path.to_owned() };
        let mut input = files::open(&file).with_context(|| {
            format!("cannot open {}: `goodfaith replay --organisation` writes it", file.display())
        })?;
        let mut parts = BTreeMap::<(Unit, u32), OrganisationPart>::new();
        let (mut line, mut number) = (Vec::new(), 0_u64);
        while input
            .next_line(&mut line)
            .with_context(|| format!("cannot read {}", file.display()))?
        {
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let place = || format!("{}, line {number}", file.display());
            let (partition, part) = wire::read_part(&line).with_context(place)?;
            parts.insert((part.unit.clone(), partition), part);
        }
        let mut parts = parts.into_values();
        parts.try_for_each(|part| self.add(part)).with_context(|| file.display().to_string())
    }

    fn add(&mut self, part: OrganisationPart) -> anyhow::Result<()> {
        let OrganisationPart { unit, as_of, half_lives_ms, roll_up, .. } = part;
        if *self.half_lives_ms.get_or_insert(half_lives_ms) != half_lives_ms {
            bail!(
                "the half-lives of {unit} are not those of the parts before it: replay all under one policy"
            );
        }
        self.as_of = self.as_of.max(as_of);
        self.units.entry(unit).or_default().merge(&roll_up);
        Ok(())
    }

    fn read(&self, policy: &Policy) -> anyhow::Result<Report> {
        let half_lives_ms = self.half_lives_ms.ok_or_else(|| anyhow!("there are no roll-ups"))?;
        Ok(Report::read(&self.units, self.as_of, half_lives_ms, policy))
    }
}

/// The report for people.
fn tell(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "As of {}", report.as_of)?;
    match &report.index {
        Some(index) => tell_index(index, out)?,
        None => writeln!(out, "Brand trust index: no customer has a score yet.")?,
    }
    let [unmarked, marked] = &report.groups;
    if let (Some(unmarked), Some(marked)) = (unmarked, marked) {
        writeln!(
            out,
            "  vulnerable customers: index {:.1}, {} squeezed; all others: {:.1}, {}",
            marked.index,
            percent(marked.squeezed),
            unmarked.index,
            percent(unmarked.squeezed)
        )?;
    }
    writeln!(
        out,
        "\nScores, drawn to the unit above (* withheld: too little known; - nothing judged)"
    )?;
    let names = Dimension::ALL.iter().map(|dimension| format!("{dimension:>14}"));
    writeln!(out, "  {:<28}{:>10}{}", "unit", "customers", names.collect::<String>())?;
    for reading in &report.units {
        tell_unit(reading, out)?;
    }
    writeln!(out, "\nLottery coefficient: how much care depends on whom one gets, 0 to 1")?;
    for kind in [UnitKind::Agent, UnitKind::Channel, UnitKind::Team] {
        match report.lottery(kind) {
            Some(found) => writeln!(
                out,
                "  between {:<12}{:.3}  ({} units, mean {:.3})",
                format!("{kind}s"),
                found.icc,
                found.units,
                found.mean
            )?,
            None => {
                writeln!(out, "  between {:<12}withheld: too little known", format!("{kind}s"))?
            }
        }
    }
    tell_promises(report, out)?;
    tell_values(&report.values, out)?;
    tell_money(report, out)
}

fn tell_index(index: &IndexReading, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "Brand trust index {:.1} over {} active customers, spread:",
        index.index, index.customers
    )?;
    let tenths: Vec<i64> = index.histogram.chunks(10).map(|chunk| chunk.iter().sum()).collect();
    let most = tenths.iter().copied().max().unwrap_or(1).max(1);
    for (tenth, count) in tenths.iter().enumerate() {
        let length = usize::try_from(count * 40 / most).unwrap_or_default();
        writeln!(
            out,
            "  {:>3}-{:<3} {count:>8} {}",
            tenth * 10,
            tenth * 10 + 10,
            "#".repeat(length)
        )?;
    }
    writeln!(
        out,
        "  {} depleted, {} strong, {} told honestly, {} trusting more than was earned, {} squeezed ({} badly)",
        percent(index.depleted),
        percent(index.strong),
        percent(index.told_honestly),
        percent(index.overhung),
        percent(index.squeezed),
        percent(index.squeezed_hard)
    )
}

fn tell_unit(reading: &UnitReading, out: &mut impl Write) -> io::Result<()> {
    let customers = reading.customers.map_or_else(|| "<20".to_owned(), |n| n.to_string());
    let cell = |verdict: &Verdict| match verdict {
        Verdict::Unknown => format!("{:>14}", "-"),
        Verdict::Withheld => format!("{:>14}", "*"),
        Verdict::Known { shrunk, effective_size } => {
            format!("{:>14}", format!("{shrunk:.3}/{effective_size:.0}"))
        }
    };
    let cells: String = reading.verdicts.iter().map(cell).collect();
    writeln!(out, "  {:<28}{customers:>10}{cells}", reading.unit.to_string())
}

fn tell_promises(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nPromises: kept in time, to oneself, time used (median), over-promising")?;
    for reading in report.units.iter().filter(|reading| reading.kept_rate.is_some()) {
        writeln!(
            out,
            "  {:<28}{:>8}{:>8}{:>8}{:>8}{}",
            reading.unit.to_string(),
            optional(reading.kept_rate),
            optional(reading.internal_kept_rate),
            optional(reading.median_used),
            optional(reading.over_promising),
            if reading.is_padded { "  padded: says little" } else { "" }
        )?;
    }
    Ok(())
}

fn tell_values(values: &[Value], out: &mut impl Write) -> io::Result<()> {
    if !values.is_empty() {
        writeln!(out, "\nValues as lived, and how they differ between agents")?;
    }
    for value in values {
        match value.expected {
            Some(expected) => {
                let icc = optional(value.icc);
                writeln!(out, "  {:<28}{expected:>8.3}{icc:>8}", value.name)?;
            }
            None => writeln!(out, "  {:<28} unevidenced", value.name)?,
        }
    }
    Ok(())
}

fn tell_money(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out)?;
    for (currency, minor) in &report.exposed {
        writeln!(
            out,
            "Exposed revenue: {minor} minor units of {currency} a month, of squeezed customers"
        )?;
    }
    for told in &report.told {
        writeln!(out, "Savings told of those known, {}: {}", told.currency, optional(told.share))?;
    }
    if let Some([median, ninth]) = report.remedy_minutes {
        writeln!(
            out,
            "Failures made good: half within {median} minutes, nine in ten within {ninth}"
        )?;
    }
    if report.without_room > 0 {
        writeln!(out, "{} names had no room and are counted as `other`", report.without_room)?;
    }
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn optional(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.3}"))
}

/// The report for programs.
fn as_json(report: &Report) -> Json {
    let index = |index: &IndexReading| {
        json!({
            "customers": index.customers,
            "index": index.index,
            "histogram": index.histogram.to_vec(),
            "depleted": index.depleted,
            "strong": index.strong,
            "told_honestly": index.told_honestly,
            "overhung": index.overhung,
            "squeezed": index.squeezed,
            "squeezed_hard": index.squeezed_hard,
        })
    };
    let consistency = report.consistency.iter().map(|(kind, dimension, found)| {
        json!({
            "between": kind.as_str(), "dimension": dimension.as_str(), "units": found.units,
            "mean": found.mean, "tau2": found.tau2, "icc": found.icc, "consistency": found.consistency(),
        })
    });
    let values = report.values.iter().map(|value| {
        json!({
            "name": value.name, "unevidenced": value.expected.is_none(), "expected": value.expected,
            "effective_size": value.effective_size, "icc_between_agents": value.icc,
        })
    });
    let told = report.told.iter().map(|told| {
        json!({
            "currency": told.currency.as_str(), "identified": told.savings.identified,
            "advised": told.savings.advised, "share": told.share,
        })
    });
    let exposed = report.exposed.iter().map(|(of, minor)| (of.to_string(), json!(minor)));
    json!({
        "as_of": report.as_of.to_string(),
        "index": report.index.as_ref().map(index),
        "unmarked": report.groups[0].as_ref().map(index),
        "marked": report.groups[1].as_ref().map(index),
        "units": report.units.iter().map(unit_json).collect::<Vec<_>>(),
        "consistency": consistency.collect::<Vec<_>>(),
        "values": values.collect::<Vec<_>>(),
        "savings": told.collect::<Vec<_>>(),
        "exposed_monthly_minor": exposed.collect::<serde_json::Map<_, _>>(),
        "remedy_minutes": report.remedy_minutes.map(|[p50, p90]| json!({"p50": p50, "p90": p90})),
        "without_room": report.without_room,
    })
}

fn unit_json(reading: &UnitReading) -> Json {
    let score = |(dimension, verdict): (&Dimension, &Verdict)| {
        let said = match verdict {
            Verdict::Unknown => Json::Null,
            Verdict::Withheld => json!("withheld"),
            Verdict::Known { shrunk, effective_size } => {
                json!({"score": shrunk, "effective_size": effective_size})
            }
        };
        (dimension.to_string(), said)
    };
    let scores = Dimension::ALL.iter().zip(&reading.verdicts).map(score);
    json!({
        "dimension": reading.unit.kind.as_str(),
        "unit": &*reading.unit.name,
        "parent": reading.parent.as_ref().map(Unit::to_string),
        "customers": reading.customers,
        "scores": scores.collect::<serde_json::Map<_, _>>(),
        "kept_rate": reading.kept_rate,
        "internal_kept_rate": reading.internal_kept_rate,
        "median_time_used": reading.median_used,
        "padded": reading.is_padded,
        "over_promising": reading.over_promising,
    })
}
