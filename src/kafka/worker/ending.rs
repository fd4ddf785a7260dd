//! How a worker ends its transactions, and what their outcome means for what it holds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;

use rdkafka::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode;

use super::super::clock;
use super::super::error::{Error, Result};
use super::super::fact::Fact;
use super::super::failure::Failure;
use super::super::member::Member;
use super::super::native;
use super::super::offsets;
use super::super::partition::Position;
use super::super::publisher::Outcome;
use super::super::restore::Phase;
#[cfg(feature = "faults")]
use super::super::safeguard::Safeguard;
use super::super::settings::Delivery;
use super::{Owned, QUESTION, Shared, Worker, position, show_policy};

/// Transactions in a row that may come to nothing before the worker gives up.
const FAILURES: u32 = 20;
/// Longest pause after a failed transaction; they begin at 10 ms and double.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a partition that moves is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a partition that is behind gets nothing before the broker is asked why, and how often it is asked.
const ASK_INTERVAL: Duration = Duration::from_secs(5);

impl Worker {
    /// Ends the open transaction, if there is one.
    ///
    /// # Errors
    /// If too many in a row have come to nothing.
    pub(in crate::kafka) fn commit(&mut self) -> Result<()> {
        if self.outbox.open.is_none() {
            return Ok(());
        }
        let started = clock::now();
        let outcome = match self.offsets_to_commit() {
            Ok(offsets) => self.outbox.publisher.commit(&self.member, &offsets),
            Err(failure) => self.outbox.publisher.abort(failure),
        };
        if let Some(open) = &mut self.outbox.open {
            open.tally.committing = clock::now().saturating_duration_since(started);
        }
        self.conclude(outcome)
    }

    /// An offset for every partition the open transaction touched, even an unchanged one: an offset is what fences a transaction.
    ///
    /// # Errors
    /// If a partition was given up in its middle: its records would be published without its offset, and so once more.
    fn offsets_to_commit(&self) -> Result<TopicPartitionList, Failure> {
        let positions: BTreeMap<_, _> = self.touched().collect();
        let open = self.outbox.open.as_ref();
        let is_whole = open
            .is_some_and(|open| open.is_whole_with(|partition| positions.contains_key(&partition)));
        if self.shared.settings.delivery == Delivery::ExactlyOnce
            && (positions.is_empty() || !is_whole)
        {
            let text = "a partition was given up in the middle of the transaction";
            return Err(Failure::new(RDKafkaErrorCode::AssignmentLost, text));
        }
        Ok(offsets::marked(self.shared.topics.events(), positions)?)
    }

    /// Where the partitions of the open transaction stand.
    pub(in crate::kafka) fn touched(&self) -> impl Iterator<Item = (i32, Position)> {
        self.partitions.iter().filter_map(|(partition, owned)| match &owned.phase {
            Phase::Running(scored) if scored.is_touched() => Some((*partition, scored.position())),
            _ => None,
        })
    }

