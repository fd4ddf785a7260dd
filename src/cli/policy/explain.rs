//! `goodfaith policy explain`: what parameters mean, in words.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::read;
use crate::cli::{Format, FormatArg, UsageError};
use crate::model::Policy;
use crate::model::nearest::hint;
use crate::model::policy::Entry;

const EXAMPLES: &str = "\
Examples:
  goodfaith policy explain                              every parameter, with its default
  goodfaith policy explain squeeze.S01                  those of legacy overpricing
  goodfaith policy explain bands --policy mine.toml     as a policy file sets them";

/// Arguments of `policy explain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// A parameter, or a section: all that begin so
    key: Option<String>,
    /// The policy to take values from; the defaults without
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    format: FormatArg,
}

/// One parameter, for programs.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    key: &'a str,
    value: &'a str,
    words: &'a str,
    range: Option<String>,
    /// A change of it takes a replay from the log.
    needs_replay: bool,
}

impl<'a> From<&'a Entry> for Explained<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { key, value, words, range, is_stored } = entry;
        let range = range.map(|range| range.to_string());
        Self { key, value, words, range, needs_replay: *is_stored }
    }
}

/// Says what parameters mean.
pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let policy = match &args.policy {
        Some(path) => read(path)?,
        None => Policy::default(),
    };
    let entries = policy.entries();
    let asked = asked(&entries, args.key.as_deref())?;
    match args.format.format {
        Format::Json => {
            let explained: Vec<Explained<'_>> = asked.into_iter().map(Explained::from).collect();
            writeln!(io::stdout(), "{}", serde_json::to_string(&explained)?)?;
        }
        Format::Text => {
            for entry in asked {
                writeln!(io::stdout(), "{}", in_words(entry))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn asked<'a>(entries: &'a [Entry], key: Option<&str>) -> anyhow::Result<Vec<&'a Entry>> {
    let Some(key) = key else { return Ok(entries.iter().collect()) };
    let is_asked = |entry: &&Entry| {
        entry.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let asked: Vec<&Entry> = entries.iter().filter(is_asked).collect();
    if asked.is_empty() {
        let mut names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        names.extend(entries.iter().filter_map(|entry| Some(entry.key.rsplit_once('.')?.0)));
        let error = anyhow::anyhow!("`{key}` is no parameter; {}", hint(key, &names));
        return Err(UsageError::new(error).into());
    }
    Ok(asked)
}

fn in_words(entry: &Entry) -> String {
    let Entry { key, value, words, range, is_stored } = entry;
    let value = if value.is_empty() { "not set" } else { value };
    let range = range.map(|range| format!(" It is {range}.")).unwrap_or_default();
    let stored =
        if *is_stored { " Part of the stored masses: a change takes a replay." } else { "" };
    format!("{key} = {value}\n    {words}{range}{stored}")
}
