//! What the tests against a real Apache Kafka share: a deployment of its own for each test, input made of the golden scenarios, all
//! that a reader under `read_committed` sees, and the oracle it is compared with.

pub(crate) mod oracle;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use goodfaith::engine::RollUps;
use goodfaith::generate::{self, Generator};
use goodfaith::kafka::{
    Delivery, Fact, GroupProtocol, KafkaSettings, Limits, Observer, Scoring, Service,
};
use goodfaith::live::Live;
use goodfaith::model::{Event, EventTime, Policy, ReferenceChange};
use goodfaith::snapshot::{Location, Snapshots, Store};
use goodfaith::wire::{self, Decision, Encoding, Expect, JournalRecord, OutRecord, RecordRef};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use oracle::Logs;

/// Partitions of every events topic.
pub(crate) const PARTITIONS: i32 = 8;

/// How long a broker may take to write the markers of a transaction that has ended.
const MARKERS: Duration = Duration::from_secs(10);
/// Where the input ends.
const END: &str = "2026-06-01T00:00:00Z";

/// What the service publishes, besides its journal.
pub(crate) const OUTPUTS: [&str; 7] =
    ["scores", "alerts", "open-alerts", "loyalty", "organisation", "evidence", "dead-letters"];

/// What it reads, its own journal included.
const INPUTS: [&str; 3] = ["events", "reference", "journal"];

/// The broker the tests run against.
pub(crate) fn bootstrap() -> String {
    #[expect(clippy::disallowed_methods, reason = "how a test is told of its broker")]
    let bootstrap = std::env::var("KAFKA_BOOTSTRAP");
    bootstrap.expect("KAFKA_BOOTSTRAP names a broker: run `make test-broker`")
}

#[expect(clippy::disallowed_methods, reason = "the one wait of the tests")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until `holds`; fails the test if it takes longer than `patience`.
pub(crate) fn wait_until(what: &str, patience: Duration, holds: impl FnMut() -> bool) {
    assert!(is_soon(patience, holds), "waited {patience:?} in vain until {what}");
}

