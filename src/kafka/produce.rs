//! Writes records to one topic and waits until the broker has them: for tools that fill a topic from a file.
//!
//! It takes no part in a transaction; the service's own outputs do not go this way.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use thiserror::Error;

use super::settings::KafkaSettings;
use super::topics::{Topics, partition_count};

/// How long to wait for room in the client's queue, and at the end for the last acknowledgement. A broker that takes longer is
/// reported as not reachable.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why records could not be written.
#[derive(Debug, Error)]
pub enum ProduceError {
    /// The client cannot be made: a property is wrong.
    #[error("the Kafka client cannot be made")]
    Client(#[source] KafkaError),
    /// The topic cannot be written to.
    #[error(transparent)]
    Topic(#[from] super::Error),
    /// A record was refused, or never acknowledged.
    #[error("topic {topic} did not take a record")]
    Delivery {
        /// The topic.
        topic: String,
        /// The first failure.
        #[source]
        source: KafkaError,
    },
}

/// Writes to one topic.
pub struct TopicWriter {
    topic: String,
    producer: BaseProducer<Deliveries>,
}

/// Where a record was stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
}

/// Remembers the first record that was not delivered, and where the first was that was.
#[derive(Default)]
struct Deliveries {
    failed: OnceLock<KafkaError>,
    placed: OnceLock<(i32, i64)>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(record) => {
                self.placed.get_or_init(|| (record.partition(), record.offset()));
            }
            Err((error, _)) => {
                self.failed.get_or_init(|| error.clone());
            }
        }
    }
}

/// Writes one event of `customer` to the events topic of a deployment, and waits until the broker has it; where it is.
///
/// # Errors
///
/// When the topic does not exist, or the broker does not take the record within a minute.
pub fn send_event(
    settings: &KafkaSettings,
    customer: &str,
    value: &[u8],
) -> Result<Placed, ProduceError> {
    let topics = Topics::new(&settings.prefix);
    let properties: Vec<(String, String)> = settings.properties.clone().into_iter().collect();
    let writer = TopicWriter::create(&settings.bootstrap_servers, topics.events(), &properties)?;
    // A topic that is not there would be created by some brokers, with settings nobody chose.
    partition_count(writer.producer.client(), topics.events())?;
    writer.send(customer, value, None)?;
    let (partition, offset) = writer.flush()?;
    Ok(Placed { topic: writer.topic, partition, offset })
}

impl TopicWriter {
    /// A writer to `topic`. Keys land on the partitions where the JVM's clients put them. `properties` are librdkafka's, and win
    /// over what is set here.
    ///
    /// # Errors
    ///
    /// When a property is unknown or wrong. Whether a broker answers shows at the first record.
    pub fn create(
        bootstrap_servers: &str,
        topic: &str,
        properties: &[(String, String)],
    ) -> Result<Self, ProduceError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap_servers)
            .set("client.id", "goodfaith-ingest")
            .set("partitioner", "murmur2_random")
            // No record twice and none out of order, however often one is sent again.
            .set("enable.idempotence", "true")
            .set("compression.type", "zstd")
            .set("linger.ms", "20")
            .set("delivery.timeout.ms", "60000");
        config.extend(properties.iter().cloned());
        let producer =
            config.create_with_context(Deliveries::default()).map_err(ProduceError::Client)?;
        Ok(Self { topic: topic.to_owned(), producer })
    }

    /// Hands a record over; an empty key is none. It is stored under `timestamp_ms`, milliseconds since the epoch, or else under the
    /// time of sending, unless the topic has the time of arrival. Waits while the client's queue is full.
    ///
    /// # Errors
    ///
    /// When this record cannot be queued within a minute, or one before it was not delivered.
    pub fn send(
        &self,
        key: &str,
        value: &[u8],
        timestamp_ms: Option<i64>,
    ) -> Result<(), ProduceError> {
        self.producer.poll(Duration::ZERO);
        self.check()?;
        let mut record = BaseRecord::<str, [u8]>::to(&self.topic).payload(value);
        if !key.is_empty() {
            record = record.key(key);
        }
        if let Some(timestamp_ms) = timestamp_ms {
            record = record.timestamp(timestamp_ms);
        }
        let pause = Duration::from_millis(100);
        for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    self.producer.poll(pause);
                    self.check()?;
                }
                Err((error, _)) => return Err(self.failure(error)),
            }
        }
        Err(self.failure(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)))
    }

    /// Waits until every record is acknowledged.
    ///
    /// # Errors
    ///
    /// When one is not, or not within a minute.
    pub fn finish(self) -> Result<(), ProduceError> {
        self.flush().map(drop)
    }

    /// Waits until every record is acknowledged; partition and offset of the first.
    fn flush(&self) -> Result<(i32, i64), ProduceError> {
        let flushed = self.producer.flush(PATIENCE);
        self.check()?;
        flushed.map_err(|error| self.failure(error))?;
        Ok(self.producer.context().placed.get().copied().unwrap_or_default())
    }

    fn check(&self) -> Result<(), ProduceError> {
        let failed = self.producer.context().failed.get();
        failed.map_or(Ok(()), |error| Err(self.failure(error.clone())))
    }

    fn failure(&self, source: KafkaError) -> ProduceError {
        ProduceError::Delivery { topic: self.topic.clone(), source }
    }
}

impl fmt::Debug for TopicWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicWriter").field("topic", &self.topic).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::Timestamp;
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn records_arrive_under_their_key_and_in_order() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("events", 3, 1).unwrap();
        let servers = cluster.bootstrap_servers();
        let writer = TopicWriter::create(&servers, "events", &[]).unwrap();
        for n in 0..300 {
            writer
                .send(&format!("key {}", n % 7), n.to_string().as_bytes(), Some(1000 + n))
                .unwrap();
        }
        writer.finish().unwrap();

        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .set("group.id", "reader")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        let mut assignment = rdkafka::TopicPartitionList::new();
        for partition in 0..3 {
            assignment
                .add_partition_offset("events", partition, rdkafka::Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let mut last = [-1; 7];
        let mut partitions = [None; 7];
        for _ in 0..300 {
            let record = consumer.poll(Duration::from_secs(30)).unwrap().unwrap();
            let n: i32 = std::str::from_utf8(record.payload().unwrap()).unwrap().parse().unwrap();
            let key = usize::try_from(n % 7).unwrap();
            assert_eq!(record.timestamp(), Timestamp::CreateTime(1000 + i64::from(n)));
            assert_eq!(record.key(), Some(format!("key {key}").as_bytes()));
            assert!(last[key] < n, "{n} after {}", last[key]);
            let partition = record.partition();
            assert_eq!(*partitions[key].get_or_insert(partition), partition);
            last[key] = n;
        }
    }

    #[test]
    fn a_property_that_does_not_exist_is_refused() {
        let properties = [("acsk".to_owned(), "all".to_owned())];
        assert!(TopicWriter::create("127.0.0.1:1", "events", &properties).is_err());
    }
}
