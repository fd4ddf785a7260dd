//! One partition in a worker's hands: its engine, its journal, and where both stood when last committed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::{ENGINE, Input, PartitionEngine, Settings};
use crate::model::{Catalogue, EventTime, Policy};
use crate::wire::{Chain, CommitMark, Decision, Genesis, JournalRecord, policy_fingerprint};

use super::settings::Scoring;
use super::topics::EventsTopic;

/// A partition whose events are handled.
pub(super) struct Partition {
    pub(super) engine: PartitionEngine,
    lineage: [u8; 16],
    chain: Chain,
    /// As of the last commit.
    committed_chain: Chain,
    /// The position committed last; `None` while its history has not begun.
    pub(super) committed: Option<Position>,
    /// Where its history begins.
    pub(super) start_offset: i64,
    /// Decisions that stand behind the committed offset: at-least-once, they were acknowledged before it. In order.
    pub(super) decided: VecDeque<JournalRecord>,
    /// Read up to the end of the log, with nothing there since.
    pub(super) is_at_end: bool,
    /// When a record was last handled, or the partition became ours.
    pub(super) active_at: Instant,
    /// When it was last measured.
    pub(super) measured_at: Instant,
}

/// What the group remembers of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// The next offset to handle.
    pub(super) offset: i64,
    /// What the state at that offset rests on.
    pub(super) mark: CommitMark,
}

impl Partition {
    /// A partition without history, whose first record is at `start_offset`. The genesis is to be written.
    pub(super) fn begin(
        scoring: &Scoring,
        lineage: [u8; 16],
        start_offset: i64,
        now: Instant,
    ) -> Self {
        Self {
            engine: engine(scoring, lineage),
            lineage,
            chain: Chain::default(),
            committed_chain: Chain::default(),
            committed: None,
            start_offset,
            decided: VecDeque::new(),
            is_at_end: false,
            active_at: now,
            measured_at: now,
        }
    }

    /// A partition whose state has been rebuilt up to `position`.
    pub(super) fn restored(
        engine: PartitionEngine,
        chain: Chain,
        position: Position,
        start_offset: i64,
        now: Instant,
    ) -> Self {
        Self {
            engine,
            lineage: position.mark.lineage,
            chain,
            committed_chain: chain,
            committed: Some(position),
            start_offset,
            decided: VecDeque::new(),
            is_at_end: false,
            active_at: now,
            measured_at: now,
        }
    }

    /// The genesis of its history, and its bytes; they begin the journal.
    pub(super) fn write_genesis(&mut self, events: EventsTopic, policy: &Policy) -> Vec<u8> {
        let genesis = Genesis {
            lineage: self.lineage,
            events_topic_id: events.id,
            partition_count: events.partition_count,
            start_offset: self.start_offset,
            engine: ENGINE,
            policy_version: policy.version.clone(),
            policy_fingerprint: policy_fingerprint(policy),
        };
        self.chain.write(self.start_offset, Decision::Genesis(genesis)).1
    }

    /// Its history has been begun, if not yet for certain.
    pub(super) const fn has_genesis(&self) -> bool {
        self.chain.seq().is_some()
    }

    /// Lets the engine see a version of the reference data from here on; the bytes of the journal record that says so.
    pub(super) fn see_reference(
        &mut self,
        offset_next: i64,
        catalogue: Arc<Catalogue>,
    ) -> (Vec<u8>, Input) {
        let (record, value) =
            self.chain.write(self.next_offset(), Decision::Reference { offset_next });
        (value, Input::Reference { seq: record.seq, offset_next, catalogue })
    }

    /// Advances the clock of the idle partition; the bytes of the journal record that says so.
    pub(super) fn tick(&mut self, time: EventTime) -> (Vec<u8>, Input) {
        let (record, value) = self.chain.write(self.next_offset(), Decision::Tick { time });
        (value, Input::Tick { seq: record.seq, time })
    }

    /// The next offset to handle.
    pub(super) fn next_offset(&self) -> i64 {
        self.committed
            .map_or(self.start_offset, |committed| committed.offset)
            .max(self.engine.offset_next())
    }

    /// Where it stands now, committed or not.
    pub(super) fn position(&self) -> Position {
        let mark = CommitMark {
            lineage: self.lineage,
            seq: self.chain.seq().unwrap_or(0),
            hash: self.chain.hash(),
            reference_offset_next: self.engine.reference_offset_next(),
        };
        Position { offset: self.next_offset(), mark }
    }

    /// What was handled is certain: `position` is committed.
    pub(super) fn commit(&mut self, position: Position) {
        self.engine.commit();
        self.committed_chain = self.chain;
        self.committed = Some(position);
    }

    /// What was handled since the last commit does not count.
    pub(super) fn abort(&mut self) {
        self.engine.abort();
        self.chain = self.committed_chain;
    }
}

/// An engine without state for a partition of this lineage.
pub(super) fn engine(scoring: &Scoring, lineage: [u8; 16]) -> PartitionEngine {
    PartitionEngine::new(Settings {
        policy: Arc::clone(&scoring.policy),
        salt: lineage,
        audit: scoring.audit,
    })
}
