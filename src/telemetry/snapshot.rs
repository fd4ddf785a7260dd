//! What is told of snapshots.

use ::metrics::{counter, histogram};
use tracing::{error, info, warn};

use super::name;
use crate::snapshot::SnapshotFact;

/// Logs and counts one fact.
pub(super) fn observe(fact: &SnapshotFact<'_>) {
    match *fact {
        SnapshotFact::Written { partition, offset_next, is_base, customers, bytes, elapsed } => {
            info!(partition, offset_next, is_base, customers, bytes, ?elapsed, "Snapshot written.");
            let kind = if is_base { "base" } else { "delta" };
            counter!(name::SNAPSHOTS, "kind" => kind).increment(1);
            counter!(name::SNAPSHOT_BYTES).increment(bytes);
            histogram!(name::SNAPSHOT_DURATION).record(elapsed);
        }
        SnapshotFact::NotWritten { partition, reason } => {
            error!(partition, reason, "Snapshot not written: a restart must read more of the log.");
            counter!(name::SNAPSHOT_FAILURES).increment(1);
        }
        SnapshotFact::NotTidied { partition, reason } => {
            warn!(
                partition,
                reason, "Old snapshots not deleted; it is tried again after the next."
            );
        }
        SnapshotFact::Loaded { partition, offset_next, customers, bytes, elapsed } => {
            info!(partition, offset_next, customers, bytes, ?elapsed, "Snapshot loaded.");
            counter!(name::SNAPSHOT_BYTES_READ).increment(bytes);
            histogram!(name::SNAPSHOT_LOAD_DURATION).record(elapsed);
        }
        SnapshotFact::PassedOver { partition, name, reason } => {
            warn!(
                partition,
                name, reason, "Snapshot passed over: an older one is used, or the log."
            );
            counter!(name::SNAPSHOTS_PASSED_OVER).increment(1);
        }
    }
}
