//! Latency in an open loop: events are sent when they are due, whether or not what came before has been answered, and each is timed from when it
//! *should* have been sent to when a `read_committed` reader has its output. So a system that falls behind shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::broker::{Broker, send};
use crate::clock;
use crate::figures::quantile;
use crate::oracle;
use crate::process::Process;
use crate::systems::{Launch, System, policy_file};
use crate::workload::{Record, event_index};

/// Says when a record should have been sent; peers copy it to what they publish.
const INTENDED: &str = "intended";
const PATIENCE: Duration = Duration::from_secs(120);

/// How often to commit, how hard, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) commit_ms: u32,
    pub(crate) events_per_second: f64,
    /// Records that come first, and show that the system has begun.
    pub(crate) primed: usize,
    /// Not counted: caches are cold.
    pub(crate) warm: Duration,
    pub(crate) counted: Duration,
}

impl Load {
    /// How many records it takes.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    pub(crate) fn records(self) -> usize {
        self.primed + ((self.warm + self.counted).as_secs_f64() * self.events_per_second) as usize
    }

    /// When the record at `index` is due, after the load begins.
    fn due(self, index: usize) -> Duration {
        Duration::from_secs_f64(index.saturating_sub(self.primed) as f64 / self.events_per_second)
    }
}

/// Milliseconds below which a share of what was timed lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Quantiles {
    /// Of at least one time.
    fn of(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| quantile(&milliseconds, share));
        Self { p50, p99, p999 }
    }
}

/// What one run showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) output: Quantiles,
    /// How late the generator itself was: what it adds to the above.
    pub(crate) sending: Quantiles,
}

/// Runs `system` under `load`; why it has no figure, if it has none.
pub(crate) fn run(
    system: System,
    launch: &Launch<'_>,
    records: &[Record],
    load: Load,
) -> Result<Latency, String> {
    let (broker, input) = (launch.broker, launch.input());
    broker.create(&input, launch.partitions);
    system.prepare(launch);
    let outcome = under_load(system, launch, records, load);
    broker.remove(|topic| launch.made(topic) || topic == input);
    outcome
}

fn under_load(
    system: System,
    launch: &Launch<'_>,
    records: &[Record],
    load: Load,
) -> Result<Latency, String> {
    let (broker, input) = (launch.broker, launch.input());
    let mut process = Process::start(&mut system.command(launch))?;
    broker.fill(&input, records[..load.primed].iter().cloned());
    let follower = broker.follow(&launch.group, &input, launch.partitions);
    let has_done = |count: usize| {
        clock::wait_until(PATIENCE, || follower.done().is_some_and(|done| count as u64 <= done))
    };
    if !has_done(load.primed) {
        return Err(format!("the first records were not done within {PATIENCE:?}"));
    }
    let begin = clock::now();
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = Reader { broker: broker.clone(), topic: system.output(launch), begin, load };
    let reading = {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || reader.times(&is_over))
    };
    let sending = generate(broker, &input, &records[load.primed..], begin, load);
    let is_done = has_done(records.len());
    is_over.store(true, Ordering::Relaxed);
    let times = reading.join().unwrap();
    process.stop()?;
    if !is_done {
        return Err(format!("was not done {PATIENCE:?} after the last event"));
    }
    let policy = oracle::policy(&policy_file());
    let expected = oracle::expected(broker, &input, launch.partitions, policy);
    system.check(launch, &expected).map_err(|why| format!("wrong output: {why}"))?;
    if times.is_empty() {
        return Err("nothing was published".to_owned());
    }
    Ok(Latency { output: Quantiles::of(times), sending })
}

/// Sends each record when it is due, or as soon after as it can; how late that was.
fn generate(
    broker: &Broker,
    topic: &str,
    records: &[Record],
    begin: Instant,
    load: Load,
) -> Quantiles {
    let producer: BaseProducer = broker
        .client()
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "1")
        .create()
        .unwrap();
    let mut lateness = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let due = load.due(index + load.primed);
        while begin.elapsed() < due {
            producer.poll(Duration::ZERO);
            thread::sleep(Duration::from_micros(500));
        }
        let late = begin.elapsed() - due;
        let intended = u64::try_from(due.as_micros()).unwrap().to_be_bytes();
        let header = Header { key: INTENDED, value: Some(&intended) };
        let stored = BaseRecord::to(topic)
            .key(&*record.key)
            .payload(&record.value)
            .headers(OwnedHeaders::new().insert(header));
        send(&producer, stored);
        lateness.push(late.as_secs_f64() * 1e3);
    }
    producer.flush(PATIENCE).unwrap();
    Quantiles::of(lateness)
}

