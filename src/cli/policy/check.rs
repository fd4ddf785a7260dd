//! `goodfaith policy check`: is a policy file right, what does it change, and do its cases hold?

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::civil::Date;
use serde::Serialize;

use super::{read_document, refused};
use crate::cli::{EXIT_FAILED, Format, FormatArg};
use crate::kafka::wall_ms;
use crate::model::policy::profiles;
use crate::model::{EventTime, Policy};
use crate::replay::{Case, Mismatch, read_cases};
use crate::wire::policy_fingerprint;

const EXAMPLES: &str = "\
Examples:
  goodfaith policy check deploy/policies/telecom.toml
  goodfaith policy check mine.toml --at 2026-01-01      which of its profiles' rules are in force then

A policy file states what differs from the defaults; `goodfaith policy explain` tells them all. Cases stand beside the rules:

  [[case]]
  name = \"a bill above its plan is a squeeze\"
  reference = '''…'''         plans and list prices, as NDJSON; or reference_file = \"plans.ndjson\"
  events = '''…'''            events, as NDJSON; or events_file = \"events.ndjson\"
  until = \"2025-06-01\"        how far the clock runs after them
  alerts = [{ type = \"S01\", subject = \"old\", state = \"open\" }]     every squeeze said, by its last word
  score = 0.48                the customer's score, tolerance = 0.005

Exit codes: 0 all holds, 1 a case does not, 2 the file is no policy.";

/// Arguments of `policy check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// The policy: TOML, or JSON if it is named so
    file: PathBuf,
    /// The day to show its profiles on; today without
    #[arg(long, value_name = "DATE")]
    at: Option<Date>,
    #[command(flatten)]
    format: FormatArg,
}

/// What is said of a policy.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    version: String,
    /// Of every parameter: two policies of one hash score alike. 16 hex digits.
    hash: String,
    differences: Vec<Changed>,
    profiles: Vec<Rested>,
    cases: Vec<Tried>,
}

/// A parameter that differs from its default.
#[derive(Debug, Serialize)]
struct Changed {
    key: String,
    value: String,
    default: String,
    words: String,
}

/// A profile the policy rests on.
#[derive(Debug, Serialize)]
struct Rested {
    id: String,
    name: String,
    asks: String,
    status: String,
    source: String,
    verified_on: String,
    sets: Vec<Setting>,
}

/// One number a profile sets.
#[derive(Debug, Serialize)]
struct Setting {
    key: String,
    value: f64,
    from: Option<String>,
    until: Option<String>,
    /// On the day asked about.
    is_in_force: bool,
    /// On the day the policy takes effect; so it is part of it, unless it states the parameter itself.
    is_taken: bool,
}

/// A case that was run.
#[derive(Debug, Serialize)]
struct Tried {
    name: String,
    line: usize,
    /// `file:line: expected … found …`; none if it passes.
    failures: Vec<String>,
}