/// Waits until `holds`; whether it took no longer than `patience`.
pub(crate) fn is_soon(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = now() + patience;
    while !holds() {
        if deadline <= now() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// A group and topics of their own on the shared broker.
#[derive(Clone)]
pub(crate) struct Deployment {
    pub(crate) settings: KafkaSettings,
    /// Where its snapshots are, and how often they are taken; `None`: never.
    pub(crate) snapshots: Option<(Location, Duration)>,
}

impl Deployment {
    /// A new deployment on the real broker; its topics exist, and hold no input.
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{name}-{}-{count}", std::process::id());
        let mut deployment = Self::at(&bootstrap(), &prefix);
        deployment.settings.create_topics = true;
        // Starting the service creates its topics.
        let service = deployment.start(&Arc::default());
        service.stop();
        service.join().unwrap();
        deployment
    }

    /// A deployment whose topics exist.
    pub(crate) fn at(bootstrap: &str, prefix: &str) -> Self {
        let settings = KafkaSettings {
            bootstrap_servers: bootstrap.to_owned(),
            group_id: prefix.to_owned(),
            instance_id: None,
            group_protocol: GroupProtocol::Classic,
            prefix: prefix.to_owned(),
            workers: 1,
            delivery: Delivery::ExactlyOnce,
            commit_interval: Duration::from_millis(100),
            encoding: Encoding::BinaryJson,
            create_topics: false,
            partitions: PARTITIONS,
            replication_factor: 1,
            idle_after: None,
            ticks_without_traffic: false,
            limits: Limits::default(),
            // A member that dies is missed early, so that no test waits for the 45 s of production.
            properties: BTreeMap::from([("session.timeout.ms".to_owned(), "6000".to_owned())]),
        };
        Self { settings, snapshots: None }
    }

    pub(crate) fn topic(&self, what: &str) -> String {
        format!("{}.{what}.v1", self.settings.prefix)
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.settings.bootstrap_servers);
        config
    }

    pub(crate) fn start(&self, facts: &Arc<Facts>) -> Service {
        self.start_with(scoring(), facts)
    }

    pub(crate) fn start_with(&self, scoring: Scoring, facts: &Arc<Facts>) -> Service {
        let observer: Arc<dyn Observer> = Arc::clone(facts) as Arc<dyn Observer>;
        let (settings, live) = (self.settings.clone(), Arc::new(Live::default()));
        Service::start(settings, scoring, self.open_snapshots(), live, observer).unwrap()
    }

    fn open_snapshots(&self) -> Option<Snapshots> {
        let (location, interval) = self.snapshots.clone()?;
        let store = Store::open(&location, &std::env::vars().collect()).unwrap();
        Some(Snapshots { store: Arc::new(store), interval })
    }

    /// The service as a process of its own, `settings` over what the tests set; a static member.
    pub(crate) fn spawn(&self, settings: &[&str]) -> Process {
        let settings = [&["kafka.instance_id=a"], settings].concat();
        Process::start(&mut self.command(&settings))
    }

    /// The command that [`Deployment::spawn`] runs; a dynamic member.
    pub(crate) fn command(&self, settings: &[&str]) -> Command {
        let KafkaSettings { bootstrap_servers, group_id, prefix, workers, .. } = &self.settings;
        let mut command = Command::new(env!("CARGO_BIN_EXE_goodfaith"));
        command.arg("run").stdout(Stdio::null()).stderr(Stdio::null());
        for setting in [
            format!("kafka.bootstrap_servers={bootstrap_servers}"),
            format!("kafka.group_id={group_id}"),
            format!("kafka.topic_prefix={prefix}"),
            format!("kafka.workers={workers}"),
            "kafka.encoding=json".to_owned(),
            "kafka.properties.session.timeout.ms=6000".to_owned(),
            "audit.evidence=true".to_owned(),
            "organisation.publish=true".to_owned(),
            "http.listen=127.0.0.1:0".to_owned(),
        ] {
            command.args(["--set", &setting]);
        }
        let snapshots = self.snapshots.as_ref().map_or_else(
            || vec!["snapshot.enabled=false".to_owned()],
            |(location, interval)| {
                let url = format!("snapshot.url={location}");
                vec![url, format!("snapshot.interval={}ms", interval.as_millis())]
            },
        );
        for setting in snapshots.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        command
    }

    /// Publishes a policy, in TOML, by the command for it.
    pub(crate) fn publish(&self, policy: &str) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        fs::write(&file, policy).unwrap();
        self.ask(&["policy", "publish", file.to_str().unwrap()]);
    }

    /// Runs a command on this deployment's topics; what it prints.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let KafkaSettings { bootstrap_servers, prefix, .. } = &self.settings;
        let done = Command::new(env!("CARGO_BIN_EXE_goodfaith"))
            .args(arguments)
            .args(["--set", &format!("kafka.bootstrap_servers={bootstrap_servers}")])
            .args(["--set", &format!("kafka.topic_prefix={prefix}")])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// Writes `input`: reference events to their topic, ticks to every partition, all else by key.
    pub(crate) fn produce(&self, input: &[Line]) {
        let producer = self.producer();
        self.produce_by(&producer, input);
        producer.flush(Duration::from_secs(60)).unwrap();
    }

    /// A producer that chooses partitions as Java's does.
    pub(crate) fn producer(&self) -> BaseProducer {
        self.client()
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .create()
            .unwrap()
    }

    /// The same by a producer that stands, which has taken them on when this returns, no more.
    pub(crate) fn produce_by(&self, producer: &BaseProducer, input: &[Line]) {
        for line in input {
            match line {
                Line::Reference(value) => {
                    send(producer, &self.topic("reference"), Some(0), b"", Some(value));
                }
                Line::Tick(value) => {
                    for partition in 0..PARTITIONS {
                        send(producer, &self.topic("events"), Some(partition), b"", Some(value));
                    }
                }
                Line::Customer { key, value } => {
                    let value = (!value.is_empty()).then_some(value.as_slice());
                    send(producer, &self.topic("events"), None, key, value);
                }
            }
        }
        producer.poll(Duration::ZERO);
    }

    /// Waits until the group has committed every record of the events topic.
    pub(crate) fn wait_handled(&self, patience: Duration) {
        let reader: BaseConsumer = self.client().create().unwrap();
        let end = |p| reader.fetch_watermarks(&self.topic("events"), p, patience).unwrap().1;
        let ends: Vec<i64> = (0..PARTITIONS).map(end).collect();
        self.wait_committed("every record is handled", patience, |offsets| offsets == ends);
    }

    /// Waits until the group's committed offsets, a partition each, are such that `holds`; gives them back.
    pub(crate) fn wait_committed(
        &self,
        what: &str,
        patience: Duration,
        holds: impl Fn(&[i64]) -> bool,
    ) -> Vec<i64> {
        let (group, mut offsets) = (self.group(), Vec::new());
        wait_until(what, patience, || {
            // A busy coordinator may not answer at once.
            let Some(committed) = group.committed() else { return false };
            offsets = committed.into_iter().map(|(offset, _)| offset).collect();
            holds(&offsets)
        });
        offsets
    }

    /// Asks what the group has committed.
    pub(crate) fn group(&self) -> Group {
        // Otherwise a transaction that a killed member left open would be waited for.
        let reader: BaseConsumer = self
            .client()
            .set("group.id", &self.settings.group_id)
            .set("isolation.level", "read_uncommitted")
            .create()
            .unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(&self.topic("events"), 0, PARTITIONS - 1);
        Group { reader, partitions }
    }

    /// Everything a reader sees of `what`, partition by partition.
    pub(crate) fn read(&self, what: &str) -> Vec<Stored> {
        self.read_as("read_committed", what)
    }

    /// Everything that is stored of `what`, what was aborted or is undecided too.
    pub(crate) fn read_stored(&self, what: &str) -> Vec<Stored> {
        self.read_as("read_uncommitted", what)
    }

    fn read_as(&self, isolation: &str, what: &str) -> Vec<Stored> {
        let reader: BaseConsumer = self
            .client()
            .set("group.id", "reader")
            .set("isolation.level", isolation)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            // The end of a partition is told by a fetch that finds nothing.
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap();
        let topic = self.topic(what);
        let metadata = reader.fetch_metadata(Some(&topic), Duration::from_secs(10)).unwrap();
        let partitions = i32::try_from(metadata.topics()[0].partitions().len()).unwrap();
        self.wait_decided(&reader, &topic, partitions);
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&topic, 0, partitions - 1);
        list.set_all_offsets(Offset::Beginning).unwrap();
        reader.assign(&list).unwrap();
        let (mut stored, mut ended) = (Vec::new(), 0);
        while ended < partitions {
            match reader.poll(Duration::from_secs(30)) {
                Some(Ok(message)) => stored.push(Stored::from_message(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => panic!("{topic} does not end"),
            }
        }
        stored.sort_by_key(|record| (record.partition, record.offset));
        stored
    }

    /// Waits until nothing of a topic is undecided, unless somebody keeps a transaction open: the markers of one that has ended reach its
    /// partitions one after another.
    fn wait_decided(&self, reader: &BaseConsumer, topic: &str, partitions: i32) {
        let all: BaseConsumer =
            self.client().set("isolation.level", "read_uncommitted").create().unwrap();
        let end = |of: &BaseConsumer, p| of.fetch_watermarks(topic, p, MARKERS).unwrap().1;
        is_soon(MARKERS, || (0..partitions).all(|p| end(reader, p) == end(&all, p)));
    }

    /// What has been decided, partition by partition.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let decision = |record: Stored| {
            JournalRecord::decode(record.value.as_deref().unwrap()).unwrap().decision
        };
        self.read("journal").into_iter().map(decision).collect()
    }

    /// What the service has published, topic by topic.
    pub(crate) fn published(&self) -> Published {
        self.published_where(|_, _| true)
    }

    /// The same, of the records that `counts`.
    pub(crate) fn published_where(
        &self,
        counts: impl Fn(&'static str, &Stored) -> bool,
    ) -> Published {
        let mut published = Published::default();
        for topic in OUTPUTS {
            for record in self.read(topic).into_iter().filter(|record| counts(topic, record)) {
                self.add(&mut published, topic, record.key, record.value, record.headers);
            }
        }
        published
    }

    /// Every policy that was put in force, partition by partition: before which offset, and where its record stands.
    pub(crate) fn activations(&self) -> BTreeMap<i32, Vec<(i64, i64)>> {
        let mut activations: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
        for stored in self.read("journal") {
            let record = JournalRecord::decode(stored.value.as_deref().unwrap()).unwrap();
            if let Decision::Policy { reference_offset, .. } = record.decision {
                activations
                    .entry(stored.partition)
                    .or_default()
                    .push((record.at, reference_offset));
            }
        }
        activations
    }

    /// What the oracle gives for the same logs and the decisions of the journal.
    pub(crate) fn oracle(&self) -> Published {
        self.oracle_where(|_| true)
    }

    /// The same, had there been only the events that `counts`.
    pub(crate) fn oracle_where(&self, counts: impl Fn(&Stored) -> bool) -> Published {
        let (reference, journal, mut events) =
            (self.read("reference"), self.read("journal"), self.read("events"));
        events.retain(counts);
        let logs = Logs { reference: &reference, journal: &journal, events: &events };
        let mut published = Published::default();
        for due in oracle::outputs(logs, &self.topic("events"), self.settings.encoding) {
            let OutRecord { topic, key, value, headers } = due.record;
            self.add(&mut published, topic, key, value, headers);
        }
        published
    }

    /// Notes an output, without what differs from deployment to deployment.
    fn add(
        &self,
        published: &mut Published,
        topic: &str,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<(String, Option<Vec<u8>>)>,
    ) {
        let text = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => bytes.escape_ascii().to_string(),
            None => "null".to_owned(),
        };
        let headers: Vec<String> = headers
            .iter()
            .filter(|(name, _)| name != "gfsource")
            .map(|(name, value)| {
                format!("{name}={}", text(value).replace(&self.settings.prefix, "goodfaith"))
            })
            .collect();
        let record = format!("{} [{}]", text(&value), headers.join(", "));
        published.records.entry((topic.to_owned(), key)).or_default().push(record);
        published.count += 1;
    }

    /// Deletes the records of the events topic below `offset` of every partition that has as many.
    pub(crate) fn delete_records(&self, offset: i64) {
        self.delete_below("events", Offset::Offset(offset));
    }

    /// Deletes every record of `what`.
    pub(crate) fn delete_all(&self, what: &str) {
        self.delete_below(what, Offset::End);
    }

    /// Removes its topics, once all that is to be known of them is.
    pub(crate) fn delete(&self) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topics: Vec<String> =
            OUTPUTS.iter().chain(&INPUTS).map(|what| self.topic(what)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(admin.delete_topics(&topics, &AdminOptions::new())).unwrap();
    }

    fn delete_below(&self, what: &str, offset: Offset) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(&self.topic(what), partition, offset).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let deleted = runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
        assert!(deleted.elements().iter().all(|element| element.error().is_ok()), "{deleted:?}");
    }
}

