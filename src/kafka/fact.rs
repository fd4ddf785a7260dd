//! What can be observed of the service while it runs: one value a fact, in the past tense, without payloads or customers.
//! What becomes of them (logs, metrics) is the business of whoever observes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{Action, Counters, Effect, OutputBody, Reason};
use crate::model::EventTime;
use crate::model::squeeze::SqueezeType;
use crate::snapshot::SnapshotFact;
use crate::wire::Operation;

/// Takes notice of facts. Called on worker threads: it must not block.
pub trait Observer: Send + Sync {
    /// Takes notice of one.
    fn observe(&self, fact: Fact<'_>);
}

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fact<'a> {
    /// A worker made its first poll.
    WorkerStarted {
        /// Which, from 0.
        worker: usize,
    },
    /// The group moved partitions to or from a worker.
    Rebalanced {
        /// Which.
        worker: usize,
        /// Partitions it gained.
        assigned: usize,
        /// Partitions it gave back or lost.
        revoked: usize,
        /// They were lost: another member may own them already.
        is_lost: bool,
    },
    /// Partitions have no owner in a group that is stable: the worker leaves it and joins again, which ends that.
    OwnersMissing {
        /// Which.
        worker: usize,
        /// How many, at least 1.
        partitions: usize,
    },
    /// A partition came to this process and is being restored.
    PartitionAssigned {
        /// Which.
        partition: i32,
    },
    /// Its state is back and its events are being handled.
    PartitionRestored {
        /// Which.
        partition: i32,
        /// Records of the log that were read again.
        records: u64,
        /// How long it took.
        elapsed: Duration,
        /// It has no history: this transaction begins one.
        is_new: bool,
    },
    /// It cannot be served.
    PartitionRefused {
        /// Which.
        partition: i32,
        /// Why, and what to do.
        reason: &'a str,
    },
    /// It handles no record until somebody resumes it: the decision is journalled, and so survives restarts.
    PartitionStopped {
        /// Which.
        partition: i32,
        /// Why, and what to do.
        reason: &'a str,
    },
    /// It handles no record until there is room in memory.
    PartitionPaused {
        /// Which.
        partition: i32,
        /// Why, and what to do.
        reason: &'a str,
    },
    /// A stopped or paused partition goes on.
    PartitionResumed {
        /// Which.
        partition: i32,
    },
    /// It left this process.
    PartitionRevoked {
        /// Which.
        partition: i32,
    },
    /// Inputs are handled and their outputs certain.
    Committed(&'a Tally),
    /// How a partition stands, told at most once a second while it moves.
    PartitionMeasured {
        /// Which.
        partition: i32,
        /// What its engine counted since the beginning of its history.
        counters: Counters,
        /// Customers it holds.
        customers: usize,
        /// Rough size of its state in bytes.
        store_bytes: usize,
        /// Records behind the end of the log.
        lag_records: i64,
        /// How far its event time has come.
        watermark: Option<EventTime>,
    },
    /// A transaction was undone; its inputs will be handled again.
    TransactionAborted {
        /// Which worker's.
        worker: usize,
        /// Why.
        reason: &'a str,
    },
    /// Nobody could say whether a transaction was committed, so its producer was replaced and the broker asked.
    ProducerRetired {
        /// Which worker's.
        worker: usize,
        /// Why.
        reason: &'a str,
    },
    /// The client library repeated a request of a transaction by itself, because the first had no answer. That transaction has ended, but
    /// the first request may still arrive, so the producer was replaced before the next.
    ProducerTainted {
        /// Which worker's.
        worker: usize,
        /// The request, in Kafka's words.
        request: &'static str,
        /// What came instead of an answer.
        reason: &'a str,
    },
    /// What the broker said about one partition of a transaction whose producer was retired.
    TransactionSettled {
        /// Which.
        partition: i32,
        /// What became of it.
        settlement: Settlement,
    },
    /// Outputs were acknowledged but the offset was not: they may appear again (at-least-once only).
    OffsetsNotCommitted {
        /// Which worker's.
        worker: usize,
        /// Why.
        reason: &'a str,
    },
    /// The reference log was read up to here.
    ReferenceRead {
        /// The next offset.
        offset_next: i64,
        /// Changes it holds.
        changes: usize,
    },
    /// A record of the reference log says nothing we understand, and is passed over.
    ReferenceRefused {
        /// Its offset.
        offset: i64,
        /// Why.
        reason: Reason,
    },
    /// An operator has asked for something.
    OperationRequested {
        /// The offset of the request in the reference log.
        offset: i64,
        /// What for.
        operation: Operation,
    },
    /// A worker has ended what was under way, because partitions or the worker itself go.
    Drained {
        /// Which.
        worker: usize,
        /// How long it took.
        elapsed: Duration,
    },
    /// From now on a partition is scored by another policy.
    PolicyActivated {
        /// Which partition.
        partition: i32,
        /// The policy's version.
        version: &'a str,
        /// Its content hash.
        fingerprint: u64,
    },
    /// A published policy changes what stored masses hold, so the one in force stays.
    PolicyRefused {
        /// The policy's version.
        version: &'a str,
        /// Its content hash.
        fingerprint: u64,
        /// Which setting, and what to do.
        reason: &'a str,
    },
    /// A snapshot was written, read or passed over.
    Snapshot(SnapshotFact<'a>),
    /// A worker ended.
    WorkerStopped {
        /// Which.
        worker: usize,
    },
}

/// What became of a transaction of unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It was committed: the state stands.
    Kept,
    /// It was not: the state was put back and the inputs come again.
    Undone,
    /// The partition stands elsewhere: its state is dropped and restored.
    Dropped,
}

/// What one transaction holds.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Whose.
    pub worker: usize,
    /// Inputs handled.
    pub records: u64,
    /// Outputs by kind (`trust.score_changed`), and of squeezes by type.
    pub outputs: BTreeMap<(&'static str, Option<SqueezeType>), u64>,
    /// Records set aside: partition, offset and reason.
    pub dead_letters: Vec<(i32, i64, Reason)>,
    /// Stored timestamp of the oldest record that caused an output, milliseconds since the epoch.
    pub oldest_cause_ms: Option<i64>,
    /// Time spent on decoding, handling and encoding.
    pub handling: Duration,
    /// Time from asking for the commit to its answer.
    pub committing: Duration,
}

impl Tally {
    /// Counts one effect of `partition`, caused by a record stored at `timestamp_ms`.
    pub(super) fn count(&mut self, partition: i32, effect: &Effect, timestamp_ms: Option<i64>) {
        match &effect.action {
            Action::Publish(output) => {
                let squeeze = match &output.body {
                    OutputBody::Squeeze(alert) => Some(alert.kind),
                    _ => None,
                };
                *self.outputs.entry((output.kind(), squeeze)).or_default() += 1;
                self.oldest_cause_ms = match (self.oldest_cause_ms, timestamp_ms) {
                    (Some(oldest), Some(cause)) => Some(oldest.min(cause)),
                    (oldest, cause) => oldest.or(cause),
                };
            }
            // No facts about a customer, and so no outputs to count by kind.
            Action::PublishPart(_) | Action::ForgetSqueeze(_) => {}
            Action::DeadLetter(rejection) => {
                self.dead_letters.push((partition, effect.source.offset, rejection.reason));
            }
        }
    }
}
