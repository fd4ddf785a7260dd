//! What it takes to start goodfaith where there is nothing to do: how soon it has polled for the first time and is ready, and what it takes while
//! nothing comes.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::clock;
use crate::process::Process;
use crate::systems::{Launch, System};
use crate::web::Web;

/// How long starting may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing comes before memory is looked at.
const IDLE: Duration = Duration::from_secs(10);

/// What one start showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// From the start of the process until every worker has polled.
    pub(crate) polled_seconds: f64,
    /// Until it is ready: a member of the group, and every partition served.
    pub(crate) ready_seconds: f64,
    /// After a while without a record.
    pub(crate) resident_mib: f64,
    /// Of a processor, in all by then.
    pub(crate) cpu_seconds: f64,
}

/// Starts goodfaith `rounds` times on topics that are there, without a record.
///
/// # Errors
/// Why there is no figure.
pub(crate) fn run(launch: &Launch<'_>, rounds: usize) -> Result<Vec<Start>, String> {
    let (broker, input) = (launch.broker, launch.input());
    broker.create(&input, launch.partitions);
    // The first one makes the other topics, and is not counted.
    let starts = (0..=rounds).map(|_| start(launch)).collect::<Result<Vec<_>, _>>();
    broker.remove(|topic| launch.made(topic) || topic == input);
    starts.map(|starts| starts[1..].to_vec())
}

fn start(launch: &Launch<'_>) -> Result<Start, String> {
    let web = Web::free();
    let mut command = System::Goodfaith { is_exactly_once: true }.command(launch);
    command.args(["--set", &web.setting()]).stdout(Stdio::null());
    let begun = clock::now();
    let mut process = Process::start(&mut command)?;
    let polled_seconds = seconds_until(&web, "/startupz", begun)?;
    let ready_seconds = seconds_until(&web, "/readyz", begun)?;
    thread::sleep(IDLE);
    let usage = process.usage();
    process.stop()?;
    let (resident_mib, cpu_seconds) = (usage.resident_kib / 1024.0, usage.cpu_seconds);
    Ok(Start { polled_seconds, ready_seconds, resident_mib, cpu_seconds })
}

/// Waits until `path` passes; how long after `begun` that is.
fn seconds_until(web: &Web, path: &str, begun: Instant) -> Result<f64, String> {
    if clock::wait_until(PATIENCE, || web.passes(path)) {
        Ok(begun.elapsed().as_secs_f64())
    } else {
        Err(format!("{path} does not pass within {PATIENCE:?}"))
    }
}
