//! A worker's producers and the life of its transactions: begun, filled, committed or aborted, and the producers replaced whenever
//! nobody can say which of the two it was. What an outcome means for the state is decided by the worker, not here.

use std::cell::Cell;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::clock;
use super::error::{Error, Result};
use super::failure::Failure;
use super::native::{GroupMetadata, Producer, Taint};
use super::safeguard::Safeguard;
use super::settings::{Delivery, KafkaSettings};
use crate::wire::Header;

/// How long the broker may take for one step of a transaction. As long as the transaction's own timeout: after it the broker has
/// ended the transaction itself.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new producer may take to end what its predecessor left open.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts to replace a producer before the worker gives up.
const INIT_ATTEMPTS: u32 = 5;
/// The property that makes a producer transactional.
const NAME: &str = "transactional.id";
/// What one `poll` waits for delivery reports while the queue is full.
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
    pub(super) headers: &'a [Header<'a>],
    /// `None`: now.
    pub(super) timestamp_ms: Option<i64>,
}

/// The producers of one worker. Its transactions follow one another, each by the next of them: while a broker still writes the markers of
/// a transaction it refuses the next one of the same name, and the client library then waits for 20 ms.
pub(super) struct Publisher {
    configs: Vec<ClientConfig>,
    delivery: Delivery,
    // Invariant: one for each configuration.
    producers: Vec<Producer>,
    /// Which of them has the open transaction, or had the last.
    current: Cell<usize>,
}

impl Publisher {
    /// Connects; exactly once, what a predecessor of the same name left open is ended first.
    ///
    /// # Errors
    /// If a property is wrong or the broker does not answer.
    pub(super) fn connect(settings: &KafkaSettings, instance: &str, worker: usize) -> Result<Self> {
        Self::of(vec![settings.producer(instance, worker)], settings.delivery)
    }