/// Asks the coordinator about one group.
pub(crate) struct Group {
    reader: BaseConsumer,
    partitions: TopicPartitionList,
}

impl Group {
    /// The committed offset of each partition, 0 where there is none, and its metadata; `None` if the coordinator does not answer.
    pub(crate) fn committed(&self) -> Option<Vec<(i64, String)>> {
        let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
        let found = self.reader.committed_offsets(self.partitions.clone(), Duration::from_secs(5));
        let found = found.ok()?;
        let committed = found.elements();
        Some(committed.iter().map(|at| (offset(at.offset()), at.metadata().to_owned())).collect())
    }
}

pub(crate) fn scoring() -> Scoring {
    Scoring { policy: Arc::new(Policy::default()), audit: true, roll_ups: RollUps::Published }
}

fn send(
    producer: &BaseProducer,
    topic: &str,
    partition: Option<i32>,
    key: &[u8],
    value: Option<&[u8]>,
) {
    let mut record = BaseRecord::<[u8], [u8]>::to(topic);
    record.partition = partition;
    record.key = (!key.is_empty()).then_some(key);
    record.payload = value;
    while let Err((error, back)) = producer.send(record) {
        assert_eq!(
            error,
            KafkaError::MessageProduction(rdkafka::types::RDKafkaErrorCode::QueueFull)
        );
        producer.poll(Duration::from_millis(5));
        record = back;
    }
}

