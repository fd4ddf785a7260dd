//! A worker's producer and the life of its transactions: begun, filled, committed or aborted, and the producer replaced whenever
//! nobody can say which of the two it was. What an outcome means for the state is decided by the worker, not here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::clock;
use super::error::{Error, Result};
use super::failure::Failure;
use super::native::GroupMetadata;
use super::settings::{Delivery, KafkaSettings};

/// How long the broker may take for one step of a transaction. As long as the transaction's own timeout: after it the broker has
/// ended the transaction itself.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new producer may take to end what its predecessor left open.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts to replace a producer before the worker gives up.
const INIT_ATTEMPTS: u32 = 5;
/// What one `poll` waits for delivery reports: rdkafka's own `flush` waits in slices of 100 ms.
const POLL_SLICE: Duration = Duration::from_millis(1);

/// How a transaction ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its records and offsets count.
    Committed,
    /// At-least-once only: its records are acknowledged, its offsets are not.
    Delivered(Failure),
    /// Nothing of it counts.
    Aborted(Failure),
    /// Nobody knows yet: [`Publisher::retire`], then ask for the committed offsets.
    Unknown(Failure),
}

/// One record to publish.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publication<'a> {
    pub(super) topic: &'a str,
    /// `None`: by key.
    pub(super) partition: Option<i32>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: &'a [(String, Option<Vec<u8>>)],
    /// `None`: now.
    pub(super) timestamp_ms: Option<i64>,
}

/// The producer of one worker.
pub(super) struct Publisher {
    config: ClientConfig,
    delivery: Delivery,
    producer: BaseProducer<Deliveries>,
}

impl Publisher {
    /// Connects; exactly once, what a predecessor of the same name left open is ended first.
    ///
    /// # Errors
    /// If a property is wrong or the broker does not answer.
    pub(super) fn connect(settings: &KafkaSettings, instance: &str, worker: usize) -> Result<Self> {
        let config = settings.producer(instance, worker);
        let producer = connect(&config, settings.delivery)?;
        Ok(Self { config, delivery: settings.delivery, producer })
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        self.producer.context().reset();
        match self.delivery {
            Delivery::ExactlyOnce => Ok(self.producer.begin_transaction()?),
            Delivery::AtLeastOnce => Ok(()),
        }
    }

