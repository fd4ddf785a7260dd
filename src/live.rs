//! What the service shows of itself while it runs: written by the workers once an effect is certain, read by HTTP and metrics.
//! The engine never reads it back, and nothing here decides anything.

use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::engine::Explanation;
use crate::model::{Policy, Text, Warming};

/// The read side of the service.
#[derive(Debug, Default)]
pub struct Live {
    /// The partitions this process owns.
    pub partitions: DashMap<i32, PartitionStatus>,
    /// Partitions of the events topic; 0 until known.
    pub partition_count: AtomicI64,
    /// No partition of the events topic has had traffic for `kafka.idle_after`, so that clocks stand still.
    pub is_upstream_silent: AtomicBool,
    /// The worker threads have made their first poll.
    pub is_started: AtomicBool,
    /// The workers that have turned, by number.
    pub workers: DashMap<usize, WorkerStatus>,
    refused_policy: Mutex<Option<RefusedPolicy>>,
}

impl Live {
    /// Shows that a policy could not come into force, until the next one cannot.
    pub fn refuse_policy(&self, refused: RefusedPolicy) {
        *self.refused_policy.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
    }

    /// The last policy that could not come into force; `None` if all could.
    pub fn refused_policy(&self) -> Option<RefusedPolicy> {
        self.refused_policy.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One worker, as it last said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerStatus {
    /// Its last turn of its loop, milliseconds since the epoch.
    pub turned_ms: i64,
    /// The group has given it its share of the partitions, be it none.
    pub is_member: bool,
}

/// One partition, as its worker last said.
#[derive(Debug, Clone)]
pub struct PartitionStatus {
    /// Where it stands.
    pub state: PartitionState,
    /// Records from the committed offset to the end of the log.
    pub lag_records: i64,
    /// Of these, records that an open transaction of a producer of events holds back.
    pub unstable_records: i64,
    /// Estimated size of its customers, in bytes.
    pub store_bytes: usize,
    /// Age of the last record handled when it was handled, while there are more; zero when there are none.
    pub event_lag: Duration,
    /// Share of the log read back so far, 0 to 1; 1 when running.
    pub restored_ratio: f64,
    /// How long the rest will take at the pace so far; `None` while there is no telling.
    pub restore_remaining: Option<Duration>,
    /// What it is scored by; `None` until it is restored.
    pub policy: Option<PolicyStatus>,
    /// Where questions about its customers go.
    pub inbox: std::sync::mpsc::SyncSender<Query>,
}

impl PartitionStatus {
    /// A partition that has just come, with questions about it going to `inbox`.
    pub const fn restoring(inbox: std::sync::mpsc::SyncSender<Query>) -> Self {
        Self {
            state: PartitionState::Restoring,
            lag_records: 0,
            unstable_records: 0,
            store_bytes: 0,
            event_lag: Duration::ZERO,
            restored_ratio: 0.0,
            restore_remaining: None,
            policy: None,
            inbox,
        }
    }

    /// As much of the log is read back as `ratio` says, in `elapsed`.
    pub fn advance(&mut self, ratio: f64, elapsed: Duration) {
        self.restored_ratio = ratio;
        let rest = elapsed.as_secs_f64() * (1.0 - ratio) / ratio;
        self.restore_remaining = Duration::try_from_secs_f64(rest).ok();
    }
}

/// The policy in force on a partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyStatus {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Its content hash.
    pub fingerprint: u64,
    /// The rules that gather.
    pub warming: Warming,
}

/// A policy that was published and stays out of force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedPolicy {
    /// Its version.
    pub version: Text,
    /// Its content hash.
    pub fingerprint: u64,
    /// Why, and what to do.
    pub reason: String,
}

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionState {
    /// Its state is being rebuilt; other partitions run on.
    Restoring,
    /// Its events are being handled.
    Running,
    /// Its state is here, but no event is handled until somebody resumes it, for this reason.
    Stopped(String),
    /// Its state is here, but no event is handled until there is room, for this reason.
    Paused(String),
    /// It cannot be served, for this reason, which names what to do.
    Refused(String),
}

/// A question about one customer, answered between batches.
#[derive(Debug)]
pub struct Query {
    /// The partition the customer belongs to.
    pub partition: i32,
    /// Who.
    pub customer: Text,
    /// Where the answer goes; `None`: never heard of.
    pub reply: oneshot::Sender<Option<Explanation>>,
}
