//! How a worker ends its transactions, and what their outcome means for what it holds.

use std::collections::BTreeMap;
use std::time::Duration;

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
use super::{Owned, Shared, Worker, position, show_policy};

/// Transactions in a row that may come to nothing before the worker gives up.
const FAILURES: u32 = 20;
/// Longest pause after a failed transaction; they begin at 10 ms and double.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a partition that moves is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

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
                owned.measured_at = Some(now);
                measure(&self.shared, &self.member, *partition, owned);
            }
        }
        self.failures = 0;
        let Some(open) = self.outbox.open.take() else { return };
        self.shared.observer.observe(Fact::Committed(&open.tally));
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

/// Tells how a partition stands.
fn measure(shared: &Shared, member: &Member, partition: i32, owned: &Owned) {
    let Phase::Running(scored) = &owned.phase else { return };
    let high = native::high_watermark(member, shared.topics.events(), partition);
    let handled = scored.offset_committed();
    let passed = position(shared, member, partition).map_or(handled, |passed| passed.max(handled));
    let lag_records = high.map_or(0, |high| (high - passed).max(0));
    if let Some(mut status) = shared.live.partitions.get_mut(&partition) {
        status.lag_records = lag_records;
        status.event_lag = if lag_records > 0 { owned.age() } else { Duration::ZERO };
    }
    let engine = scored.engine();
    shared.observer.observe(Fact::PartitionMeasured {
        partition,
        counters: engine.counters(),
        customers: engine.customer_count(),
        store_bytes: engine.store_bytes(),
        lag_records,
        watermark: engine.watermark(),
    });
}