    /// The same, with two producers if there are transactions: for one right after the other.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(super) fn connect_two(
        settings: &KafkaSettings,
        instance: &str,
        worker: usize,
    ) -> Result<Self> {
        let config = settings.producer(instance, worker);
        let other = config.get(NAME).map(|name| {
            let mut other = config.clone();
            other.set(NAME, format!("{name}/other"));
            other
        });
        Self::of([config].into_iter().chain(other).collect(), settings.delivery)
    }

    fn of(configs: Vec<ClientConfig>, delivery: Delivery) -> Result<Self> {
        let producers = connect_all(&configs, delivery)?;
        Ok(Self { configs, delivery, producers, current: Cell::new(0) })
    }

    fn producer(&self) -> &Producer {
        &self.producers[self.current.get()]
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// If the client refuses, or a producer is tainted: a request of an earlier transaction may still be on its way, and would
    /// do its work in the next one of that producer.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        if let Some(Taint { code, .. }) = self.taint() {
            return Err(Failure::new(code, "the producer is tainted"));
        }
        self.current.set((self.current.get() + 1) % self.producers.len());
        // What an abort gave up is of no concern to the next transaction.
        self.producer().take_undelivered();
        match self.delivery {
            Delivery::AtLeastOnce => Ok(()),
            Delivery::ExactlyOnce => self.producer().begin_transaction(),
        }
    }

    /// Why the producers are to be retired before the next transaction, though the last one ended well: a request of a transaction had
    /// no answer, and was repeated. (At least once, there is no transaction for it to disturb.)
    pub(super) fn taint(&self) -> Option<Taint> {
        let is_watched = self.delivery == Delivery::ExactlyOnce
            && Safeguard::Interceptor.is_on()
            && Safeguard::Retirement.is_on();
        self.producers.iter().find_map(Producer::taint).filter(|_| is_watched)
    }

    /// Adds a record to the open transaction. While the producer's queue is full it waits for acknowledgements.
    ///
    /// # Errors
    /// If the record cannot be produced, or the queue stays full for as long as a transaction may last.
    pub(super) fn send(&self, publication: &Publication<'_>) -> Result<(), Failure> {
        let mut full_since = None;
        loop {
            let code = match self.producer().send(publication) {
                Ok(()) => return Ok(()),
                Err(code) => code,
            };
            // The clock is read only when there is no room.
            let now = clock::now();
            let is_late = *full_since.get_or_insert(now) + STEP_TIMEOUT <= now;
            if code != RDKafkaErrorCode::QueueFull || is_late {
                return Err(Failure::new(code, "a record could not be produced"));
            }
            self.producer().poll(POLL_SLICE);
        }
    }

    /// Serves delivery reports without waiting.
    pub(super) fn serve(&self) {
        self.producer().poll(Duration::ZERO);
    }

    /// Waits until every record sent is acknowledged.
    ///
    /// # Errors
    /// If one is not, or not in time.
    pub(super) fn drain(&self) -> Result<(), Failure> {
        let late = |code| Failure::new(code, "records were not acknowledged in time");
        self.producer().flush(STEP_TIMEOUT).map_err(late)?;
        match self.producer().take_undelivered() {
            Some(code) => Err(Failure::new(code, "a record was not delivered")),
            None => Ok(()),
        }
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
        // Read once a transaction: two reads could straddle a rebalance.
        let group = GroupMetadata::read(consumer).ok_or_else(|| {
            Failure::new(RDKafkaErrorCode::AssignmentLost, "not a member of the group at present")
        })?;
        // Meanwhile records are still on their way: whichever of the two fails, nothing is committed.
        self.producer().send_offsets(offsets, &group, STEP_TIMEOUT)?;
        self.drain()?;
        self.producer().commit_transaction(STEP_TIMEOUT)
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
        let group = GroupMetadata::read_anyway(consumer).ok_or_else(|| {
            Failure::new(RDKafkaErrorCode::AssignmentLost, "the client has no group")
        })?;
        self.producer().send_offsets(offsets, &group, STEP_TIMEOUT)?;
        self.producer().commit_transaction(STEP_TIMEOUT)
    }

    /// Ends the transaction because of `cause`, so that nothing of it counts.
    pub(super) fn abort(&self, cause: Failure) -> Outcome {
        // What is sent at least once is sent: only a restore from the log tells where the journal ends.
        if self.delivery == Delivery::AtLeastOnce {
            return Outcome::Unknown(cause);
        }
        match self.producer().abort_transaction(STEP_TIMEOUT) {
            Ok(()) => Outcome::Aborted(cause),
            Err(failure) => Outcome::Unknown(failure),
        }
    }

    /// What a control run without retirement takes for the outcome: the client library's word when it is asked again, and else that
    /// nothing counts. The same producer goes on, unless the library has given it up.
    ///
    /// # Errors
    /// If it has, and no new producer comes to life.
    #[cfg(feature = "faults")]
    pub(super) fn presume(&mut self, failure: Failure) -> Result<Outcome> {
        if failure.is_fatal {
            self.retire()?;
        } else if self.producer().abort_transaction(STEP_TIMEOUT).is_err()
            && self.producer().commit_transaction(STEP_TIMEOUT).is_ok()
        {
            return Ok(Outcome::Committed);
        }
        Ok(Outcome::Aborted(failure))
    }

    /// Replaces the producers. Exactly once, the broker has then ended the last transaction one way or the other, and nothing
    /// the old ones sent can count any more.
    ///
    /// # Errors
    /// If no new producers come to life.
    pub(super) fn retire(&mut self) -> Result<()> {
        self.producers = connect_all(&self.configs, self.delivery)?;
        Ok(())
    }
}

fn connect_all(configs: &[ClientConfig], delivery: Delivery) -> Result<Vec<Producer>> {
    configs.iter().map(|config| connect(config, delivery)).collect()
}

