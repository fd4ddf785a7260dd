//! Back after a kill: goodfaith builds the state of many customers, is killed while events go on to arrive, and is started again at once with the
//! same arguments. How long until it is ready, and until every partition has committed something new.
//!
//! What is published meanwhile is not looked at here: `crash` and the fault tests do.

use std::fmt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use goodfaith::snapshot::{Folder, Location, Store};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::broker::{Broker, Follower, send};
use crate::clock;
use crate::process::{Process, Usage};
use crate::systems::{Launch, System};
use crate::web::Web;
use crate::workload::Workload;

/// How long a state may take to be built and written.
const BUILDING: Duration = Duration::from_secs(3_600);
/// How long coming back may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often each partition is written: soon enough that a kill finds few records behind the snapshot.
const INTERVAL: &str = "20s";

/// How the process belongs to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// The new process takes the place of the dead one.
    Static,
    /// The group waits for the dead one until its session times out.
    Dynamic,
}

impl Member {
    pub(crate) const ALL: [Self; 2] = [Self::Static, Self::Dynamic];
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Dynamic => "dynamic",
        })
    }
}

/// What coming back once showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Return {
    pub(crate) member: Member,
    /// From the kill to the first `/readyz` that passes.
    pub(crate) ready_seconds: f64,
    /// From the kill until every partition has committed an offset that was not committed before it.
    pub(crate) committed_seconds: f64,
    /// Reading snapshots, all partitions added up; some are read at the same time.
    pub(crate) load_seconds: f64,
    pub(crate) load_bytes: f64,
    /// What the new process had used when it was ready.
    pub(crate) usage: Usage,
}

/// What is handled before, and what arrives meanwhile.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) workload: Workload,
    /// So many of its records come first.
    pub(crate) preloaded: u64,
    /// The rest arrive so fast.
    pub(crate) events_per_second: f64,
    /// How long the group waits for a member that died.
    pub(crate) session_ms: u32,
}

/// One deployment that is killed again and again.
struct Restarts<'a> {
    launch: Launch<'a>,
    session_ms: u32,
    web: Web,
    follower: Follower,
}

/// Kills and restarts goodfaith `rounds` times as each kind of member.
///
/// # Errors
/// Why there is no figure.
pub(crate) fn run(launch: Launch<'_>, load: Load, rounds: usize) -> Result<Vec<Return>, String> {
    let Load { mut workload, preloaded, events_per_second, session_ms } = load;
    let (broker, input) = (launch.broker, launch.input());
    broker.create(&input, launch.partitions);
    eprintln!("Storing {preloaded} records.");
    broker.fill(&input, workload.by_ref().take(usize::try_from(preloaded).unwrap()));
    let follower = broker.follow(&launch.group, &input, launch.partitions);
    let web = Web::free();
    let restarts = Restarts { launch, session_ms, web, follower };
    let is_over = AtomicBool::new(false);
    let returns = thread::scope(|scope| {
        let returns = restarts.build(preloaded).and_then(|first| {
            scope.spawn(|| trickle(broker, &input, workload, events_per_second, &is_over));
            restarts.all(first, rounds)
        });
        is_over.store(true, Ordering::Relaxed);
        returns
    });
    broker.remove(|topic| restarts.launch.made(topic) || topic == input);
    returns
}

