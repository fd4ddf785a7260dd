//! What an input does to a partition and adds to the open transaction: first what the journal must hold, then record by record.
//!
//! It talks to no broker: the worker and the simulation take the same steps.

use rdkafka::types::RDKafkaErrorCode;

use super::failure::Failure;
use super::partition::Scored;
use super::reference::{PolicyRecord, ReferenceLog};
use crate::engine::Effect;
use crate::model::{BakedIn, EventTime};
use crate::wire::{self, Expect, RecordRef};

/// A transaction to add to.
pub(super) trait Transaction {
    /// Begins it, unless it has begun.
    fn begin(&mut self) -> Result<(), Failure>;

    /// Counts a record among what it handles.
    fn count_record(&mut self);

    /// Adds a journal record of `partition`.
    fn journal(&mut self, partition: i32, value: &[u8]) -> Result<(), Failure>;

    /// Adds what `effects` of `partition` ask for, in order; they were caused by `original` and scored by the policy of this
    /// fingerprint.
    fn perform(
        &mut self,
        partition: i32,
        policy: u64,
        effects: &mut Vec<Effect>,
        original: RecordRef<'_>,
    ) -> Result<(), Failure>;
}

impl Scored {
    /// Decides what the journal must hold before the next record, time aside: the beginning of a history, what it already holds, a
    /// newer reference version, another policy.
    pub(super) fn decide(
        &mut self,
        partition: i32,
        reference: &ReferenceLog,
        refused: impl FnMut(&PolicyRecord, &BakedIn),
        transaction: &mut impl Transaction,
    ) -> Result<(), Failure> {
        let (latest, policies) = (reference.latest(), reference.policies());
        let mut effects = Vec::new();
        if let Some(value) = self.begin() {
            transaction.journal(partition, &value)?;
        }
        while self.has_ahead(self.offset_next()) {
            transaction.begin()?;
            if !self.repeat(reference, &mut effects) {
                break;
            }
            transaction.perform(partition, self.policy(), &mut effects, NO_RECORD)?;
        }
        if let Some(value) = self.see(&latest, &mut effects) {
            transaction.journal(partition, &value)?;
            transaction.perform(partition, self.policy(), &mut effects, NO_RECORD)?;
        }
        if let Some(value) = self.activate(&policies, refused) {
            transaction.journal(partition, &value)?;
        }
        Ok(())
    }

    /// Advances the clock of an idle partition to `time`.
    pub(super) fn advance(
        &mut self,
        partition: i32,
        time: EventTime,
        transaction: &mut impl Transaction,
    ) -> Result<(), Failure> {
        let mut effects = Vec::new();
        let Some(value) = self.tick(time, &mut effects) else { return Ok(()) };
        transaction.journal(partition, &value)?;
        transaction.perform(partition, self.policy(), &mut effects, NO_RECORD)
    }

    /// Handles the record at `offset`, after what the journal already holds before it. One handled before changes nothing.
    pub(super) fn take(
        &mut self,
        partition: i32,
        offset: i64,
        original: RecordRef<'_>,
        reference: &ReferenceLog,
        transaction: &mut impl Transaction,
    ) -> Result<(), Failure> {
        if offset < self.offset_next() {
            return Ok(());
        }
        let mut effects = Vec::new();
        while self.has_ahead(offset) {
            transaction.begin()?;
            if !self.repeat(reference, &mut effects) {
                let text = "the reference log is behind the journal";
                return Err(Failure::new(RDKafkaErrorCode::OperationTimedOut, text));
            }
            transaction.perform(partition, self.policy(), &mut effects, NO_RECORD)?;
        }
        transaction.begin()?;
        transaction.count_record();
        self.handle(offset, wire::decode(original, Expect::EventsTopic), &mut effects);
        if effects.is_empty() {
            return Ok(());
        }
        transaction.perform(partition, self.policy(), &mut effects, original)
    }
}

/// What journalled decisions are caused by: no record.
const NO_RECORD: RecordRef<'static> =
    RecordRef { key: None, value: None, headers: &[], timestamp_ms: None };