fn connect(config: &ClientConfig, delivery: Delivery) -> Result<Producer> {
    let mut attempt = 1;
    loop {
        let producer = Producer::new(config).map_err(Error::while_doing("making a producer"))?;
        if delivery == Delivery::AtLeastOnce {
            return Ok(producer);
        }
        match producer.init_transactions(INIT_TIMEOUT) {
            Ok(()) => return Ok(producer),
            Err(_) if attempt < INIT_ATTEMPTS => attempt += 1,
            Err(failure) => {
                return Err(Error::TransactionsNotStarted { reason: failure.to_string() });
            }
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
    use crate::kafka::settings::GroupProtocol;
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
            group_protocol: GroupProtocol::Classic,
            prefix: "test".to_owned(),
            workers: 1,
            delivery: Delivery::ExactlyOnce,
            commit_interval: Duration::from_millis(100),
            encoding: Encoding::default(),
            create_topics: false,
            partitions: 1,
            replication_factor: 1,
            idle_after: None,
            ticks_without_traffic: false,
            limits: crate::kafka::Limits::default(),
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

    const PUBLICATION: Publication<'static> = Publication {
        topic: "out",
        partition: None,
        key: Some(b"key"),
        value: None,
        headers: &[],
        timestamp_ms: None,
    };

    /// A transaction of one record and one offset, ended.
    fn transaction(publisher: &Publisher, member: &Member) -> Outcome {
        publisher.begin().unwrap();
        publisher.send(&PUBLICATION).unwrap();
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
        for refusal in [
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH,
        ] {
            cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &[refusal]);
            let outcome = transaction(&publisher, &member);
            assert!(matches!(outcome, Outcome::Aborted(_)), "{refusal:?}: {outcome:?}");
            assert_eq!(transaction(&publisher, &member), Outcome::Committed);
        }
        member.context().leave();
    }

    #[test]
    fn a_request_repeated_behind_our_back_taints_the_producer() {
        let (cluster, settings) = cluster();
        let mut publisher = Publisher::connect(&settings, "test", 0).unwrap();
        let member = joined(&settings);
        assert_eq!(transaction(&publisher, &member), Outcome::Committed);
        for request in [
            RDKafkaApiKey::Produce,
            RDKafkaApiKey::AddPartitionsToTxn,
            RDKafkaApiKey::AddOffsetsToTxn,
            RDKafkaApiKey::TxnOffsetCommit,
            RDKafkaApiKey::EndTxn,
        ] {
            assert_eq!(publisher.taint(), None, "before {request:?}");
            // The broker hangs up instead of answering.
            cluster.request_errors(request, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT]);
            assert_eq!(transaction(&publisher, &member), Outcome::Committed, "{request:?}");
            let taint = publisher.taint().expect("a taint");
            assert_eq!(taint.request, format!("{request:?}"));
            let refused = publisher.begin().unwrap_err();
            assert_eq!(refused, Failure::new(taint.code, "the producer is tainted"));
            publisher.retire().unwrap();
        }
        member.context().leave();
    }

    #[test]
    fn a_request_that_times_out_taints_the_producer() {
        let (cluster, mut settings) = cluster();
        settings.properties.insert("socket.timeout.ms".to_owned(), "1000".to_owned());
        let publisher = Publisher::connect(&settings, "test", 0).unwrap();
        // The topic is known, so that the first request to time out is one of the next transaction.
        publisher.begin().unwrap();
        publisher.send(&PUBLICATION).unwrap();
        publisher.drain().unwrap();
        let cause = Failure::new(RDKafkaErrorCode::AssignmentLost, "for a test");
        assert!(matches!(publisher.abort(cause), Outcome::Aborted(_)));
        cluster.broker_round_trip_time(-1, Duration::from_secs(3)).unwrap();
        publisher.begin().unwrap();
        publisher.send(&PUBLICATION).unwrap();
        let deadline = clock::now() + Duration::from_secs(30);
        while publisher.taint().is_none() {
            assert!(clock::now() < deadline, "the request times out and is noticed");
            publisher.producer().poll(POLL_SLICE);
        }
        assert_eq!(publisher.taint().unwrap().code, RDKafkaErrorCode::OperationTimedOut);
    }

    #[test]
    fn an_answer_is_no_taint_whatever_it_says() {
        let (cluster, settings) = cluster();
        let publisher = Publisher::connect(&settings, "test", 0).unwrap();
        let member = joined(&settings);
        let later = RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
        cluster.request_errors(RDKafkaApiKey::EndTxn, &[later, later]);
        assert_eq!(transaction(&publisher, &member), Outcome::Committed);
        assert_eq!(publisher.taint(), None);
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
