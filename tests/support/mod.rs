//! What the broker tests share: a deployment of topics of its own, records in, records out, and the one place that waits.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and a deadline needs a clock"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use goodfaith::engine::{Effect, Input, PartitionEngine, Settings};
use goodfaith::kafka::{Delivery, Fact, KafkaSettings, Observer, Scoring, Service};
use goodfaith::live::Live;
use goodfaith::model::{Catalogue, Event, Policy};
use goodfaith::wire::{self, Encoding, Expect, FileKind, Header, RecordRef};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// How long anything may take before a test gives up.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until `is_so`, looking again and again; panics with `what` after the deadline.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        sleep(LOOK);
    }
}

/// A record of a topic, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp_ms: Option<i64>,
}

impl Record {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rev().find(|(held, _)| held == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().unwrap_or_default()).unwrap()
    }

    fn with<R>(&self, read: impl FnOnce(RecordRef<'_>) -> R) -> R {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        read(RecordRef {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            timestamp_ms: self.timestamp_ms,
        })
    }
}

/// Takes no notice.
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _fact: Fact<'_>) {}
}

/// A deployment of its own on the broker: topics and group that no other test has.
pub struct Deployment {
    pub settings: KafkaSettings,
    events: BaseProducer,
}

impl Deployment {
    /// Names for `partitions` partitions, and the topics made.
    pub fn new(workers: usize, partitions: i32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name: String = folder
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let bootstrap = std::env::var("KAFKA_BOOTSTRAP")
            .expect("KAFKA_BOOTSTRAP names the broker: run `make test-broker`");
        let settings = KafkaSettings {
            bootstrap_servers: bootstrap.clone(),
            group_id: format!("group-{name}"),
            instance_id: None,
            prefix: format!("test-{name}"),
            workers,
            delivery: Delivery::ExactlyOnce,
            commit_interval: Duration::from_millis(100),
            encoding: Encoding::StructuredJson,
            create_topics: true,
            partitions,
            replication_factor: 1,
            idle_after: None,
            // A member that dies is noticed soon.
            properties: BTreeMap::from([
                ("session.timeout.ms".to_owned(), "6000".to_owned()),
                ("heartbeat.interval.ms".to_owned(), "500".to_owned()),
            ]),
        };
        let events = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap)
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .create()
            .unwrap();
        let deployment = Self { settings, events };
        // Starting once makes the topics; nothing is read yet, so no history begins.
        deployment.make_topics();
        deployment
    }

    fn make_topics(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let admin: rdkafka::admin::AdminClient<_> = ClientConfig::new()
            .set("bootstrap.servers", &self.settings.bootstrap_servers)
            .create()
            .unwrap();
        let topic = |what, partitions| {
            let name = self.topic(what);
            (name, partitions)
        };
        let named = [topic("events", self.settings.partitions), topic("reference", 1)];
        let new: Vec<_> = named
            .iter()
            .map(|(name, partitions)| {
                rdkafka::admin::NewTopic::new(
                    name,
                    *partitions,
                    rdkafka::admin::TopicReplication::Fixed(1),
                )
                .set("message.timestamp.type", "LogAppendTime")
                .set("retention.ms", "-1")
            })
            .collect();
        let results = runtime
            .block_on(admin.create_topics(&new, &rdkafka::admin::AdminOptions::new()))
            .unwrap();
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        wait_until("topics appear", || {
            self.partition_count("events") > 0 && self.partition_count("reference") > 0
        });
    }

    pub fn topic(&self, what: &str) -> String {
        format!("{}.{what}.v1", self.settings.prefix)
    }

    pub fn partition_count(&self, what: &str) -> i32 {
        let metadata = self
            .events
            .client()
            .fetch_metadata(Some(&self.topic(what)), Duration::from_secs(10))
            .unwrap();
        i32::try_from(metadata.topics()[0].partitions().len()).unwrap()
    }

    /// Adds a record to the events topic, by key, or to a partition.
    pub fn send(
        &self,
        what: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        self.send_with(what, partition, key, value, rdkafka::message::OwnedHeaders::new());
    }

    pub fn send_with(
        &self,
        what: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: rdkafka::message::OwnedHeaders,
    ) {
        let topic = self.topic(what);
        let mut record = BaseRecord::<[u8], [u8]>::to(&topic).headers(headers);
        (record.partition, record.key, record.payload) = (partition, key, value);
        while let Err((_full, back)) = self.events.send(record) {
            record = back;
            self.events.poll(Duration::from_millis(10));
        }
        self.events.poll(Duration::ZERO);
    }

    /// Adds an event where it belongs.
    pub fn send_event(&self, event: &Event) {
        let json = wire::encode_event_json(event);
        match event {
            Event::Customer(event) => {
                self.send("events", None, Some(event.customer.as_bytes()), Some(json.as_bytes()))
            }
            Event::Reference(_) => self.send("reference", Some(0), None, Some(json.as_bytes())),
            Event::Tick(_) => {
                for partition in 0..self.settings.partitions {
                    self.send("events", Some(partition), None, Some(json.as_bytes()));
                }
            }
        }
    }

    pub fn flush(&self) {
        self.events.flush(DEADLINE).unwrap();
    }

    pub fn start(&self) -> (Service, Arc<Live>) {
        self.start_with(Arc::new(Silent))
    }

    pub fn start_with(&self, observer: Arc<dyn Observer>) -> (Service, Arc<Live>) {
        let live = Arc::new(Live::default());
        let scoring = Scoring { policy: Arc::new(Policy::default()), audit: true };
        let service =
            Service::start(self.settings.clone(), scoring, Arc::clone(&live), observer).unwrap();
        (service, live)
    }

    /// The offset committed for each partition of the events topic.
    pub fn committed(&self) -> Vec<i64> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.settings.bootstrap_servers)
            .set("group.id", &self.settings.group_id)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic("events"), 0, self.settings.partitions - 1);
        let found = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
        found
            .elements()
            .iter()
            .map(|element| element.offset().to_raw().unwrap_or(-1).max(-1))
            .collect()
    }

    /// The end of each partition of the events topic.
    pub fn ends(&self) -> Vec<i64> {
        (0..self.settings.partitions)
            .map(|partition| {
                let topic = self.topic("events");
                self.events
                    .client()
                    .fetch_watermarks(&topic, partition, Duration::from_secs(10))
                    .unwrap()
                    .1
            })
            .collect()
    }

    /// Waits until all that is in the events topic is handled and committed.
    pub fn wait_until_done(&self, service: &Service) {
        let ends = self.ends();
        wait_until("everything is committed", || {
            assert!(!service.is_finished(), "the service ended by itself");
            self.committed().iter().zip(&ends).all(|(committed, end)| committed >= end)
        });
    }

    /// Every record of a topic, under `read_committed`, partition by partition.
    pub fn read(&self, what: &str) -> Vec<Record> {
        let topic = self.topic(what);
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.settings.bootstrap_servers)
            .set("group.id", "reader")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        let partitions = self.partition_count(what);
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(&topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut records, mut at_end) = (Vec::new(), 0);
        wait_until("the topic is read", || {
            while let Some(polled) = consumer.poll(Duration::from_millis(100)) {
                match polled {
                    Ok(message) => records.push(own(&message)),
                    Err(rdkafka::error::KafkaError::PartitionEOF(_)) => at_end += 1,
                    Err(error) => panic!("{error}"),
                }
                if at_end == partitions {
                    return true;
                }
            }
            false
        });
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// The values of an output topic, sorted: what was published, whatever the order of customers.
    pub fn published(&self, what: &str) -> Vec<String> {
        let mut values: Vec<String> = self
            .read(what)
            .iter()
            .map(|record| match &record.value {
                Some(_) => record.text().to_owned(),
                None => format!(
                    "tombstone {}",
                    String::from_utf8_lossy(record.key.as_deref().unwrap_or_default())
                ),
            })
            .collect();
        values.sort_unstable();
        values
    }

    /// What one engine a partition gives over the same logs, in one thread: what the service must have published.
    pub fn oracle(&self) -> Expected {
        let mut catalogue = Catalogue::default();
        let mut reference_end = 0;
        for record in self.read("reference") {
            if let Ok(Event::Reference(event)) =
                record.with(|record| wire::decode(record, Expect::ReferenceTopic))
            {
                catalogue.apply(&event.change);
                reference_end = record.offset + 1;
            }
        }
        let catalogue = Arc::new(catalogue);
        let settings = Settings { policy: Arc::new(Policy::default()), salt: [0; 16], audit: true };
        let mut engines: BTreeMap<i32, PartitionEngine> = BTreeMap::new();
        let mut effects: Vec<Effect> = Vec::new();
        for record in self.read("events") {
            let engine = engines.entry(record.partition).or_insert_with(|| {
                let mut engine = PartitionEngine::new(settings.clone());
                let catalogue = Arc::clone(&catalogue);
                engine.handle(
                    Input::Reference { seq: 1, offset_next: reference_end, catalogue },
                    &mut Vec::new(),
                );
                engine
            });
            let event = record.with(|record| wire::decode(record, Expect::EventsTopic));
            engine.handle(Input::Record { offset: record.offset, record: event }, &mut effects);
            engine.commit();
        }
        Expected::of(&effects)
    }
}

