//! `goodfaith demo`: a first look, with nothing to install or configure.

use std::num::NonZeroU32;
use std::process::ExitCode;

use clap::Args;
use clap::builder::ArgPredicate;

use crate::config::{LogFormat, LogSettings};
use crate::demo::Demo;
use crate::generate::Settings;
use crate::telemetry;

const EXAMPLES: &str = "\
Examples:
  goodfaith demo
      Two simulated days a second, until Ctrl-C.
  goodfaith demo --events 50000
      As fast as it goes, then a summary.
  goodfaith demo --seed 7 --customers 200 --speed 5
      Another telecom, five days a second.

It needs no broker and keeps nothing. What it tells is read from the output topics, as any other reader could.";

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DemoArgs {
    /// End after this many events, with a summary
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Gives every draw of chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Customers at one time
    #[arg(long, value_name = "N", default_value = "1000")]
    customers: NonZeroU32,
    /// Simulated days a second; 0 is as fast as it goes, the default with --events
    #[arg(long, value_name = "DAYS", default_value = "2", value_parser = speed, default_value_if("events", ArgPredicate::IsPresent, "0"))]
    speed: f64,
}

fn speed(text: &str) -> Result<f64, &'static str> {
    let days: f64 = text.parse().map_err(|_error| "not a number")?;
    if 0.0 <= days && days <= 1e6 { Ok(days) } else { Err("not from 0 to 1000000") }
}

/// Shows the whole system at work.
pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    // Only what somebody must act on: the account is what is to be read.
    telemetry::start_logging(&LogSettings { format: LogFormat::Text, filter: "error".to_owned() })?;
    let simulation = Settings { seed: args.seed, customers: args.customers, ..Settings::default() };
    let demo = Demo { simulation, events: args.events, days_a_second: args.speed };
    demo.run(&mut anstream::AutoStream::auto(std::io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}