/// A record as stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Stored {
    fn from_message(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let header = |h: rdkafka::message::Header<'_, &[u8]>| {
                (h.key.to_owned(), h.value.map(<[u8]>::to_vec))
            };
            headers.iter().map(header).collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
            timestamp_ms: message.timestamp().to_millis(),
        }
    }

    fn header_refs(&self) -> Vec<wire::Header<'_>> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
    }

    fn as_ref<'a>(&'a self, headers: &'a [wire::Header<'a>]) -> RecordRef<'a> {
        RecordRef {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
            timestamp_ms: self.timestamp_ms,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        Some(String::from_utf8(value.clone()?).unwrap())
    }
}

/// Output records by topic and key, each key's in their order, `gfsource` left out.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Published {
    records: BTreeMap<(String, Option<Vec<u8>>), Vec<String>>,
    pub(crate) count: usize,
}

impl Published {
    /// Without the records that are to be left out, by topic, key and all the rest as text.
    pub(crate) fn without(mut self, is_left_out: impl Fn(&str, &[u8], &str) -> bool) -> Self {
        self.records.retain(|(topic, key), texts| {
            let key = key.as_deref().unwrap_or_default();
            texts.retain(|text| !is_left_out(topic, key, text));
            !texts.is_empty()
        });
        self.count = self.records.values().map(Vec::len).sum();
        self
    }
}

