//! What the harness asks of Kafka: topics made, filled, read and removed, and how far a group has come.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Runtime;

use crate::clock;
use crate::workload::Record;

const PATIENCE: Duration = Duration::from_secs(60);

/// The broker all systems share.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    pub(crate) bootstrap: String,
}

impl Broker {
    /// Makes a topic, as compressed as its producers make it, that keeps everything.
    pub(crate) fn create(&self, topic: &str, partitions: i32) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1))
            .set("retention.ms", "-1")
            .set("max.message.bytes", "4194304");
        let created = runtime().block_on(self.admin().create_topics(&[new], &AdminOptions::new()));
        assert!(created.unwrap().iter().all(Result::is_ok), "{topic} was not created");
        assert!(
            clock::wait_until(PATIENCE, || self.topics().iter().any(|name| name == topic)),
            "{topic} does not appear"
        );
    }

    /// Removes the topics that are `unwanted`, and waits until they are gone, so that their names are free again.
    pub(crate) fn remove(&self, unwanted: impl Fn(&str) -> bool) {
        let found = || self.topics().into_iter().filter(|name| unwanted(name)).collect::<Vec<_>>();
        let topics = found();
        if topics.is_empty() {
            return;
        }
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let removed = self.admin().delete_topics(&names, &AdminOptions::new());
        runtime().block_on(removed).unwrap();
        assert!(clock::wait_until(PATIENCE, || found().is_empty()), "{topics:?} do not go away");
    }

    fn topics(&self) -> Vec<String> {
        let metadata = self.reader().fetch_metadata(None, PATIENCE).unwrap();
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
    }

    /// Stores records by key, in large batches; how many bytes of keys and values they have.
    pub(crate) fn fill(&self, topic: &str, records: impl Iterator<Item = Record>) -> u64 {
        let producer: BaseProducer = self
            .client()
            .set("partitioner", "murmur2_random")
            .set("compression.type", "lz4")
            .set("linger.ms", "50")
            .set("batch.size", "1000000")
            .set("enable.idempotence", "true")
            .create()
            .unwrap();
        let mut bytes = 0;
        for record in records {
            bytes += (record.key.len() + record.value.len()) as u64;
            let stored = BaseRecord::to(topic).key(&*record.key).payload(&record.value);
            send(&producer, stored);
        }
        producer.flush(PATIENCE).unwrap();
        bytes
    }

    /// The end of each partition.
    pub(crate) fn ends(&self, topic: &str, partitions: i32) -> Vec<i64> {
        let reader = self.reader();
        (0..partitions).map(|p| reader.fetch_watermarks(topic, p, PATIENCE).unwrap().1).collect()
    }

    /// Reads all that a `read_committed` reader sees now, each partition in its order.
    pub(crate) fn read(&self, topic: &str, mut each: impl FnMut(&BorrowedMessage<'_>)) {
        let reader: BaseConsumer = self
            .client()
            .set("group.id", "harness-reader")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let metadata = reader.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let partitions = i32::try_from(metadata.topics()[0].partitions().len()).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        list.set_all_offsets(Offset::Beginning).unwrap();
        reader.assign(&list).unwrap();
        let mut ended = 0;
        while ended < partitions {
            match reader.poll(PATIENCE) {
                Some(Ok(message)) => each(&message),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => panic!("{topic} does not end"),
            }
        }
    }

    /// How far `group` has come in `topic`.
    pub(crate) fn follow(&self, group: &str, topic: &str, partitions: i32) -> Follower {
        // Otherwise every open transaction of the group would be waited for.
        let reader = self
            .client()
            .set("group.id", group)
            .set("isolation.level", "read_uncommitted")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, partitions - 1);
        Follower { reader, partitions: list }
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn reader(&self) -> BaseConsumer {
        self.client().create().unwrap()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }
}

/// Asks the coordinator about one group.
pub(crate) struct Follower {
    reader: BaseConsumer,
    partitions: TopicPartitionList,
}

impl Follower {
    /// Records below the committed offsets of all partitions; `None` if the coordinator does not answer.
    pub(crate) fn done(&self) -> Option<u64> {
        u64::try_from(self.offsets()?.iter().sum::<i64>()).ok()
    }

    /// The committed offset of each partition, 0 where there is none; `None` if the coordinator does not answer.
    pub(crate) fn offsets(&self) -> Option<Vec<i64>> {
        let found = self.reader.committed_offsets(self.partitions.clone(), Duration::from_secs(5));
        let offset = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
        Some(found.ok()?.elements().iter().map(|at| offset(at.offset())).collect())
    }
}

/// Hands a record to `producer`, waiting while its queue is full.
pub(crate) fn send(producer: &BaseProducer, mut record: BaseRecord<'_, str, Vec<u8>>) {
    while let Err((error, back)) = producer.send(record) {
        assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
        producer.poll(Duration::from_millis(5));
        record = back;
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}