    /// Does what the outcome of a transaction asks for.
    ///
    /// # Errors
    /// If too many in a row have come to nothing.
    pub(in crate::kafka) fn conclude(&mut self, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Committed => self.keep(),
            Outcome::Delivered(failure) => {
                let (worker, reason) = (self.number, failure.to_string());
                let fact = Fact::OffsetsNotCommitted { worker, reason: &reason };
                self.shared.observer.observe(fact);
                self.keep();
            }
            Outcome::Aborted(failure) => {
                let (worker, reason) = (self.number, failure.to_string());
                let fact = Fact::TransactionAborted { worker, reason: &reason };
                self.shared.observer.observe(fact);
                let touched: Vec<i32> = self.touched().map(|(partition, _)| partition).collect();
                self.undo(&touched);
                self.rewind();
                self.outbox.open = None;
                self.note_failure(&reason)?;
            }
            #[cfg(feature = "faults")]
            Outcome::Unknown(failure) if !Safeguard::Retirement.is_on() => {
                let presumed = self.outbox.publisher.presume(failure)?;
                self.conclude(presumed)?;
            }
            Outcome::Unknown(failure) => self.settle(&failure)?,
        }
        Ok(())
    }

    /// The transaction counts.
    pub(in crate::kafka) fn keep(&mut self) {
        let now = clock::now();
        for (partition, owned) in &mut self.partitions {
            let Phase::Running(scored) = &mut owned.phase else { continue };
            if !scored.is_touched() {
                continue;
            }
            let is_activated = scored.policy() != scored.policy_committed();
            scored.commit();
            if let Some(saving) = &owned.saving {
                saving.note_commit();
            }
            show_policy(&self.shared, *partition, scored);
            if is_activated {
                let (version, fingerprint) = (&scored.engine().policy().version, scored.policy());
                let fact = Fact::PolicyActivated { partition: *partition, version, fingerprint };
                self.shared.observer.observe(fact);
            }
            let is_time = owned.measured_at.is_none_or(|at| at + MEASURE_INTERVAL <= now);
            if is_time {
                measure(&self.shared, &self.member, *partition, owned, now);
            }
        }
        self.failures = 0;
        let Some(open) = self.outbox.open.take() else { return };
        self.shared.observer.observe(Fact::Committed(&open.tally));
    }

    /// Measures the partitions that no transaction has touched of late, so that lag shows where nothing moves. At most one question goes to
    /// the broker: whether records are held back that are behind for no other reason.
    pub(super) fn measure_idle(&mut self, now: Instant) {
        let mut may_ask = true;
        for (partition, owned) in &mut self.partitions {
            let Phase::Running(scored) = &owned.phase else { continue };
            let is_time = owned.measured_at.is_none_or(|at| at + MEASURE_INTERVAL <= now);
            if scored.is_touched() || !is_time {
                continue;
            }
            let is_suspect = owned.is_behind(&self.shared, *partition) && owned.is_quiet(now);
            if !is_suspect {
                owned.unstable = None;
            } else if may_ask && owned.unstable.is_none_or(|(at, _)| at + ASK_INTERVAL <= now) {
                may_ask = false;
                let held_back = held_back(&self.shared, &self.member, *partition);
                owned.unstable = Some((now, held_back.unwrap_or(0)));
            }
            measure(&self.shared, &self.member, *partition, owned, now);
        }
    }

    /// Puts partitions back to where they last were certain.
    pub(in crate::kafka) fn undo(&mut self, partitions: &[i32]) {
        for partition in partitions {
            if let Some(Owned { phase: Phase::Running(scored), .. }) =
                self.partitions.get_mut(partition)
            {
                scored.abort();
            }
        }
    }

    /// Reads on from where each partition stands. All of them: a batch given up half-way held records of any.
    pub(in crate::kafka) fn rewind(&mut self) {
        let position = |(partition, owned): (&i32, &Owned)| match &owned.phase {
            Phase::Running(scored) => Some((*partition, scored.offset_next())),
            Phase::Replaying(replay) => Some((*partition, replay.offset_next())),
            Phase::Locating | Phase::Reading(_) | Phase::Refused => None,
        };
        let positions: Vec<(i32, i64)> = self.partitions.iter().filter_map(position).collect();
        if !positions.is_empty() && self.seek(&positions).is_err() {
            // Where the consumer stands is not known: begin again from what is committed.
            positions.iter().for_each(|(partition, _)| self.start_over(*partition));
        }
    }

    /// A transaction came to nothing: pause a little longer each time.
    ///
    /// # Errors
    /// If too many in a row have.
    pub(in crate::kafka) fn note_failure(&mut self, reason: &str) -> Result<()> {
        self.failures += 1;
        if FAILURES < self.failures {
            let (attempts, reason) = (self.failures, reason.to_owned());
            return Err(Error::TransactionsFail { attempts, reason });
        }
        let pause = Duration::from_millis(10) * 2_u32.pow(self.failures.min(10));
        self.not_before = clock::now() + pause.min(LONGEST_PAUSE);
        Ok(())
    }
}

impl Owned {
    /// There are records it has not handled.
    fn is_behind(&self, shared: &Shared, partition: i32) -> bool {
        shared.live.partitions.get(&partition).is_some_and(|status| status.lag_records > 0)
    }

    /// It is handled, but nothing comes.
    fn is_quiet(&self, now: Instant) -> bool {
        self.hold.is_none() && self.record_at + ASK_INTERVAL <= now
    }
}

/// Records between the last stable offset and the end of the log: an open transaction of somebody who writes events holds them back from
/// a `read_committed` reader. `None` if the broker does not say.
fn held_back(shared: &Shared, member: &Member, partition: i32) -> Option<i64> {
    let topic = shared.topics.events();
    let high = native::high_watermark(member, topic, partition)?;
    // For this consumer the end of the log is the last stable offset.
    let (_, stable) = member.fetch_watermarks(topic, partition, QUESTION).ok()?;
    Some((high - stable).max(0))
}

/// Tells how a partition stands.
fn measure(shared: &Shared, member: &Member, partition: i32, owned: &mut Owned, now: Instant) {
    let Phase::Running(scored) = &owned.phase else { return };
    owned.measured_at = Some(now);
    let high = native::high_watermark(member, shared.topics.events(), partition);
    let handled = scored.offset_committed();
    // What came in while it was held is passed over, not handled.
    let passed = position(shared, member, partition).filter(|_| owned.hold.is_none());
    let passed = passed.map_or(handled, |passed| passed.max(handled));
    let lag_records = high.map_or(0, |high| (high - passed).max(0));
    let engine = scored.engine();
    let (customers, store_bytes) = (engine.customer_count(), engine.store_bytes());
    owned.customer_bytes = store_bytes.checked_div(customers).unwrap_or(0);
    if let Some(mut status) = shared.live.partitions.get_mut(&partition) {
        status.lag_records = lag_records;
        status.event_lag = if lag_records > 0 { owned.age() } else { Duration::ZERO };
        status.unstable_records = owned.unstable.map_or(0, |(_, records)| records);
        status.store_bytes = store_bytes;
    }
    shared.observer.observe(Fact::PartitionMeasured {
        partition,
        counters: engine.counters(),
        customers,
        store_bytes,
        lag_records,
        watermark: engine.watermark(),
    });
}