    /// Adds a record to the open transaction. While the producer's queue is full it waits for acknowledgements.
    ///
    /// # Errors
    /// If the record cannot be produced, or the queue stays full for as long as a transaction may last.
    pub(super) fn send(&self, publication: Publication<'_>) -> Result<(), Failure> {
        let Publication { topic, partition, key, value, headers, timestamp_ms } = publication;
        let mut record = BaseRecord::<[u8], [u8]>::to(topic);
        (record.partition, record.key, record.payload) = (partition, key, value);
        record.timestamp = timestamp_ms;
        record.headers = (!headers.is_empty()).then(|| owned(headers));
        let deadline = clock::now() + STEP_TIMEOUT;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) => {
                    let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !is_full || deadline <= clock::now() {
                        return Err(error.into());
                    }
                    record = back;
                    self.producer.poll(POLL_SLICE);
                }
            }
        }
    }

    /// Serves delivery reports without waiting.
    pub(super) fn serve(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until every record sent is acknowledged.
    ///
    /// # Errors
    /// If one is not, or not in time.
    pub(super) fn drain(&self) -> Result<(), Failure> {
        self.await_reports(clock::now() + STEP_TIMEOUT)?;
        self.producer.context().result()
    }

    fn await_reports(&self, deadline: Instant) -> Result<(), Failure> {
        while self.producer.in_flight_count() > 0 {
            if deadline <= clock::now() {
                let text = "records were not acknowledged in time";
                return Err(Failure::new(RDKafkaErrorCode::OperationTimedOut, text));
            }
            self.producer.poll(POLL_SLICE);
        }
        Ok(())
    }

    /// Ends the transaction with `offsets`, which carry their metadata.
    pub(super) fn commit<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        offsets: &TopicPartitionList,
    ) -> Outcome {
        match self.delivery {
            Delivery::ExactlyOnce => match self.commit_transaction(consumer, offsets) {
                Ok(()) => Outcome::Committed,
                Err(failure) if failure.is_definite() => self.abort(failure),
                Err(failure) => Outcome::Unknown(failure),
            },
            Delivery::AtLeastOnce => match self.drain() {
                Ok(()) => match consumer.commit(offsets, CommitMode::Sync) {
                    Ok(()) => Outcome::Committed,
                    Err(error) => Outcome::Delivered(error.into()),
                },
                Err(failure) => Outcome::Unknown(failure),
            },
        }
    }

    fn commit_transaction<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        offsets: &TopicPartitionList,
    ) -> Result<(), Failure> {
        self.drain()?;
        // Read once a transaction: two reads could straddle a rebalance.
        let group = GroupMetadata::read(consumer).ok_or_else(|| {
            Failure::new(RDKafkaErrorCode::AssignmentLost, "not a member of the group at present")
        })?;
        group.send_offsets(&self.producer, offsets, STEP_TIMEOUT)?;
        Ok(self.producer.commit_transaction(STEP_TIMEOUT)?)
    }

    /// Ends the transaction with `offsets` of a group that has no members, so that no generation fences them: for tools.
    ///
    /// # Errors
    /// If anything fails; whether it counts is then told by the group's offsets.
    pub(super) fn commit_outside<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        offsets: &TopicPartitionList,
    ) -> Result<(), Failure> {
        self.drain()?;
        let group = consumer.group_metadata().ok_or_else(|| {
            Failure::new(RDKafkaErrorCode::AssignmentLost, "the client has no group")
        })?;
        self.producer.send_offsets_to_transaction(offsets, &group, STEP_TIMEOUT)?;
        Ok(self.producer.commit_transaction(STEP_TIMEOUT)?)
    }

    /// Ends the transaction because of `cause`, so that nothing of it counts.
    pub(super) fn abort(&self, cause: Failure) -> Outcome {
        let result = match self.delivery {
            Delivery::ExactlyOnce => self.abort_transaction(),
            // What is sent is sent: only a restore from the log tells where the journal ends.
            Delivery::AtLeastOnce => return Outcome::Unknown(cause),
        };
        match result {
            Ok(()) => Outcome::Aborted(cause),
            Err(failure) => Outcome::Unknown(failure),
        }
    }

    fn abort_transaction(&self) -> Result<(), Failure> {
        // Aborting purges what is still queued and waits for the reports on it, which only this thread can take: so the first
        // call starts it and is expected to time out, the second one ends it.
        if self.producer.in_flight_count() > 0 {
            match self.producer.abort_transaction(POLL_SLICE).map_err(Failure::from) {
                Ok(()) => return Ok(()),
                Err(failure) if failure.code == RDKafkaErrorCode::OperationTimedOut => {}
                Err(failure) => return Err(failure),
            }
            self.await_reports(clock::now() + STEP_TIMEOUT)?;
        }
        Ok(self.producer.abort_transaction(STEP_TIMEOUT)?)
    }

    /// Replaces the producer. Exactly once, the broker has then ended the old one's transaction one way or the other, and nothing
    /// the old one sent can count any more.
    ///
    /// # Errors
    /// If no new producer comes to life.
    pub(super) fn retire(&mut self) -> Result<()> {
        self.producer = connect(&self.config, self.delivery)?;
        Ok(())
    }
}

fn connect(config: &ClientConfig, delivery: Delivery) -> Result<BaseProducer<Deliveries>> {
    let mut attempt = 1;
    loop {
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(Error::while_doing("making a producer"))?;
        if delivery == Delivery::AtLeastOnce {
            return Ok(producer);
        }
        match producer.init_transactions(INIT_TIMEOUT) {
            Ok(()) => return Ok(producer),
            Err(_) if attempt < INIT_ATTEMPTS => attempt += 1,
            Err(error) => return Err(Error::while_doing("starting transactions")(error)),
        }
    }
}

fn owned(headers: &[(String, Option<Vec<u8>>)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |owned, (key, value)| {
        owned.insert(Header { key, value: value.as_deref() })
    })
}

