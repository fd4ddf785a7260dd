//! How fast the service takes in what waits for it: generated events are stored in a real Apache Kafka, then `goodfaith run` starts as a
//! process of its own and is measured until its group has committed all of them. Run by `make bench`.
//!
//! It compares with nothing yet, and measures no latency. That the outputs are right is what `tests/broker` shows.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a harness fails by panicking, and tells what it measured"
)]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
mod support;

use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Parser;
use support::{Deployment, Line, now, simulated};

const PATIENCE: Duration = Duration::from_secs(3600);
/// Clock ticks a second in `/proc`: `getconf CLK_TCK`, 100 on every Linux.
const TICKS: f64 = 100.0;

/// Measures `goodfaith run` on the broker that KAFKA_BOOTSTRAP names.
#[derive(Debug, Parser)]
struct Args {
    /// Events stored before the service starts
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Customers at one time
    #[arg(long, default_value = "50000")]
    customers: NonZeroU32,
    /// Worker threads
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Repetitions, each with topics of its own
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one run took.
struct Run {
    seconds: f64,
    cpu_seconds: f64,
    resident_kib: f64,
}

fn main() {
    let args = Args::parse();
    let input = simulated(1, args.customers, args.events);
    let records = input.iter().filter(|line| matches!(line, Line::Customer { .. })).count();
    println!("{records} events of {} customers, {} worker(s)", args.customers, args.workers);
    let runs: Vec<Run> = (0..args.runs).map(|_| measure(&args, &input)).collect();
    let events = records as f64;
    print("seconds by the clock, from the start of the process", &runs, |run| run.seconds);
    print("events a second", &runs, |run| events / run.seconds);
    print("processor seconds of the process", &runs, |run| run.cpu_seconds);
    print("events for each of them", &runs, |run| events / run.cpu_seconds);
    print("memory resident at most, KiB", &runs, |run| run.resident_kib);
}

fn measure(args: &Args, input: &[Line]) -> Run {
    let mut deployment = Deployment::new("bench");
    deployment.settings.workers = args.workers;
    deployment.produce(input);
    let start = now();
    let mut process = deployment.spawn(&[
        "audit.evidence=false",
        "organisation.publish=false",
        "kafka.encoding=protobuf",
    ]);
    deployment.wait_handled(PATIENCE);
    let seconds = start.elapsed().as_secs_f64();
    let folder = format!("/proc/{}", process.id());
    let stat = fs::read_to_string(format!("{folder}/stat")).unwrap();
    let status = fs::read_to_string(format!("{folder}/status")).unwrap();
    assert_eq!(process.end("TERM").code(), Some(0));
    Run { seconds, cpu_seconds: cpu_seconds(&stat), resident_kib: resident_kib(&status) }
}

/// User and system time: fields 14 and 15 of proc_pid_stat(5), the second of which may hold spaces in its parentheses.
fn cpu_seconds(stat: &str) -> f64 {
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

fn resident_kib(status: &str) -> f64 {
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Median, least and most of a figure over the runs.
fn print(what: &str, runs: &[Run], figure: impl Fn(&Run) -> f64) {
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    let (least, median) = (figures[0], figures[figures.len() / 2]);
    println!("{what}: {median:.1} ({least:.1} to {:.1})", figures[figures.len() - 1]);
}
