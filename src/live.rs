//! What the service shows of itself while it runs: written by the workers once an effect is certain, read by HTTP and metrics.
//! The engine never reads it back, and nothing here decides anything.

use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::engine::CustomerView;
use crate::model::{Policy, Text, Warming};

/// The read side of the service.
#[derive(Debug, Default)]
pub struct Live {
    /// The partitions this process owns.
    pub partitions: DashMap<i32, PartitionStatus>,
    /// Partitions of the events topic; 0 until known.
    pub partition_count: AtomicI64,
    /// The worker threads have made their first poll.
    pub is_started: AtomicBool,
    /// Milliseconds since the epoch of each worker's last turn of its loop, by worker.
    pub turns: DashMap<usize, i64>,
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

/// One partition, as its worker last said.
#[derive(Debug, Clone)]
pub struct PartitionStatus {
    /// Where it stands.
    pub state: PartitionState,
    /// Records from the committed offset to the end of the log.
    pub lag_records: i64,
    /// Share of the log read back so far, 0 to 1; 1 when running.
    pub restored_ratio: f64,
    /// What it is scored by; `None` until it is restored.
    pub policy: Option<PolicyStatus>,
    /// Where questions about its customers go.
    pub inbox: std::sync::mpsc::SyncSender<Query>,
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
    /// It cannot be served, for this reason, which names what to do.
    Refused(String),
}

/// A question about one customer, answered between batches.
#[derive(Debug)]
pub struct Query {
    /// The partition the customer belongs to.
    pub partition: i32,
    /// Who.
    pub customer: Arc<str>,
    /// Where the answer goes; `None`: never heard of.
    pub reply: oneshot::Sender<Option<CustomerView>>,
}