/// Compares record for record; a difference is told by its first place, not by printing both sides.
pub(crate) fn assert_same(found: &Published, expected: &Published) {
    for (place, expected) in &expected.records {
        let (topic, key) =
            (&place.0, place.1.as_deref().map(<[u8]>::escape_ascii).map(|k| k.to_string()));
        let found = found.records.get(place).map_or(&[][..], Vec::as_slice);
        for (index, expected) in expected.iter().enumerate() {
            assert_eq!(found.get(index), Some(expected), "{topic} {key:?} record {index}");
        }
        assert_eq!(found.len(), expected.len(), "{topic} {key:?}: {:#?}", found.last());
    }
    assert_eq!(found.count, expected.count);
}

/// One line of input.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    Reference(Vec<u8>),
    Tick(Vec<u8>),
    Customer { key: Vec<u8>, value: Vec<u8> },
}

/// The customer events of the golden scenarios, each scenario lived by customer after customer until there are `count`, in the order of
/// event time, after the reference events they need, and before a tick that ends every partition.
pub(crate) fn scenarios(count: usize) -> Vec<Line> {
    let end = EventTime::parse(END).unwrap();
    let (mut reference, mut events) = (Vec::new(), Vec::new());
    for text in scenario_texts() {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let record = RecordRef {
                key: None,
                value: Some(line.as_bytes()),
                headers: &[],
                timestamp_ms: None,
            };
            match wire::decode(record, Expect::File) {
                Ok(Event::Reference(_)) => {
                    reference.push(Line::Reference(line.as_bytes().to_vec()))
                }
                // The scenarios reach into years that a record stored today may not speak of.
                Ok(Event::Customer(event)) if event.time < end => events.push(*event),
                Ok(Event::Customer(_) | Event::Tick(_)) | Err(_) => {}
            }
        }
    }
    let mut input = Vec::with_capacity(count);
    for round in 0.. {
        for event in &events {
            let mut event = event.clone();
            event.customer = format!("{}-{round}", event.customer).into();
            input.push(event);
        }
        if count <= input.len() {
            break;
        }
    }
    input.truncate(count);
    input.sort_by_key(|event| event.time);
    let lines = input.into_iter().map(|event| {
        let key = event.customer.as_bytes().to_vec();
        let value = wire::encode_event_json(&Event::Customer(Box::new(event))).into_bytes();
        Line::Customer { key, value }
    });
    reference.into_iter().chain(lines).chain([tick(END)]).collect()
}