/// Lines by topic, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub lines: BTreeMap<&'static str, Vec<String>>,
}

impl Expected {
    fn of(effects: &[Effect]) -> Self {
        let mut lines: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for topic in ["scores", "alerts", "loyalty", "evidence", "dead-letters"] {
            lines.insert(topic, Vec::new());
        }
        for effect in effects {
            let (kind, line) = wire::file_line(effect);
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            if value["type"] == "io.goodfaith.customer.erased.v1" {
                let tombstone = format!("tombstone {}", value["subject"].as_str().unwrap());
                lines.get_mut("scores").unwrap().push(tombstone.clone());
                lines.get_mut("loyalty").unwrap().push(tombstone);
                continue;
            }
            lines.get_mut(topic_of(kind)).unwrap().push(line);
        }
        lines.values_mut().for_each(|lines| lines.sort_unstable());
        Self { lines }
    }

    /// Asserts that the deployment published exactly this, dead letters by number.
    pub fn assert_published(&self, deployment: &Deployment) {
        for (topic, expected) in &self.lines {
            let published = deployment.published(topic);
            if *topic == "dead-letters" {
                assert_eq!(published.len(), expected.len(), "dead letters");
            } else {
                assert_same(topic, &published, expected);
            }
        }
    }
}

fn assert_same(topic: &str, published: &[String], expected: &[String]) {
    if published == expected {
        return;
    }
    let missing = expected.iter().find(|line| published.binary_search(line).is_err());
    let excess = published.iter().find(|line| expected.binary_search(line).is_err());
    panic!(
        "{topic}: {} published, {} expected; missing {missing:?}; in excess {excess:?}",
        published.len(),
        expected.len()
    );
}

const fn topic_of(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Scores => "scores",
        FileKind::Alerts => "alerts",
        FileKind::Loyalty => "loyalty",
        FileKind::Evidence => "evidence",
        FileKind::DeadLetters => "dead-letters",
    }
}

fn own(message: &impl Message) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        timestamp_ms: message.timestamp().to_millis(),
    }
}

/// Where the golden vectors are.
pub fn vectors() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
}
