//! The command line.

use std::num::NonZeroUsize;

use clap::{Parser, Subcommand, ValueEnum};

use crate::systems::{ALL, System};

/// Measures goodfaith beside other stream processors, on the broker that KAFKA_BOOTSTRAP names.
#[derive(Debug, Parser)]
#[command(after_long_help = "\
Examples:
  make bench
      All parts at the default size, five rounds.
  make bench BENCH='--only compare --events 20000000 --limit 900'
      The comparison at full size.
  make bench BENCH='--only latency --snapshots --customers 1000000 --primed 2000000'
      What snapshots do to latency.
  make bench BENCH='--only restart --large --rounds 3'
      Back after a kill with a million customers, and with ten.
  make bench BENCH='--events 100000 --customers 10000 --rounds 1 --dry'
      A trial: a minute or two, and the documentation stays as it is.")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// What to measure; if not said, all but crash and restart
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Part>,
    /// Systems, by the names the table shows; if not said, all are compared, and goodfaith is timed under load
    #[arg(long, value_delimiter = ',', value_parser = system)]
    pub(crate) systems: Vec<System>,
    /// Events stored for a comparison; a case of scaling has half of it
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) events: u64,
    /// Customers they are about
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) customers: u64,
    /// Exponent of Zipf's law, by which customers are drawn
    #[arg(long, default_value_t = 0.99)]
    pub(crate) zipf: f64,
    /// Draws the events
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Partitions of the topic
    #[arg(long, default_value_t = 8)]
    pub(crate) partitions: i32,
    /// How often every system runs, in turn
    #[arg(long, default_value = "5")]
    pub(crate) rounds: NonZeroUsize,
    /// Worker threads of goodfaith
    #[arg(long, default_value_t = 2)]
    pub(crate) workers: usize,
    /// Threads of each peer
    #[arg(long, default_value_t = 2)]
    pub(crate) peer_threads: usize,
    /// Commit or checkpoint interval of every system, milliseconds
    #[arg(long, default_value_t = 100)]
    pub(crate) commit_ms: u32,
    /// Memory each peer may use
    #[arg(long, default_value_t = 6144)]
    pub(crate) memory_mib: u32,
    /// Seconds a run may take; a system that needs more has no figure, and does not run again
    #[arg(long, default_value_t = 180)]
    pub(crate) limit: u64,
    /// Loads of the open loop: commit interval in milliseconds, a colon, events a second
    #[arg(long, value_delimiter = ',', value_parser = load, default_value = "100:100000,10:50000")]
    pub(crate) loads: Vec<(u32, f64)>,
    /// Seconds counted of each run under load
    #[arg(long, default_value_t = 10)]
    pub(crate) load_seconds: u64,
    /// Seconds of it before, not counted: a broker and a group that have just begun fall behind, and need time to catch up on full cores
    #[arg(long, default_value_t = 30)]
    pub(crate) warm_seconds: u64,
    /// Records handled before an open loop begins
    #[arg(long, default_value_t = 1_000)]
    pub(crate) primed: usize,
    /// In an open loop, time goodfaith without snapshots, with the usual ones, and with one being written all the time
    #[arg(long)]
    pub(crate) snapshots: bool,
    /// Events of each customer before a restart
    #[arg(long, default_value_t = 5)]
    pub(crate) each: u64,
    /// session.timeout.ms of the process that is killed before a restart
    #[arg(long, default_value_t = 45_000)]
    pub(crate) session_ms: u32,
    /// A case of scaling or restart with ten million customers, which takes minutes and memory
    #[arg(long)]
    pub(crate) large: bool,
    /// Leave the documentation as it is
    #[arg(long)]
    pub(crate) dry: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// What the harness starts of itself.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Role {
    /// Read a topic and do nothing with it
    #[command(hide = true)]
    Drain { bootstrap: String, topic: String, partitions: i32 },
    /// Work through a topic held in memory
    #[command(hide = true)]
    Alone { bootstrap: String, topic: String, partitions: i32 },
}

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// All systems on one topic
    Compare,
    /// In an open loop
    Latency,
    /// goodfaith alone on other topics
    Scaling,
    /// How soon goodfaith polls, and what it takes while nothing comes
    Start,
    /// How soon goodfaith is back after a kill -9
    Restart,
    /// No figure: whether what is published is right after a kill -9 in the middle
    Crash,
}

fn system(name: &str) -> Result<System, String> {
    System::named(name)
        .ok_or_else(|| format!("one of {}", ALL.map(|system| system.to_string()).join(", ")))
}

fn load(text: &str) -> Result<(u32, f64), String> {
    let parts = text.split_once(':').and_then(|(interval, rate)| {
        Some((interval.parse().ok()?, rate.parse().ok().filter(|rate| 0.0 < *rate)?))
    });
    parts.ok_or_else(|| "not MILLISECONDS:EVENTS, for instance 100:100000".to_owned())
}

impl Args {
    /// Is this part to be measured?
    pub(crate) fn asks_for(&self, part: Part) -> bool {
        self.only.contains(&part)
            || self.only.is_empty() && !matches!(part, Part::Crash | Part::Restart)
    }
}