/// The first delivery that failed since the transaction began.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl Deliveries {
    fn reset(&self) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn result(&self) -> Result<(), Failure> {
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| error.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::kafka::member::{Member, Rebalance, Rebalances, answer};
    use crate::kafka::offsets;
    use crate::kafka::partition::Position;
    use crate::wire::{CommitMark, Encoding};

    type Cluster = MockCluster<'static, DefaultProducerContext>;

    fn cluster() -> (Cluster, KafkaSettings) {
        let cluster = MockCluster::new(1).unwrap();
        for topic in ["events", "out"] {
            cluster.create_topic(topic, 1, 1).unwrap();
        }
        let settings = KafkaSettings {
            bootstrap_servers: cluster.bootstrap_servers(),
            group_id: "group".to_owned(),
            instance_id: None,
            prefix: "test".to_owned(),
            workers: 1,
            delivery: Delivery::ExactlyOnce,
            commit_interval: Duration::from_millis(100),
            encoding: Encoding::default(),
            create_topics: false,
            partitions: 1,
            replication_factor: 1,
            idle_after: None,
            properties: BTreeMap::new(),
        };
        (cluster, settings)
    }

    fn member(settings: &KafkaSettings) -> Arc<Member> {
        Arc::new(settings.member(0).create_with_context(Rebalances::default()).unwrap())
    }

    /// A member that has joined the group.
    fn joined(settings: &KafkaSettings) -> Arc<Member> {
        let member = member(settings);
        member.subscribe(&["events"]).unwrap();
        let deadline = clock::now() + Duration::from_secs(30);
        loop {
            assert!(clock::now() < deadline, "the mock broker lets a member join");
            drop(member.poll(Duration::from_millis(20)));
            for rebalance in member.context().take() {
                answer(&member, &rebalance).unwrap();
                if matches!(rebalance, Rebalance::Assign(_)) {
                    return member;
                }
            }
        }
    }

    /// A transaction of one record and one offset, ended.
    fn transaction(publisher: &Publisher, member: &Member) -> Outcome {
        publisher.begin().unwrap();
        let publication = Publication {
            topic: "out",
            partition: None,
            key: Some(b"key"),
            value: None,
            headers: &[],
            timestamp_ms: None,
        };
        publisher.send(publication).unwrap();
        let mark = CommitMark { lineage: [0; 16], seq: 0, hash: 0, reference_offset_next: 0 };
        let position = Position { offset_next: 1, mark };
        publisher.commit(member, &offsets::marked("events", [(0, position)]).unwrap())
    }

    #[test]
    fn a_generation_that_has_passed_aborts_and_the_producer_goes_on() {
        let (cluster, settings) = cluster();
        let publisher = Publisher::connect(&settings, "test", 0).unwrap();
        let member = joined(&settings);
        assert_eq!(transaction(&publisher, &member), Outcome::Committed);
        let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
        cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &[refusal]);
        assert!(matches!(transaction(&publisher, &member), Outcome::Aborted(_)));
        assert_eq!(transaction(&publisher, &member), Outcome::Committed);
        member.context().leave();
    }

    #[test]
    fn a_consumer_outside_the_group_commits_nothing() {
        let (_cluster, settings) = cluster();
        let publisher = Publisher::connect(&settings, "test", 0).unwrap();
        let outcome = transaction(&publisher, &member(&settings));
        let text = "not a member of the group at present";
        assert_eq!(outcome, Outcome::Aborted(Failure::new(RDKafkaErrorCode::AssignmentLost, text)));
    }

    #[test]
    fn a_fenced_producer_leaves_the_outcome_open_until_it_is_replaced() {
        let (cluster, settings) = cluster();
        let mut publisher = Publisher::connect(&settings, "test", 0).unwrap();
        let member = joined(&settings);
        let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED;
        cluster.request_errors(RDKafkaApiKey::EndTxn, &[refusal]);
        assert!(matches!(transaction(&publisher, &member), Outcome::Unknown(_)));
        publisher.retire().unwrap();
        assert_eq!(transaction(&publisher, &member), Outcome::Committed);
        member.context().leave();
    }
}