/// The change that a reference event makes.
pub(crate) fn reference_change(value: &[u8]) -> ReferenceChange {
    let record = RecordRef { key: None, value: Some(value), headers: &[], timestamp_ms: None };
    match wire::decode(record, Expect::ReferenceTopic) {
        Ok(Event::Reference(event)) => event.change,
        other => panic!("no reference event: {other:?}"),
    }
}

/// `count` events of the simulated telecom, in their order; its catalogue goes first, and a tick ends every partition.
pub(crate) fn generated(seed: u64, count: usize) -> Vec<Line> {
    simulated(seed, NonZeroU32::new(2_000).unwrap(), count)
}

/// The same, of as many `customers`.
pub(crate) fn simulated(seed: u64, customers: NonZeroU32, count: usize) -> Vec<Line> {
    let events = Generator::new(generate::Settings { seed, customers, ..Default::default() });
    whole(events.take(count))
}

/// The events of a file of NDJSON, as [`generated`] ones.
pub(crate) fn recorded(path: &Path) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let event = |(index, line): (usize, &str)| {
        let value = Some(line.as_bytes());
        let record = RecordRef { key: None, value, headers: &[], timestamp_ms: None };
        wire::decode(record, Expect::File)
            .unwrap_or_else(|error| panic!("{path:?}:{}: {error:?}", index + 1))
    };
    whole(text.lines().enumerate().map(event))
}

fn whole(events: impl Iterator<Item = Event>) -> Vec<Line> {
    let (mut reference, mut lines, mut latest) = (Vec::new(), Vec::new(), EventTime::default());
    for event in events {
        latest = latest.max(time(&event));
        match line(&event) {
            Some(line @ Line::Reference(_)) => reference.push(line),
            line => lines.extend(line),
        }
    }
    let end = tick(&latest.plus_days(1).to_string());
    reference.into_iter().chain(lines).chain([end]).collect()
}

/// When a customer's event happened; nothing else moves the clock.
pub(crate) fn time(event: &Event) -> EventTime {
    if let Event::Customer(event) = event { event.time } else { EventTime::default() }
}

/// An event as a line of input; none for a tick, which is every partition's.
pub(crate) fn line(event: &Event) -> Option<Line> {
    let value = wire::encode_event_json(event).into_bytes();
    match event {
        Event::Reference(_) => Some(Line::Reference(value)),
        Event::Tick(_) => None,
        Event::Customer(event) => {
            Some(Line::Customer { key: event.customer.as_bytes().to_vec(), value })
        }
    }
}

/// A `clock.ticked` at `time`.
pub(crate) fn tick(time: &str) -> Line {
    let text = format!(
        r#"{{"specversion":"1.0","id":"tick-{time}","source":"/test","type":"io.goodfaith.clock.ticked.v1","time":"{time}"}}"#
    );
    Line::Tick(text.into_bytes())
}

fn scenario_texts() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".events.ndjson"))
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// A service in a process of its own, ended with the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Sends a signal by its name, and waits for the end.
    pub(crate) fn end(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing to do for one that has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Remembers what the service told, in words.
#[derive(Default)]
pub(crate) struct Facts {
    told: std::sync::Mutex<Vec<String>>,
}

impl Observer for Facts {
    fn observe(&self, fact: Fact<'_>) {
        let text = match &fact {
            Fact::Committed(tally) => {
                let told = tally.dead_letters.iter().map(|told| format!("DeadLettered {told:?}"));
                return self.told.lock().unwrap().extend(told);
            }
            Fact::PartitionMeasured { .. } => return,
            fact => format!("{fact:?}"),
        };
        self.told.lock().unwrap().push(text);
    }
}

impl Facts {
    /// How many of what was told begin so.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|text| text.starts_with(beginning)).count()
    }

    /// All that begin so.
    pub(crate) fn all(&self, beginning: &str) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|text| text.starts_with(beginning)).cloned().collect()
    }

    /// The last that begins so.
    pub(crate) fn last(&self, beginning: &str) -> Option<String> {
        self.told.lock().unwrap().iter().rev().find(|text| text.starts_with(beginning)).cloned()
    }
}