/// Reads what is published, as it becomes visible.
struct Reader {
    broker: Broker,
    topic: String,
    begin: Instant,
    load: Load,
}

impl Reader {
    /// Milliseconds from when each counted input was due to when its output was read.
    fn times(&self, is_over: &AtomicBool) -> Vec<f64> {
        let reader: BaseConsumer = self
            .broker
            .client()
            .set("group.id", "harness-latency")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "20")
            .create()
            .unwrap();
        let metadata = reader.fetch_metadata(Some(&self.topic), PATIENCE).unwrap();
        let partitions = i32::try_from(metadata.topics()[0].partitions().len()).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, partitions - 1);
        list.set_all_offsets(Offset::Beginning).unwrap();
        reader.assign(&list).unwrap();
        let mut times = Vec::new();
        loop {
            match reader.poll(Duration::from_millis(500)) {
                Some(message) => {
                    let read = self.begin.elapsed();
                    let due = due(&message.unwrap(), self.load);
                    let counted = due.filter(|due| self.load.warm <= *due);
                    times.extend(counted.map(|due| (read.saturating_sub(due)).as_secs_f64() * 1e3));
                }
                None if is_over.load(Ordering::Relaxed) => return times,
                None => {}
            }
        }
    }
}

/// When the event that caused an output was due: its header copied, or what goodfaith names as the cause. `None` of the first ones.
fn due(message: &BorrowedMessage<'_>, load: Load) -> Option<Duration> {
    let headers = message.headers()?;
    let value = |name| headers.iter().find(|header| header.key == name)?.value;
    if let Some(intended) = value(INTENDED) {
        return Some(Duration::from_micros(u64::from_be_bytes(intended.try_into().ok()?)));
    }
    let index = usize::try_from(event_index(value("ce_causationid")?)?).ok()?;
    (load.primed <= index).then(|| load.due(index))
}

/// The floor: what a transaction with one record takes, one after another at the commit interval, while the broker takes in the same load.
pub(crate) fn floor(broker: &Broker, prefix: &str, records: &[Record], load: Load) -> Quantiles {
    let (input, output) = (format!("{prefix}-load"), format!("{prefix}-floor"));
    broker.create(&input, 8);
    broker.create(&output, 8);
    let begin = clock::now();
    let is_over = Arc::new(AtomicBool::new(false));
    let committing = {
        let (broker, output, is_over) = (broker.clone(), output.clone(), Arc::clone(&is_over));
        thread::spawn(move || transactions(&broker, &output, begin, load, &is_over))
    };
    generate(broker, &input, &records[load.primed..], begin, load);
    is_over.store(true, Ordering::Relaxed);
    let times = committing.join().unwrap();
    broker.remove(|topic| topic == input || topic == output);
    Quantiles::of(times)
}

/// Milliseconds of each transaction once warm, from its begin to the answer to its commit.
fn transactions(
    broker: &Broker,
    topic: &str,
    begin: Instant,
    load: Load,
    is_over: &AtomicBool,
) -> Vec<f64> {
    let producer: BaseProducer =
        broker.client().set("transactional.id", topic).set("linger.ms", "0").create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    let mut times = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let begun = clock::now();
        producer.begin_transaction().unwrap();
        send(&producer, BaseRecord::to(topic).key("floor").payload(&Vec::new()));
        // The crate's own flush sleeps in slices of 100 ms while anything is in flight.
        while 0 < producer.in_flight_count() {
            producer.poll(Duration::from_millis(1));
        }
        producer.commit_transaction(PATIENCE).unwrap();
        if load.warm <= begin.elapsed() {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        thread::sleep(Duration::from_millis(u64::from(load.commit_ms)));
    }
    times
}
