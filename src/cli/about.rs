//! `goodfaith version` and `goodfaith completions`: what the program says about itself.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde::Serialize;

use super::{Cli, Format, FormatArg};
use crate::engine::ENGINE;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: goodfaith completions bash > ~/.local/share/bash-completion/completions/goodfaith"
)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Writes the completion script of a shell.
pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics when what it writes to goes away, as `| head` does.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "goodfaith", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Arguments of `version`.
#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    #[command(flatten)]
    format: FormatArg,
}

/// What `version` says.
#[derive(Debug, Serialize)]
struct Version {
    /// Of the program.
    version: &'static str,
    /// Changes only when the bytes of some output change: instances that share a group must agree on it.
    engine: u32,
}

/// Says which version this is.
pub(super) fn version(args: &VersionArgs) -> anyhow::Result<ExitCode> {
    let version = Version { version: env!("CARGO_PKG_VERSION"), engine: ENGINE };
    let text = match args.format.format {
        Format::Text => format!("goodfaith {} (engine {})", version.version, version.engine),
        Format::Json => serde_json::to_string(&version)?,
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}
