//! What can be observed of snapshots.

use std::time::Duration;

/// Something that happened to a snapshot of a partition.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SnapshotFact<'a> {
    /// One was written and counts.
    Written {
        /// Of which partition.
        partition: i32,
        /// The next offset to handle, as of it.
        offset_next: i64,
        /// It holds all of the state, not only what changed.
        is_base: bool,
        /// Customers written.
        customers: u64,
        /// Bytes written.
        bytes: u64,
        /// How long it took.
        elapsed: Duration,
    },
    /// One could not be written; the next will hold everything.
    NotWritten {
        /// Of which partition.
        partition: i32,
        /// Why.
        reason: &'a str,
    },
    /// What no snapshot needs any more could not be deleted; it is tried again after the next.
    NotTidied {
        /// Of which partition.
        partition: i32,
        /// Why.
        reason: &'a str,
    },
    /// A partition's state was read from one.
    Loaded {
        /// Which partition.
        partition: i32,
        /// The next offset to handle, as of it.
        offset_next: i64,
        /// Customers read.
        customers: u64,
        /// Bytes read.
        bytes: u64,
        /// How long it took.
        elapsed: Duration,
    },
    /// One was passed over: an older one, or else the log, is used.
    PassedOver {
        /// Of which partition.
        partition: i32,
        /// Its manifest's name.
        name: &'a str,
        /// Why.
        reason: &'a str,
    },
}