/// Checks a policy file.
pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let path = &args.file;
    let document = read_document(path)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let policy = Policy::from_document(&document).map_err(|error| refused(path, &error))?;
    let cases = read_cases(&document, folder).map_err(|error| refused(path, &error))?;
    let policy = Arc::new(policy);
    let at = args.at.unwrap_or_else(today);
    let report = Report {
        file: path.display().to_string(),
        version: policy.version.to_string(),
        hash: format!("{:016x}", policy_fingerprint(&policy)),
        differences: changed(&policy),
        profiles: rested(&policy, at),
        cases: cases.iter().map(|case| tried(case, &policy, path)).collect(),
    };
    let out = match args.format.format {
        Format::Text => in_words(&report, at),
        Format::Json => serde_json::to_string(&report)? + "\n",
    };
    io::stdout().write_all(out.as_bytes())?;
    let has_failed = report.cases.iter().any(|case| !case.failures.is_empty());
    Ok(if has_failed { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}

/// The one use of a clock: which day to show. What a policy sets depends on its own `effective` day alone.
fn today() -> Date {
    EventTime::from_millis(wall_ms()).date()
}

fn changed(policy: &Policy) -> Vec<Changed> {
    let differences = policy.differences(&Policy::default()).into_iter();
    let differences = differences.filter(|difference| {
        !["version", "profiles", "effective"].contains(&difference.entry.key.as_str())
    });
    let changed = differences.map(|difference| Changed {
        key: difference.entry.key,
        value: difference.entry.value,
        default: difference.other,
        words: difference.entry.words,
    });
    changed.collect()
}

fn rested(policy: &Policy, at: Date) -> Vec<Rested> {
    let effective = policy.effective;
    let named = profiles().into_iter().filter(|profile| policy.profiles.contains(&profile.id));
    let rested = named.map(|profile| {
        let sets = profile.sets.iter().flat_map(|set| {
            set.numbers.iter().map(move |(key, value)| Setting {
                key: key.to_string(),
                value: *value,
                from: set.from.map(|day| day.to_string()),
                until: set.until.map(|day| day.to_string()),
                is_in_force: set.is_in_force(at),
                is_taken: effective.is_some_and(|day| set.is_in_force(day)),
            })
        });
        Rested {
            sets: sets.collect(),
            id: profile.id.into(),
            name: profile.name.into(),
            asks: profile.asks.into(),
            status: profile.status.into(),
            source: profile.source.into(),
            verified_on: profile.verified_on.to_string(),
        }
    });
    rested.collect()
}

fn tried(case: &Case, policy: &Arc<Policy>, path: &Path) -> Tried {
    let failure = |mismatch: Mismatch| {
        let file =
            if mismatch.file.is_empty() { path.display().to_string() } else { mismatch.file };
        format!("{file}:{}: case \"{}\": {}", mismatch.line, case.name, mismatch.problem)
    };
    Tried {
        name: case.name.clone(),
        line: case.place.line,
        failures: case.run(policy).into_iter().map(failure).collect(),
    }
}

fn in_words(report: &Report, at: Date) -> String {
    let mut out = String::new();
    let Report { file, version, hash, differences, profiles, cases } = report;
    let mut say = |line: String| writeln!(out, "{line}").expect("a text takes every line");
    say(format!("{file}: version {version}, hash {hash}"));
    match differences.len() {
        0 => say("\nNothing differs from the defaults.".to_owned()),
        n => say(format!("\n{n} differ from the defaults:")),
    }
    for Changed { key, value, default, words } in differences {
        let [value, default] =
            [value, default].map(|text| if text.is_empty() { "not set" } else { text });
        say(format!("  {key} = {value} (default: {default})\n      {words}"));
    }
    for Rested { id, name, asks, status, source, verified_on, sets } in profiles {
        say(format!("\nProfile {id}, {name}: {status}\n  asks: {asks}"));
        say(format!(
            "  source: {source}, as known on {verified_on}; read the primary text before a claim of law"
        ));
        for set in sets {
            let since = set.from.as_ref().map(|day| format!(" from {day}")).unwrap_or_default();
            let until = set.until.as_ref().map(|day| format!(" until {day}")).unwrap_or_default();
            let force = if set.is_in_force { "in force" } else { "not in force" };
            let taken =
                if set.is_taken { "part of this policy" } else { "not part of this policy" };
            say(format!(
                "  sets {} = {}{since}{until}: {force} on {at}, {taken}",
                set.key, set.value
            ));
        }
    }
    let failures: Vec<&String> = cases.iter().flat_map(|case| &case.failures).collect();
    let held = cases.iter().filter(|case| case.failures.is_empty()).count();
    match cases.len() {
        0 => say("\nIt has no cases.".to_owned()),
        n => say(format!("\n{held} of {n} cases hold.")),
    }
    for failure in failures {
        say(failure.clone());
    }
    out
}
