//! What the faults happen to: processes of the service, a feed of events that goes on meanwhile, and a broker that can be started again.

use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use goodfaith::generate::{self, Generator};
use goodfaith::model::{Event, EventTime};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::support::{Deployment, PARTITIONS, Process, is_soon, line, now, tick, time};

/// Records that the feed writes at a time, as a share of a second.
const SLICES: usize = 10;
/// Records that it writes at a time as long as nothing holds it back.
const SLICE: usize = 50_000;
/// How long a process may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Processes of the service, as a supervisor keeps them: one that ends is started again.
pub(crate) struct Fleet<'a> {
    deployment: &'a Deployment,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
    is_static: bool,
    members: Vec<Process>,
    /// Processes that ended by themselves.
    pub(crate) exits: usize,
}

impl<'a> Fleet<'a> {
    /// None yet. Static members are known to the group by their number.
    pub(crate) fn new(deployment: &'a Deployment, is_static: bool) -> Self {
        let (settings, environment) = (Vec::new(), Vec::new());
        Self { deployment, settings, environment, is_static, members: Vec::new(), exits: 0 }
    }

    /// Each with this setting too.
    pub(crate) fn set(mut self, setting: String) -> Self {
        self.settings.push(setting);
        self
    }

    /// Each without these safeguards, a list separated by commas; needs a build with the feature `faults`.
    pub(crate) fn without(mut self, safeguards: &str) -> Self {
        if !safeguards.is_empty() {
            let variable = ("GOODFAITH_WITHOUT".to_owned(), safeguards.to_owned());
            self.environment.push(variable);
        }
        self
    }

    /// One more.
    pub(crate) fn add(&mut self) {
        self.members.push(self.start(self.members.len()));
    }

    fn start(&self, number: usize) -> Process {
        let instance = format!("kafka.instance_id=m{number}");
        let mut settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        if self.is_static {
            settings.push(&instance);
        }
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        Process::start(self.deployment.command(&settings).envs(environment))
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Kills one and starts it again.
    pub(crate) fn kill(&mut self, number: usize) {
        let status = self.members[number].end("KILL");
        assert_eq!(status.code(), None, "it was killed: {status}");
        self.members[number] = self.start(number);
    }

    /// Sends one a signal.
    pub(crate) fn signal(&self, number: usize, signal: &str) {
        self.members[number].signal(signal);
    }

    /// Stops the last one, as an operator would, who in the end loses patience.
    pub(crate) fn remove(&mut self) {
        let mut last = self.members.pop().unwrap();
        last.signal("TERM");
        if !is_soon(STOP_PATIENCE, || last.has_ended()) {
            last.end("KILL");
        }
    }

    /// Starts those again that have ended by themselves.
    pub(crate) fn mend(&mut self) {
        for number in 0..self.members.len() {
            if self.members[number].has_ended() {
                self.exits += 1;
                self.members[number] = self.start(number);
            }
        }
    }

    /// Keeps all alive until `holds`; whether it did in time.
    pub(crate) fn mend_until(
        &mut self,
        patience: Duration,
        mut holds: impl FnMut() -> bool,
    ) -> bool {
        is_soon(patience, || {
            self.mend();
            holds()
        })
    }

    /// Stops all.
    pub(crate) fn stop(mut self) {
        while !self.members.is_empty() {
            self.remove();
        }
    }
}

/// What a feed writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) customers: NonZeroU32,
    /// Events that come first, as fast as the broker takes them.
    pub(crate) preload: usize,
    /// Events a second from then on.
    pub(crate) rate: usize,
}

/// Events that come at a steady rate, from a thread of their own.
pub(crate) struct Feed {
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Feed {
    /// Writes what comes first, then starts to write at a steady rate until told to finish.
    pub(crate) fn start(deployment: &Deployment, seed: u64, flow: Flow) -> Self {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&is_stopped);
        let settings = generate::Settings { seed, customers: flow.customers, ..Default::default() };
        let mut writer = Writer {
            deployment: deployment.clone(),
            producer: deployment.producer(),
            events: Generator::new(settings),
            latest: EventTime::default(),
            count: 0,
        };
        while writer.count < flow.preload {
            writer.write(SLICE.min(flow.preload - writer.count));
        }
        writer.flush();
        let thread = thread::spawn(move || {
            let began = now();
            while !stopped.load(Ordering::Acquire) {
                writer.write((flow.rate / SLICES).max(1));
                let steady = (writer.count - flow.preload) as f64;
                let due = Duration::from_secs_f64(steady / flow.rate as f64);
                thread::sleep(due.saturating_sub(began.elapsed()));
            }
            writer.flush();
            writer.deployment.produce(&[tick(&writer.latest.plus_days(1).to_string())]);
            writer.count
        });
        Self { is_stopped, thread }
    }

    /// Ends the feed with a tick for every partition; how many events it wrote.
    pub(crate) fn finish(self) -> usize {
        self.is_stopped.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

struct Writer {
    deployment: Deployment,
    producer: BaseProducer,
    events: Generator,
    latest: EventTime,
    count: usize,
}

impl Writer {
    /// Writes the next so many events.
    fn write(&mut self, events: usize) {
        let slice: Vec<Event> = self.events.by_ref().take(events).collect();
        self.latest = slice.iter().map(time).fold(self.latest, EventTime::max);
        self.count += slice.len();
        let lines: Vec<_> = slice.iter().filter_map(line).collect();
        self.deployment.produce_by(&self.producer, &lines);
    }

    /// Waits until the broker has all of them.
    fn flush(&self) {
        self.producer.flush(Duration::from_secs(60)).unwrap();
    }
}

/// One past the last record of each partition of the events topic.
pub(crate) fn ends(deployment: &Deployment) -> Vec<i64> {
    let reader: BaseConsumer = deployment.client().create().unwrap();
    let topic = deployment.topic("events");
    let mut ends = Vec::new();
    let is_answered = is_soon(Duration::from_secs(60), || {
        let end = |partition| reader.fetch_watermarks(&topic, partition, Duration::from_secs(5));
        let answers: Result<Vec<_>, _> = (0..PARTITIONS).map(end).collect();
        ends = answers
            .map_or_else(|_| Vec::new(), |found| found.iter().map(|(_, end)| *end).collect());
        !ends.is_empty()
    });
    assert!(is_answered, "the broker does not say where the events end");
    ends
}

/// The broker's own folder, for what can be done only to a broker of ours.
pub(crate) fn broker_folder() -> PathBuf {
    std::env::var_os("KAFKA_DIR")
        .expect("KAFKA_DIR names a broker of ours: run `make faults`")
        .into()
}

/// An address that `deploy/kafka/kafka.sh` has written down.
pub(crate) fn address(file: &str) -> String {
    fs::read_to_string(broker_folder().join(file)).unwrap().trim().to_owned()
}

/// Ends the broker by a signal, and starts it again on its data.
pub(crate) fn restart_broker(signal: &str) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/kafka/kafka.sh");
    let restarted = Command::new(script).args(["restart", signal]).status().unwrap();
    assert!(restarted.success(), "{restarted}");
}