impl Restarts<'_> {
    /// Starts goodfaith, and waits until all that is stored is handled and written.
    fn build(&self, preloaded: u64) -> Result<Process, String> {
        let process = self.start(Member::ALL[0])?;
        let ends = self.launch.broker.ends(&self.launch.input(), self.launch.partitions);
        let is_done = || self.follower.done().is_some_and(|done| preloaded <= done);
        if !clock::wait_until(BUILDING, is_done) {
            return Err(format!("{preloaded} records were not handled within {BUILDING:?}"));
        }
        eprintln!("All are handled; waiting for snapshots.");
        let location = Location::Folder(self.launch.state.clone());
        let store = Store::open(&location, &std::iter::empty().collect()).unwrap();
        if clock::wait_until(BUILDING, || are_saved(&store, &ends)) {
            Ok(process)
        } else {
            Err(format!("not every partition had a snapshot within {BUILDING:?}"))
        }
    }

    fn all(&self, first: Process, rounds: usize) -> Result<Vec<Return>, String> {
        let (mut running, mut returns) = (first, Vec::new());
        for member in Member::ALL {
            // Whoever is killed must be of the same kind: it is what the group remembers.
            running = self.replace(running, member)?;
            for round in 1..=rounds {
                let (back, returned) = self.come_back(running, member)?;
                eprintln!("round {round}: {member}: ready after {:.1} s", returned.ready_seconds);
                running = back;
                returns.push(returned);
            }
        }
        running.stop()?;
        Ok(returns)
    }

    /// Ends the process in good order, and starts one as `member` that is ready.
    fn replace(&self, mut process: Process, member: Member) -> Result<Process, String> {
        process.stop()?;
        let process = self.start(member)?;
        if !clock::wait_until(PATIENCE, || self.web.passes("/readyz")) {
            return Err(format!("was not ready within {PATIENCE:?}"));
        }
        self.moves_on(&self.offsets()?)?;
        Ok(process)
    }

    /// Kills the process and starts it again.
    fn come_back(&self, process: Process, member: Member) -> Result<(Process, Return), String> {
        let killed = clock::now();
        drop(process);
        let process = self.start(member)?;
        let before = self.offsets()?;
        if !clock::wait_until(PATIENCE, || self.web.passes("/readyz")) {
            return Err(format!("was not ready within {PATIENCE:?}"));
        }
        let (ready_seconds, usage) = (killed.elapsed().as_secs_f64(), process.usage());
        self.moves_on(&before)?;
        let committed_seconds = killed.elapsed().as_secs_f64();
        let metrics = self.web.get("/metrics").map_err(|error| format!("/metrics: {error}"))?;
        let returned = Return {
            member,
            ready_seconds,
            committed_seconds,
            load_seconds: metric(&metrics, "goodfaith_snapshot_load_duration_seconds_sum"),
            load_bytes: metric(&metrics, "goodfaith_snapshot_bytes_read_total"),
            usage,
        };
        Ok((process, returned))
    }

    fn start(&self, member: Member) -> Result<Process, String> {
        let mut command: Command =
            System::Goodfaith { is_exactly_once: true }.command(&self.launch);
        let mut set = |setting: String| {
            command.args(["--set", &setting]);
        };
        set(format!("snapshot.interval={INTERVAL}"));
        set(self.web.setting());
        set(format!("kafka.properties.session.timeout.ms={}", self.session_ms));
        if member == Member::Static {
            set(format!("kafka.instance_id={}", self.launch.group));
        }
        Process::start(command.stdout(Stdio::null()))
    }

    fn offsets(&self) -> Result<Vec<i64>, String> {
        self.follower.offsets().ok_or_else(|| "the coordinator does not answer".to_owned())
    }

    /// Waits until every partition has committed more than `before`.
    fn moves_on(&self, before: &[i64]) -> Result<(), String> {
        let has_moved = || {
            let offsets = self.follower.offsets();
            offsets.is_some_and(|now| before.iter().zip(&now).all(|(before, now)| before < now))
        };
        let in_time = clock::wait_until(PATIENCE, has_moved);
        in_time.then_some(()).ok_or_else(|| format!("did not go on within {PATIENCE:?}"))
    }
}

/// Whether each partition has a snapshot of all up to its end.
fn are_saved(store: &Store, ends: &[i64]) -> bool {
    let newest = |folder: &Folder<'_>| {
        let name = folder.names().ok()?.into_iter().next()?;
        Some(folder.entry(name).manifest.ok()?.point)
    };
    let folders = Folder::all(store).unwrap_or_default();
    let saved = folders.iter().filter_map(newest).filter(|point| {
        let partition = usize::try_from(point.partition).unwrap();
        ends[partition] <= point.offset_next
    });
    saved.count() == ends.len()
}

/// The sum of a metric's series; 0 if there is none.
fn metric(text: &str, name: &str) -> f64 {
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let series = series.split('{').next()?;
        if series == name { value.parse::<f64>().ok() } else { None }
    });
    values.sum()
}

/// Stores what is left of `workload`, until it is over.
fn trickle(
    broker: &Broker,
    topic: &str,
    workload: Workload,
    events_per_second: f64,
    is_over: &AtomicBool,
) {
    let producer: BaseProducer = broker
        .client()
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .create()
        .unwrap();
    let pause = Duration::from_secs_f64(1.0 / events_per_second);
    for record in workload {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        send(&producer, BaseRecord::to(topic).key(&*record.key).payload(&record.value));
        producer.poll(Duration::ZERO);
        thread::sleep(pause);
    }
    producer.flush(PATIENCE).unwrap();
}
