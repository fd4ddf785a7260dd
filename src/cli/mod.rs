//! The command line: one file a verb, each an `Args` struct and a `run` function. Data goes to stdout, words to stderr, and what
//! went wrong becomes an exit code here and nowhere else. Nothing here knows about trust.

mod about;
mod command;
mod demo;
mod deployment;
mod dlq;
mod drain;
mod erase;
mod explain;
mod fetch;
mod generate;
mod ingest;
mod organisation;
mod plant_check;
mod policy;
mod replay;
mod reset;
mod resume;
mod retract;
mod run;
mod snapshot;
mod suppress;

use std::error::Error as StdError;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// How a command went that ended by itself.
const EXIT_FAILED: u8 = 1;
/// What was asked cannot be done as asked: the arguments, or a file they name, are wrong.
const EXIT_USAGE: u8 = 2;

const NOTES: &str = "\
Exit codes: 0 fine, 1 something failed or was found, 2 the arguments or a file they name are wrong.
Data goes to stdout, words to stderr. NO_COLOR=1 turns colour off.";

/// Scores firms, not customers: interaction events in, trust scores and squeeze alerts out.
#[derive(Debug, Parser)]
#[command(name = "goodfaith", version, propagate_version = true, after_help = NOTES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the whole system at work: no broker, no configuration
    Demo(demo::DemoArgs),
    /// Score events from Kafka as they come: the service
    Run(run::RunArgs),
    /// Let stopped partitions go on
    Resume(resume::ResumeArgs),
    /// Have every instance commit and leave, before a version with another engine
    Drain(drain::DrainArgs),
    /// Run the engine over history in files
    Replay(replay::ReplayArgs),
    /// Say why a customer's score is what it is, and verify it
    Explain(explain::ExplainArgs),
    /// Take one evidence about a customer back
    Retract(retract::RetractArgs),
    /// Mute a squeeze's alerts for a time, saying who and why
    Suppress(suppress::SuppressArgs),
    /// Have all that is known of a customer forgotten
    Erase(erase::EraseArgs),
    /// List, show and retry dead letters: records that could not be used
    Dlq(dlq::DlqArgs),
    /// Throw away what was derived from the events log, to score it anew: a plan, unless --execute is given
    Reset(reset::ResetArgs),
    /// Check, explain, describe and publish policies
    Policy(policy::PolicyArgs),
    /// Say how an organisation treats its customers: by unit, and how it differs
    Organisation(organisation::OrganisationArgs),
    /// List, verify and show the snapshots that a restart begins with
    Snapshot(snapshot::SnapshotArgs),
    /// Turn rows of another system's files into events
    Ingest(ingest::IngestArgs),
    /// Write the events of a simulated telecom to a file
    Gen(generate::GenArgs),
    /// Compare the squeezes that `gen --plant` planted with those a replay found
    PlantCheck(plant_check::PlantCheckArgs),
    /// Write a completion script for a shell to stdout
    Completions(about::CompletionsArgs),
    /// Say which version this is, and of which engine
    Version(about::VersionArgs),
}

impl Verb {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(args) => demo::demo(&args),
            Self::Run(args) => run::run(&args),
            Self::Resume(args) => resume::resume(&args),
            Self::Drain(args) => drain::drain(&args),
            Self::Replay(args) => replay::replay(&args),
            Self::Explain(args) => explain::run(&args),
            Self::Retract(args) => retract::run(&args),
            Self::Suppress(args) => suppress::run(&args),
            Self::Erase(args) => erase::run(&args),
            Self::Dlq(args) => dlq::run(&args),
            Self::Reset(args) => reset::run(&args),
            Self::Policy(args) => policy::run(&args),
            Self::Organisation(args) => organisation::organisation(&args),
            Self::Snapshot(args) => snapshot::run(&args),
            Self::Ingest(args) => ingest::run(&args),
            Self::Gen(args) => generate::generate(&args),
            Self::PlantCheck(args) => plant_check::check(&args),
            Self::Completions(args) => about::completions(&args),
            Self::Version(args) => about::version(&args),
        }
    }
}

/// How data is written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON value.
    Json,
}

/// The flag that chooses a [`Format`].
#[derive(Debug, Clone, Copy, Args)]
pub struct FormatArg {
    /// How to write data to stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
}

/// An error of the caller's making: wrong arguments, or a file they name. The program ends with 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct UsageError(#[from] anyhow::Error);

impl UsageError {
    /// Marks `error` as the caller's.
    pub fn new(error: impl Into<anyhow::Error>) -> Self {
        Self(error.into())
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Cli::parse().verb.run() {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            let is_usage = error.downcast_ref::<UsageError>().is_some();
            ExitCode::from(if is_usage { EXIT_USAGE } else { EXIT_FAILED })
        }
    }
}

/// Whoever read our stdout has read enough, as in `goodfaith replay … | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Says once what went wrong, the outermost cause first. There is nowhere to say that stderr is gone.
fn report(error: &anyhow::Error) {
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    writeln!(anstream::stderr(), "{red}error:{red:#} {}", chain_text(error.as_ref())).ok();
}

/// An error and its causes, one a line. A cause whose words the line before already ends with is not repeated.
fn chain_text(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str("\n  because ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_error_is_told_as_a_chain_without_repetition() {
        let error = anyhow::anyhow!("no such file")
            .context("cannot read a.toml: no such file")
            .context("cannot start");
        assert_eq!(
            chain_text(error.as_ref()),
            "cannot start\n  because cannot read a.toml: no such file"
        );
    }

    #[test]
    fn a_usage_error_is_recognised_under_added_context() {
        let error = anyhow::Error::from(UsageError::new(anyhow::anyhow!("no line 3")))
            .context("cannot start");
        assert!(error.downcast_ref::<UsageError>().is_some());
        assert_eq!(chain_text(error.as_ref()), "cannot start\n  because no line 3");
    }
}
