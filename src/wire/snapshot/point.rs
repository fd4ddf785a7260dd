//! Where a partition stood when its snapshot was taken: what tells whether that snapshot may be built on.

use super::SnapshotError;
use crate::wire::journal::{Decision, Genesis, JournalRecord};
use crate::wire::proto;

/// The point in a partition's history that a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPoint {
    /// [`crate::engine::LAYOUT`] of the program that took it.
    pub layout: u32,
    /// [`crate::engine::ENGINE`] of the program that took it.
    pub engine: u32,
    /// The genesis, lineage and topic id among it.
    pub genesis: Genesis,
    /// Of the events topic.
    pub partition: i32,
    /// The next offset to handle.
    pub offset_next: i64,
    /// The last journal record that was applied.
    pub seq: u64,
    /// Rolling hash of the journal up to and with that record.
    pub journal_hash: u64,
    /// The next offset of the reference log that was not visible.
    pub reference_offset_next: i64,
    /// Of the policy in force.
    pub policy_fingerprint: u64,
    /// Its record's offset in the reference log; `None`: the history began with it.
    pub policy_offset: Option<i64>,
}

impl SnapshotPoint {
    pub(super) fn to_wire(&self) -> proto::SnapshotPoint {
        let decision = Decision::Genesis(self.genesis.clone());
        let genesis = JournalRecord { seq: 0, at: self.genesis.start_offset, decision };
        proto::SnapshotPoint {
            layout: self.layout,
            engine: self.engine,
            genesis: genesis.encode(),
            partition: self.partition,
            offset_next: self.offset_next,
            seq: self.seq,
            journal_hash: self.journal_hash,
            reference_offset_next: self.reference_offset_next,
            policy_fingerprint: self.policy_fingerprint,
            policy_offset: self.policy_offset,
        }
    }

    pub(super) fn from_wire(wire: Option<proto::SnapshotPoint>) -> Result<Self, SnapshotError> {
        let wire = wire.ok_or(SnapshotError::Malformed)?;
        let genesis = JournalRecord::decode(&wire.genesis);
        let Ok(JournalRecord { decision: Decision::Genesis(genesis), .. }) = genesis else {
            return Err(SnapshotError::Malformed);
        };
        Ok(Self {
            layout: wire.layout,
            engine: wire.engine,
            genesis,
            partition: wire.partition,
            offset_next: wire.offset_next,
            seq: wire.seq,
            journal_hash: wire.journal_hash,
            reference_offset_next: wire.reference_offset_next,
            policy_fingerprint: wire.policy_fingerprint,
            policy_offset: wire.policy_offset,
        })
    }
}
