//! `goodfaith run`: the service, against Kafka.

use std::collections::BTreeMap;
use std::future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use super::{Format, FormatArg, UsageError};
use crate::app::{self, App};
use crate::config::Config;
use crate::kafka::Scoring;
use crate::snapshot::{SnapshotSettings, Snapshots, Store};
use crate::telemetry;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  goodfaith run --config goodfaith.toml --check
      Validate the configuration and print every setting in force, secrets masked.
  goodfaith run --config goodfaith.toml
      Score until SIGTERM or Ctrl-C; both commit what is under way and leave the group.
  GOODFAITH__KAFKA__WORKERS=4 goodfaith run --config goodfaith.toml
      Any setting can come from the environment: GOODFAITH__<SECTION>__<KEY>, over the file.
  goodfaith run --set kafka.bootstrap_servers=127.0.0.1:9092 --set kafka.create_topics=true
      Flags go over both; without --config, the rest has its defaults.

While it runs: curl http://127.0.0.1:9464/readyz?verbose, /metrics and /v1/customers/<id>.")]
pub(super) struct RunArgs {
    /// The configuration, in TOML; deploy/goodfaith.toml names every setting
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting over file and environment; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Only validate, and print the settings in force
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    format: FormatArg,
}

/// Runs the service, or checks what it would be run with.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let config =
        Config::load(args.config.as_deref(), &environment(), &args.set).map_err(UsageError::new)?;
    if args.check {
        print_settings(&config, args.format.format)?;
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::start_logging(&config.log)?;
    let listener = app::listen(config.listen)?;
    let scoring = Scoring { policy: config.policy, audit: config.audit, roll_ups: config.roll_ups };
    let snapshots = config.snapshot.map(|settings| open(&settings)).transpose()?;
    let kafka = config.kafka;
    App { kafka, scoring, snapshots, listener, observers: vec![] }.run(future::pending())?;
    Ok(ExitCode::SUCCESS)
}

fn open(settings: &SnapshotSettings) -> anyhow::Result<Snapshots> {
    let store = Store::open(&settings.location, &environment())
        .context("set snapshot.url to another place, or snapshot.enabled = false")?;
    Ok(Snapshots { store: Arc::new(store), interval: settings.interval })
}

fn print_settings(config: &Config, format: Format) -> io::Result<()> {
    match format {
        Format::Text => write!(io::stdout(), "{}", config.to_toml()),
        Format::Json => writeln!(io::stdout(), "{}", config.to_json()),
    }
}

/// The environment, as far as it is text: no setting is anything else.
pub(super) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
